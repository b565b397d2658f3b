"""A processor that stands in a file beside the configuration: `processor = "levels.py:Levels"`."""

from __future__ import annotations

import pytest

LEVELS = '''
from dataclasses import dataclass

import pyarrow as pa

from tcdatalogger import EndpointProcessor


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


# A column of its own

HALF = """
import pyarrow.compute as pc
from tcdatalogger import EndpointProcessor


class Levels(EndpointProcessor):
    def transform_data(self, fetched):
        made = super().transform_data(fetched)
        return made.with_column("half", pc.divide(made.tables["levels"]["level"], 2))
"""
DECLARED = """
    def plain_family(self, shape=None):
        return super().plain_family(shape).with_column("half", "int")
"""
PLAIN = ENDPOINT.replace('processor = "own/levels.py:Levels"\n', "")


def checked(place, *, code=0):
    done = place.run("check", "--json")
    assert done.code == code
    return {found["part"]: found["problem"] or found["says"] for found in done.json["findings"]}


@pytest.mark.parametrize("mode", ["append", "replace", "merge", "history"])
def test_a_column_that_it_adds_is_stored_in_every_mode_and_is_the_processors_doing(place, mode):
    place.write(PLAIN + f'storage_mode = "{mode}"\n')
    place.log("levels").raise_for_error()
    file(place).write_text(HALF + DECLARED)
    place.write(ENDPOINT + f'storage_mode = "{mode}"\n')
    place.clock.sleep(60)

    planned = place.run("schema", "apply", "levels", "--dry-run")
    place.log("levels").raise_for_error()

    assert planned.code == 0, planned.err
    assert "half" in planned.out
    assert place.value("select count(*) from levels where half = level // 2") == 30
    causes = [line["cause"] for line in place.run("schema", "history", "--json").json]
    assert causes == ["first load", "processor"]


def test_a_new_column_of_a_frame_is_the_processors_doing_too(place):
    place.log("levels").raise_for_error()
    file(place).write_text(
        LEVELS.replace("    level: int\n", "    level: int\n    more: int = 1\n")
    )
    place.log("levels").raise_for_error()

    causes = [line["cause"] for line in place.run("schema", "history", "--json").json]
    assert causes == ["first load", "processor"]


def test_check_says_what_it_cannot_look_at_where_tables_are_not_declared(place):
    file(place).write_text(HALF)
    undeclared = checked(place)
    file(place).write_text(HALF + DECLARED)
    place.log("levels").raise_for_error()
    declared = checked(place)
    place.write(ENDPOINT + 'checks = [{ column = "hlf", max = 5 }]\n')
    wrong = checked(place, code=78)

    assert "key of levels" not in undeclared
    assert "does not declare its tables (`plain_family`)" in undeclared["processor of levels"]
    assert "processor of levels" not in declared
    assert declared["key of levels"].endswith("30 keys")
    assert "did you mean 'half'?" in wrong["levels"]


def test_rows_wait_for_a_processor_that_makes_other_tables_than_it_says(place):
    broken = HALF.replace('return made.with_column("half", ', 'half = ("half", ') + (
        "        from dataclasses import replace\n"
        '        table = made.tables["levels"].append_column(*half)\n'
        '        return replace(made, tables={"levels": table})\n'
    )
    file(place).write_text(broken)
    run = place.log("levels")

    assert run.status == "pending"
    assert "column levels.half is not in the family" in str(run.error)
    file(place).write_text(HALF)
    place.log("levels").raise_for_error()
    assert place.value("select count(half) from levels") == 60
