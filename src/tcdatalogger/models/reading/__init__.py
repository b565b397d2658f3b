"""Bytes and a shape become nested Arrow."""
