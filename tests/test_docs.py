"""What the documents promise is there, and what they show runs."""

import re
import sys
from pathlib import Path

import tcdatalogger
from tcdatalogger.cli import COMMANDS
from tcdatalogger.core.views.runs import STATUSES

ROOT = Path(__file__).parents[1]
PACKAGE = f"{Path(tcdatalogger.__file__).parent}/"


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
