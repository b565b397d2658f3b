"""How people and programs watch the scheduler: metrics, health, alerts."""
