"""What commands say where nothing is stored: whether the dataset is there, and what helps."""

from __future__ import annotations

import pytest

NEED_ROWS = (
    ("schema", "history"),
    ("schema", "diff", "faction_basic", "1", "2"),
    ("schema", "apply", "faction_basic"),
    ("quarantine", "list"),
    ("quarantine", "show", "1"),
    ("backup", "--to", "safe"),
    ("copy", "--to", "duckdb:///copy.duckdb"),
)


@pytest.fixture
def say(workplace, bigquery, bigquery_url, monkeypatch):
    """What each command says; all of them fail."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.endpoint)

    def say(words, url=bigquery_url):
        done = workplace.run(*words, "--set", f"warehouse.url={url}")
        assert done.code, words
        return done.err

    return say


@pytest.mark.parametrize("words", NEED_ROWS, ids=" ".join)
def test_a_dataset_that_is_not_there_is_made_by_the_line_that_is_told(say, words):
    said = say(words, "bigquery://tcd-tests/nowhere?location=EU")

    assert "The dataset tcd-tests.nowhere is not there" in said
    assert "`bq --location=EU mk --dataset tcd-tests:nowhere`" in said


@pytest.mark.parametrize("words", [NEED_ROWS[0], NEED_ROWS[3], NEED_ROWS[5]], ids=" ".join)
def test_where_a_dataset_is_empty_a_run_stores_something(say, bigquery_url, words):
    said = say(words)

    assert f"Nothing has been stored in {bigquery_url} yet" in said
    assert "run --all` stores some" in said
