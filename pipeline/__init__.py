"""Recursive Log Pipeline."""
