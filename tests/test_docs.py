"""What the documents promise is there, and what they show runs."""

import re
import sys
import tomllib
from collections import Counter
from pathlib import Path

import click
import docs_site
import pytest
import reference

import tcdatalogger
from page_blocks import FILES, LANGUAGES, TESTED_ELSEWHERE, blocks, commands, run_here
from tcdatalogger.cli import COMMANDS, cli
from tcdatalogger.core.config import configuration
from tcdatalogger.core.state.alerts import KINDS
from tcdatalogger.core.views.runs import STATUSES
from tcdatalogger.errors import ConfigError, Failure
from tcdatalogger.observability.metrics import METRICS
from tcdatalogger.services.torncity.catalog import catalog

ROOT = Path(__file__).parents[1]
PACKAGE = f"{Path(tcdatalogger.__file__).parent}/"


def test_the_readme_fits_a_screen():
    readme = (ROOT / "README.md").read_text().splitlines()
    assert len(readme) < 40


def test_every_decision_is_in_the_list_of_decisions():
    listed = (ROOT / "docs/decisions/README.md").read_text()
    pages = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert pages
    assert [page.name for page in pages if page.name not in listed] == []


def test_the_list_of_decisions_is_in_order():
    listed = (ROOT / "docs/decisions/README.md").read_text()
    numbers = re.findall(r"(?m)^(\d+)\. \[.*\]\((\d+)-", listed)
    assert numbers
    assert all(int(one) == int(two) for one, two in numbers)
    assert numbers == sorted(set(numbers), key=lambda pair: int(pair[0]))


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


ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
ROAD = re.findall(
    r"(?m)^\| `([\w/]+\.py)` `([\w.]+)` \|",
    ARCHITECTURE.split("## The road")[1].split("Three values")[0],
)


def test_the_road_of_a_run_is_as_the_architecture_draws_it(workplace):
    entered = {}

    def look(frame, event, _argument):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE):
            file = code.co_filename.removeprefix(PACKAGE)
            entered.setdefault((file, code.co_qualname), len(entered))

    workplace.log("faction_crimes")  # asks whose the key is, which is known for a minute then
    sys.setprofile(look)
    try:
        workplace.log("faction_crimes")
    finally:
        sys.setprofile(None)

    assert len(ROAD) > 15
    assert [station for station in ROAD if station not in entered] == []
    assert sorted(ROAD, key=entered.__getitem__) == ROAD


def test_the_architecture_names_every_room_and_no_module_that_is_gone():
    rooms = [
        *(ROOT / "src/tcdatalogger").iterdir(),
        *(ROOT / "src/tcdatalogger/services").iterdir(),
    ]
    rooms += (ROOT / "src/tcdatalogger/core").iterdir()
    names = [f"{room.name}/" for room in rooms if room.is_dir() and room.name != "__pycache__"]
    assert [name for name in names if name not in ARCHITECTURE] == []
    files = re.findall(r"`((?:[\w]+/)+\w+\.\w+)`", ARCHITECTURE)
    places = (ROOT, ROOT / "src/tcdatalogger")
    assert [f for f in files if not any((place / f).exists() for place in places)] == []


def test_the_words_explain_every_status_of_a_run():
    words = (ROOT / "docs/words.md").read_text().split("## What becomes of a run")[1]
    assert tuple(re.findall(r"(?m)^\| ([a-z ]+) \| [^|]+ \|$", words)[1:]) == STATUSES


# --- blocks

ALL = [block for file in FILES for block in blocks(file)]
HERE = [block for block in ALL if block.page not in TESTED_ELSEWHERE]
RUN = run_here()

MOST_NOT_RUN = 70
"""How many blocks may have a reason not to run."""
LEAST_WORDS = 2
"""Words of such a reason."""


def test_every_block_says_its_language():
    assert [str(block) for block in ALL if block.language not in LANGUAGES] == []


def test_what_a_comment_says_of_a_block_is_known():
    known = {"not run", "runs on until", "appended to", "written to", "exit code", "begin with"}
    assert [str(block) for block in ALL if not block.says.keys() <= known] == []


def test_a_block_that_only_shows_something_holds_no_command():
    wrong = [
        str(block)
        for block in HERE
        if block.language == "text" and "not run" not in block.says
        if re.search(r"(?m)^(\$ |\.venv/bin/|tcdatalogger )", block.text)
        and not block.text.startswith("tcdatalogger sandbox ")
    ]
    assert wrong == []


def test_what_is_not_run_says_why_and_there_is_little_of_it(request):
    left = [block for block in HERE if "not run" in block.says]
    assert [str(block) for block in left if len(block.says["not run"].split()) < LEAST_WORDS] == []
    counted = Counter(block.says["not run"] for block in left)
    told = [f"{count:4d}  {reason}" for reason, count in counted.most_common()]
    told.insert(0, f"{len(RUN)} blocks of the pages run, {len(left)} do not:")
    request.node.add_report_section("call", "blocks", "\n".join(told))
    assert len(left) <= MOST_NOT_RUN
    assert len(RUN) > 60


def wrong_words(words: list[str]) -> str:
    """What the command line says against words, "" where it takes them."""
    context = click.Context(cli, info_name="tcdatalogger", **cli.context_settings)
    command, rest = cli, list(words)
    try:
        while isinstance(command, click.Group) and rest:
            command.parse_args(context, rest)
            rest = [*context._protected_args, *context.args]
            if not rest:  # a group that does something by itself
                return ""
            name, *rest = rest
            below = command.get_command(context, name)
            if below is None:
                return f"no command {name}"
            command = below
            context = click.Context(below, info_name=name, parent=context)
        values, rest, _ = command.make_parser(context).parse_args(rest)
        for option in command.params:
            if isinstance(option.type, click.Choice) and values.get(option.name) is not None:
                option.type_cast_value(context, values[option.name])
    except click.exceptions.Exit:  # --version, --help
        return ""
    except (click.UsageError, Failure) as error:
        return str(error)
    return f"one word too many: {rest}" if rest else ""


CALLS = [(str(b), words) for b in ALL if b.language == "sh" for words in commands(b.text)]
CALLS += [
    (name, words)
    for name, text in reference.pages().items()
    for shell in re.findall(r"(?ms)^```sh\n(.*?)^```$", text)
    for words in commands(shell)
]
SPOKEN = [
    (file.name, words)
    for file in FILES
    for code in re.findall(r"`(tcdatalogger [^`\n]+)`", file.read_text("utf-8"))
    for words in commands(code)
    if not re.search(r"[…|]|COMMAND", " ".join(words))
]
"""Commands in sentences."""


def test_every_command_that_a_page_or_a_help_shows_is_one_of_the_program():
    wrong = [(place, words, said) for place, words in CALLS if (said := wrong_words(words))]
    assert wrong == []
    assert len(CALLS) > 120


def test_every_command_in_a_sentence_is_one_of_the_program():
    wrong = [(place, words, said) for place, words in SPOKEN if (said := wrong_words(words))]
    assert wrong == []
    assert len(SPOKEN) > 60


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--all", "--if-due"], ""),
        (["run", "--alll"], "alll"),
        (["backup", "--lists"], "lists"),
        (["keys", "chek"], "chek"),
        (["rnu"], "rnu"),
    ],
)
def test_a_command_that_does_not_exist_is_found(words, said):
    assert said in wrong_words(words)
    assert bool(wrong_words(words)) == bool(said)


TOML = [b for b in HERE if b.language == "toml" and "not run" not in b.says]


@pytest.mark.parametrize("block", TOML, ids=str)
def test_every_part_of_a_configuration_is_valid(block, tmp_path):
    given = tomllib.loads(block.text)
    (tmp_path / "tcdatalogger.toml").write_text(block.text, encoding="utf-8")
    (tmp_path / "levels.py").touch()
    problems: tuple[str, ...] = ()
    try:
        configuration.load(tmp_path / "tcdatalogger.toml", {})
    except ConfigError as error:
        problems = error.problems or (str(error),)
    lacking = [name for name in ("keys", "channels") if name not in given]  # they stand elsewhere
    assert [said for said in problems if not any(name in said for name in lacking)] == []


# --- the site


def test_every_page_is_in_the_navigation_once():
    pages = docs_site.pages()
    named = Counter(docs_site.navigation())
    wanted = Counter(name for name in pages if not docs_site.hidden(name))
    assert named - wanted == Counter(), "the navigation names pages that are not there"
    assert wanted - named == Counter(), "add them to `nav` of zensical.toml"


def test_every_file_of_the_repository_that_a_page_names_is_there():
    folders = "tests|scripts|benchmarks|docker|examples|config|docs|requirements"
    named = {
        (file.name, path)
        for file in FILES
        for path in re.findall(rf"`((?:{folders})/[\w./-]+)`", file.read_text("utf-8"))
    }
    assert [each for each in sorted(named) if not (ROOT / each[1]).exists()] == []
    assert len(named) > 20


def test_a_bar_in_a_table_is_shown_as_a_bar_on_the_site():
    pages = docs_site.pages()
    assert "--log-level [debug&#124;info" in pages["reference/commands.md"]
    lines = [line for text in pages.values() for line in text.splitlines() if line[:1] == "|"]
    assert [line for line in lines if re.search(r"`[^`]*\\\|[^`]*`", line)] == []


def test_every_link_of_the_repository_leads_to_a_file():
    wrong = []
    for file in FILES:
        text = re.sub(r"(?ms)^```.*?^```$", "", file.read_text("utf-8"))
        for target in re.findall(r"\]\(([^()\s]+)\)", text):
            path = target.partition("#")[0]
            if path and "://" not in path and not (file.parent / path).exists():
                wrong.append((file.name, target))
    assert wrong == []


def test_the_reference_has_every_command_setting_table_metric_and_code():
    pages = reference.pages()
    commands_page = pages["reference/commands.md"]
    assert [name for name in COMMANDS if f"\n### {name}\n" not in commands_page] == []
    known = catalog.load()
    assert {endpoint.section for endpoint in known.endpoints} == set(reference.SECTIONS)
    for endpoint in known.endpoints:
        page = pages[f"reference/tables-{endpoint.section}.md"]
        assert f"\n## {endpoint.path}\n" in page
        for table in endpoint.family.tables if endpoint.family else ():
            assert f"**`{table.name}`**" in page
            assert all(
                f"| `{column.name}` |" in page for column in table.columns if not column.ours
            )
    assert all(f"`tcdatalogger_{name}`" in pages["reference/metrics.md"] for name in METRICS)
    codes = re.findall(r"(?m)^\| (\d+) \|", pages["reference/exit-codes.md"])
    assert list(map(int, codes)) == [0, 1, 2, 65, 69, 75, 77, 78, 124, 130, 141, 143]


def test_the_reference_says_meaning_type_and_default_of_every_setting():
    page = reference.settings()
    settings = re.split(r"(?m)^### ", page)[1:]
    assert len(settings) > 90
    for setting in settings:
        name, _, rest = setting.partition("\n")
        assert "- type: " in rest, name
        assert len(rest.split("- type: ")[0].strip()) > 10, name
    assert page.count("- default: ") > 40
    assert page.count("- example: ") > 80


def test_every_alert_has_a_word_on_what_to_do():
    page = (ROOT / "docs/operate/alerts.md").read_text("utf-8")
    headings = re.findall(r"(?m)^## (\w+)$", page)
    assert [kind for kind in (*KINDS, "digest") if kind not in headings] == []
    rules = (ROOT / "docker/grafana/rules.yml").read_text("utf-8")
    assert [name for name in re.findall(r"alert: (\w+)", rules) if name not in page] == []


def test_a_built_page_with_a_wrong_link_or_a_foreign_script_is_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<h1 id="here">A</h1><a href="b.html#there">b</a><a href="#here">a</a>'
        '<a href="c.html">c</a>'
        '<script src="https://cdn.example/x.js"></script><a href="https://torn.com">t</a>'
    )
    (tmp_path / "b.html").write_text('<h1 id="other">B</h1>')
    found = list(docs_site.faults(tmp_path))
    assert len(found) == 3
    assert all(word in str(found) for word in ("no such heading", "not there", "loads https"))
