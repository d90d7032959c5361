"""Tables of entries: groups, and what is worked out for each; an operator a file."""
