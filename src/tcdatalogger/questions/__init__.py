"""Questions about what was logged, as data: their text, their meaning here, their answers."""
