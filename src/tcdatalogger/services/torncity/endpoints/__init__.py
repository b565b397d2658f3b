"""Processors of single endpoints; `generic` serves all that have none of their own."""
