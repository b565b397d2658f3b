"""The central orchestrator: what is due, in which process, for how long."""
