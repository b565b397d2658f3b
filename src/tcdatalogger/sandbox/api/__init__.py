"""The API of the simulated city: Torn's rules and the answers."""
