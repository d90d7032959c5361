"""Copies of a store elsewhere: backups, and how a store is made of one again."""
