"""Torn City: its catalogue of endpoints, its transport, its rules, and a processor for each."""
