"""The configuration: read, checked, and turned into settings."""
