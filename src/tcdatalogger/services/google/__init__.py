"""The cloud warehouse: BigQuery. No other room knows Google's libraries."""
