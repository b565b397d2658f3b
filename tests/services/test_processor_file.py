"""A processor that stands in a file beside the configuration: `processor = "levels.py:Levels"`."""

from __future__ import annotations

import pytest

LEVELS = '''
from dataclasses import dataclass

import pyarrow as pa

from tcdatalogger.services.torncity.processing.base import EndpointProcessor


@dataclass
class Level:
    id: int
    level: int


class Levels(EndpointProcessor):
    """A row for each member: who it is, and the level."""

    def transform_data(self, fetched):
        members = [m for body in fetched.json() for m in body["members"]]
        rows = [Level(m["id"], m["level"] + ADDED) for m in members]
        return pa.Table.from_pylist([vars(row) for row in rows])


ADDED = 0
number = 1
'''
ENDPOINT = """
[[endpoints]]
name = "levels"
path = "/faction/members"
processor = "own/levels.py:Levels"
key = "id"
"""


@pytest.fixture
def place(workplace):
    """A folder with the processor's file in a folder of its own, and an endpoint that names it."""
    (workplace.folder / "own").mkdir()
    file(workplace).write_text(LEVELS)
    workplace.write(ENDPOINT)
    return workplace


def file(place):
    return place.folder / "own/levels.py"


def highest(place, run_id):
    return place.value(f"select max(level) from levels where _run_id = '{run_id}'")


def test_its_rows_are_logged_wherever_the_command_is_called(place, tmp_path_factory):
    place.patch.chdir(tmp_path_factory.mktemp("elsewhere"))

    record = place.log("levels").record

    assert (record.status, record.rows) == ("done", {"levels": 30})
    assert place.value("select count(distinct _subject_id) from levels") == 1


def test_an_edit_counts_from_the_next_run_on_and_for_what_is_made_again(place):
    first = place.log("levels").record
    before = highest(place, first.run_id)
    file(place).write_text(LEVELS.replace("ADDED = 0", "ADDED = 1"))

    second = place.log("levels").record
    assert highest(place, second.run_id) == before + 1
    assert highest(place, first.run_id) == before

    assert place.run("replay", first.run_id).code == 0
    assert highest(place, first.run_id) == before + 1
    file(place).write_text(LEVELS.replace("ADDED = 0", "ADDED = 2"))
    assert place.run("rebuild", "levels").code == 0
    assert highest(place, first.run_id) == highest(place, second.run_id) == before + 2


def test_the_same_answers_are_something_new_once_the_file_was_edited(place):
    place.write(ENDPOINT + 'storage_mode = "replace"\n')
    first, same = place.log("levels").record, place.log("levels").record
    file(place).write_text(LEVELS.replace("ADDED = 0", "ADDED = 1"))
    edited = place.log("levels").record

    assert [one.unchanged for one in (first, same, edited)] == [False, True, False]


@pytest.mark.slow
def test_it_works_in_the_processes_of_the_scheduler(place):
    place.write(ENDPOINT + 'frequency = "PT1H"\n')

    done = place.process("schedule", "--once")

    assert done.code == 0, done.err
    assert place.value("select count(*) from levels") == 30


def broken(code):
    return lambda path: path.write_text(code)


MISTAKES = {
    "the file is not there": (
        lambda path: path.unlink(), "There is no file", "folder of the configuration"
    ),
    "the class is not there": (
        broken(LEVELS.replace("class Levels", "class Level5")),
        "levels.py has no class 'Levels'", "Did you mean 'Level5'?",
    ),
    "there is no class at all": (
        broken("Kind = 1"), "no class 'Levels'", "It has no EndpointProcessor at all"
    ),
    "it is no processor": (
        broken("class Levels:\n    pass\n"),
        "is no EndpointProcessor", "Derive it from tcdatalogger.EndpointProcessor",
    ),
    "it is no class": (broken("Levels = 3"), "is no EndpointProcessor", "Derive it"),
    "it is no Python": (
        broken("import os\n\nclass Levels(\n"), "levels.py, line 3, ends in SyntaxError", "Correct"
    ),
    "it is a binary": (
        lambda path: path.write_bytes(b"\0\xff"), "ends in SyntaxError", "Correct the file"
    ),
    "an import is missing": (
        broken("\nimport no_such_module\n"),
        "line 2, ends in ModuleNotFoundError: No module named 'no_such_module'", "installed",
    ),
    "its code fails": (
        broken("def f():\n    1 / 0\n\nf()\n"), "line 2, ends in ZeroDivisionError", ""
    ),
    "it calls for the end": (broken("raise SystemExit('bye')"), "ends in SystemExit: bye", ""),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_it_is_told_with_the_others_of_the_configuration(place, mistake):
    spoil, says, remedy = MISTAKES[mistake]
    spoil(file(place))
    place.write(ENDPOINT + 'frequency = "1h"\n')
    text = place.file.read_text().splitlines()
    at = text.index('processor = "own/levels.py:Levels"') + 1

    for words in (("check",), ("config", "show")):
        done = place.run(*words, "--json")

        assert done.code == 78
        wrong, other = done.json["error"]["problems"]
        assert wrong.startswith(f"tcdatalogger.toml:{at}: endpoints.levels.processor: ")
        assert says in wrong
        assert remedy in wrong
        assert "frequency" in other


def test_one_that_cannot_be_imported_fails_its_own_run_and_no_other(place):
    file(place).write_text("import no_such_module")
    place.write(ENDPOINT + '[[endpoints]]\nname = "basic"\npath = "/faction/basic"\n')

    done = place.run("run", "--all", "--json")

    assert done.code == 78
    assert [run["status"] for run in done.json] == ["failed", "done"]
    assert "no_such_module" in done.json[0]["error"]["message"]


@pytest.mark.parametrize("name", ["own/levels.py", "own/levels.py:"])
def test_a_file_without_a_class_is_told_how_to_name_one(place, name):
    place.write(ENDPOINT.replace("own/levels.py:Levels", name))

    done = place.run("check")

    assert done.code == 78
    assert 'Write processor = "levels.py:CLASS".' in done.err


def test_a_file_that_cannot_be_imported_leaves_nothing_of_it(place):
    file(place).write_text("raise KeyError('first')\n" + LEVELS)
    assert place.log("levels").record.status == "failed"
    file(place).write_text(LEVELS)

    assert place.log("levels").record.status == "done"


def test_an_error_of_its_steps_is_told_with_its_file_and_line(place):
    file(place).write_text(LEVELS.replace('m["level"] + ADDED', 'm["levl"]'))
    at = LEVELS[: LEVELS.index('m["level"]')].count("\n") + 1

    done = place.run("run", "levels")

    assert done.code == 1
    assert f"levels.py, line {at}, ended in KeyError: 'levl'" in done.err
    assert "should not have happened" not in done.err
    assert f"levels.py, line {at}," in place.run("runs", "show", "last").out


def test_it_is_read_as_python_reads_any_file(place):
    """Nothing of ours is carried over into it, such as how annotations are kept."""
    file(place).write_text(f"{LEVELS}\nassert Level.__annotations__ == {{'id': int, 'level': int}}")

    assert place.log("levels").record.status == "done"
