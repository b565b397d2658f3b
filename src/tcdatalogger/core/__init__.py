"""One run of one endpoint, and what every part shares."""
