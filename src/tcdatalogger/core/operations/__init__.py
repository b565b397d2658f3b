"""Operations on stored rows: backfill, replay, rebuild, rollback, schema changes, quarantine."""
