"""What people are shown of runs, tables and records: values that the commands print."""
