"""A run: planned, exported, committed, and brought to its end."""
