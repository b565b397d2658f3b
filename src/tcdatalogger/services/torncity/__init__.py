"""Torn's API: catalogue, client, lists, keys, and a processor for each endpoint."""
