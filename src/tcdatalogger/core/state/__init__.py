"""The state database: runs, claims, call slots, key health, alerts."""
