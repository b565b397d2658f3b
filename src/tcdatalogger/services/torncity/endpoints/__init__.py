"""Processors of single endpoints, and the registry that chooses a processor for a path."""
