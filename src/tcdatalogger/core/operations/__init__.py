"""What is done with rows that are stored: replay, rebuild, rollback, and the like."""
