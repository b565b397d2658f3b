"""What the documents promise is there, and what they show runs."""

import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tcdatalogger.cli import COMMANDS

ROOT = Path(__file__).parents[1]
RECIPES = [
    sql
    for block in re.findall(r"```sql\n(.*?)```", (ROOT / "docs/recipes.md").read_text(), re.DOTALL)
    for sql in block.split(";")
    if sql.strip() and "…" not in sql
]


def test_the_readme_names_every_command():
    readme = (ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if f"`{name}" not in readme] == []


def test_every_decision_is_in_the_list_of_decisions():
    listed = (ROOT / "docs/decisions/README.md").read_text()
    pages = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert pages
    assert [page.name for page in pages if page.name not in listed] == []


def test_the_list_of_decisions_is_in_order():
    listed = (ROOT / "docs/decisions/README.md").read_text()
    numbers = re.findall(r"(?m)^(\d+)\. \[.*\]\((\d+)-", listed)
    assert [(int(one), int(two)) for one, two in numbers] == [
        (number, number) for number in range(1, len(numbers) + 1)
    ]


def test_nothing_tells_to_install_a_package_that_is_not_published():
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "config").iterdir()]
    files += [*(ROOT / "examples").rglob("*.*"), *(ROOT / "src").rglob("*.py")]
    wrong = [
        file.name for file in files if re.search(r"install \S*tcdatalogger\b", file.read_text())
    ]
    assert wrong == []


def test_a_version_of_the_changelog_has_each_heading_once():
    for version in (ROOT / "CHANGELOG.md").read_text().split("\n## ")[1:]:
        headings = re.findall(r"(?m)^### (.*)$", version)
        assert len(headings) == len(set(headings)), headings


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """The demo's warehouse, as a reader of the recipes has it."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    words = ["-m", "tcdatalogger", "demo", "--to", str(folder), "--polls", "4"]
    subprocess.run([sys.executable, *words], check=True, capture_output=True, timeout=120)
    return folder


@pytest.mark.parametrize("sql", RECIPES)
def test_a_recipe_runs_on_what_the_demo_logged(logged, sql):
    with duckdb.connect(str(logged / "torn.duckdb"), read_only=True) as connection:
        table = connection.sql(sql).to_arrow_table()
    assert table.num_columns > 2
    if "_tcd_" not in sql:
        assert table.num_rows
