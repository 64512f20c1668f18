"""A Databricks workspace over HTTP: its API, limits, throttling and faults, and edits by named people."""
