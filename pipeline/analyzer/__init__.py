"""The analyzer: watches what is committed and raises alerts."""
