"""The methods that a worker answers, one a file; `table` lists them."""
