"""What every warehouse shares."""
