"""The people and things of the city."""
