"""The full copies of the backup before: imported, and compared with this one."""
