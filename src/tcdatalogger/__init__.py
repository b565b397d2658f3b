"""TCdatalogger logs Torn City's API v2 into a warehouse of typed tables."""

__version__ = "0.1.0"
