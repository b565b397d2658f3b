"""What the program tells about itself: logs that carry a run's name and never a key."""
