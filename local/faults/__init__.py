"""Trouble on purpose: every call of every adapter can be watched, failed, delayed, or be the last one."""
