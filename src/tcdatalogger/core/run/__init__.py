"""One run of one endpoint."""
