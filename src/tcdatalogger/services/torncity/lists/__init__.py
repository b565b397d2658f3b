"""Lists of several pages."""
