"""Backups: making, checking and restoring."""
