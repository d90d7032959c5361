"""Entries that are older, or take more room, than the settings allow go."""
