"""From a request to rows, for one endpoint."""
