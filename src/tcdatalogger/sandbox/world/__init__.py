"""The people, things and events of the simulated city."""
