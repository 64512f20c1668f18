"""Secrets: looked at before they expire, and rotated."""
