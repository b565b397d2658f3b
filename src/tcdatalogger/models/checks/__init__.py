"""Checks of rows: those of every load, and those that a user configures."""
