"""Collectors: what services call, and what reads their output."""
