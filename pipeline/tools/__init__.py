"""Tools for language models: answers that fit into a budget of tokens."""
