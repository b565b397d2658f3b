"""A scheduled run, in its own process with its limits, whose archive is in a bucket."""

from __future__ import annotations

import pytest


@pytest.mark.slow
def test_a_scheduled_run_has_the_threads_and_the_memory_for_a_bucket(yard, buckets):
    name = buckets.make()
    yard.write(("faction_members", 'memory = "512MB"'))
    text = yard.place.file.read_text()
    yard.place.file.write_text(text.replace('path = "archive"', f'path = "{buckets.url(name)}"'))
    assert buckets.url(name) in yard.place.file.read_text()

    code, runs, said = yard.schedule("--once")

    assert code == 0, said
    assert runs["faction_members"]["status"] == "done"
    assert len(buckets.names(name)) == 1
