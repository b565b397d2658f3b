"""What is told of the scheduler: metrics, health, alerts."""
