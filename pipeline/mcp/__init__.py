"""The tools of `pipeline/tools` for language models, by the Model Context Protocol."""
