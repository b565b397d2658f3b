"""Calls of Torn's API."""
