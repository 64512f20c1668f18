"""What the system does, over the protocols of the outside systems."""
