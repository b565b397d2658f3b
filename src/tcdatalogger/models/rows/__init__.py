"""Nested Arrow becomes the rows of a family's tables."""
