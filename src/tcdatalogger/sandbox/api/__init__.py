"""How the city answers."""
