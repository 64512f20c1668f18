"""The outside systems in memory: the same protocols and the same behaviour, without a process or a file."""
