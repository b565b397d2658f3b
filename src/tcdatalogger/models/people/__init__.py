"""Players who are forgotten: what stands in place of ids and names in texts, bodies and tables."""
