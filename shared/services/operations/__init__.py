"""What keeps the backup well: doctor, verification, rebuilding, poison messages."""
