"""The configuration: reads the file, checks it, and makes frozen settings."""
