"""The page about BigQuery: its statements are statements, its commands are those of the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from analyzer import Refused, parse

from tcdatalogger.core.config import configuration
from tcdatalogger.services.google import quotas, refusals
from tcdatalogger.services.google.address import Address

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/bigquery.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
GIVEN_TO_BQ = re.findall(r"(?m)^bq query .*? '(.*)'$", PAGE)
HERE = Address("torn-1", "faction", "EU")
ACCOUNT = "serviceAccount:tcdatalogger@torn-1.iam.gserviceaccount.com"


@pytest.mark.parametrize("sql", [*BLOCKS, *GIVEN_TO_BQ])
def test_every_statement_of_the_page_is_one_for_googles_parser(sql):
    parse(sql)


def test_all_statements_of_the_page_are_found_and_a_wrong_one_would_be():
    assert (len(BLOCKS), len(GIVEN_TO_BQ)) == (5, 3)
    with pytest.raises(Refused):
        parse(BLOCKS[2].replace("filter using", "filter by"))


@pytest.mark.parametrize(
    "command",
    [
        refusals.grant("bigquery.jobs.create", HERE, ACCOUNT),
        refusals.grant("bigquery.tables.create", HERE, ACCOUNT),
        refusals.grant("bigquery.tables.deleteSnapshot", HERE, ACCOUNT),
        refusals.make_dataset(HERE),
    ],
)
def test_the_commands_of_the_page_are_those_that_check_tells(command):
    assert f"\n{command}\n" in PAGE


def test_the_numbers_of_the_page_are_those_that_check_reckons_with():
    assert f"**{quotas.OUR_WRITES:,} commits a day" in PAGE
    assert f"and to {quotas.OUR_LOADS:,} load jobs" in PAGE
    assert f"**{quotas.PRICE:.2f} US\ndollars for a TiB**" in PAGE
    assert f"| {quotas.LOADS:,} load jobs a day" in PAGE


def test_the_configurations_of_the_page_are_valid(tmp_path):
    parts = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert len(parts) == 2
    for part in parts:
        (tmp_path / "tcdatalogger.toml").write_text(part, encoding="utf-8")
        assert configuration.load(tmp_path / "tcdatalogger.toml", {}).warehouse
