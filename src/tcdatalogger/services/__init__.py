"""The outside world, one folder for each outside party."""
