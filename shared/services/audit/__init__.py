"""The chain of audit records: written, kept, proved and exported."""
