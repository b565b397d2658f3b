"""The cloud warehouse: BigQuery."""
