"""Measurements of the pipeline beside its rivals; `bench/README.md` says how."""
