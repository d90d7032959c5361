"""Detectors: each watches for one thing, in bounded memory; pure."""
