from __future__ import annotations

import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tcdatalogger.core.config.secrets import Secret
from tcdatalogger.errors import ConfigError
from tcdatalogger.observability import log

KEY = "l0gG3dK3y0000001"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def quiet_again():
    """What `configure` decides is for the process, and this one has other tests to run."""
    handlers = list(logging.getLogger().handlers)
    yield
    log.stop()
    logging.getLogger().handlers = handlers


def written(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_nothing_is_written_before_the_edge_of_the_process_says_so(capsys):
    log.get_logger("core.pipeline").error("lost")
    assert capsys.readouterr() == ("", "")


def test_a_line_says_when_who_what_and_in_which_run():
    stream = io.StringIO()
    log.configure("info", "json", stream=stream)
    logger = log.get_logger("core.pipeline")
    with log.bound(run_id="r1", endpoint="faction_crimes"):
        with log.bound(step="fetch"):
            logger.info("page_fetched", rows=20)
        logger.warning("slow", seconds=1.5)
    logger.error("outside")
    first, second, third = written(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", first.pop("timestamp"))
    assert first == {
        "level": "info",
        "event": "page_fetched",
        "component": "core.pipeline",
        "run_id": "r1",
        "endpoint": "faction_crimes",
        "step": "fetch",
        "rows": 20,
        "process": os.getpid(),
    }
    assert (second["run_id"], second["level"], "step" in second) == ("r1", "warning", False)
    assert "run_id" not in third


def test_the_run_is_forgotten_when_it_fails():
    stream = io.StringIO()
    log.configure("info", "json", stream=stream)
    with pytest.raises(ZeroDivisionError), log.bound(run_id="r1"):
        1 / 0  # noqa: B018
    log.get_logger("x").info("after")
    assert "run_id" not in written(stream)[0]


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_only_lines_of_the_level_are_written(level, seen):
    stream = io.StringIO()
    log.configure(level, "json", stream=stream)
    logger = log.get_logger("x")
    for name in log.LEVELS:
        getattr(logger, name)("event")
    assert [line["level"] for line in written(stream)] == seen


def test_lines_are_for_people_on_a_terminal_and_json_elsewhere(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = {}
    for name, format_, stream in (
        ("terminal", "auto", Terminal()),
        ("pipe", "auto", io.StringIO()),
        ("human pipe", "human", io.StringIO()),
    ):
        log.configure("info", format_, stream=stream)
        log.get_logger("x").info("page_fetched", rows=20)
        shown[name] = stream.getvalue()
    assert "\x1b[" in shown["terminal"]
    line = json.loads(shown["pipe"])
    assert (line["event"], line["rows"]) == ("page_fetched", 20)
    assert "page fetched" in shown["human pipe"]
    assert "rows=20" in shown["human pipe"]
    assert "\x1b[" not in shown["human pipe"]


def test_no_color_is_obeyed_on_a_terminal(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    log.configure("info", "auto", stream=stream)
    log.get_logger("x").info("event")
    assert "\x1b[" not in stream.getvalue()


def test_a_line_of_a_terminal_leaves_out_what_only_programs_need(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    shown = {}
    for format_ in ("auto", "human"):
        stream = Terminal()
        log.configure("info", format_, stream=stream)
        with log.bound(run_id="20261127T120000-0a1b2c3d", endpoint="members"):
            log.get_logger("run").warning("drift_found", column="rank")
        shown[format_] = stream.getvalue().rstrip()
    assert shown["auto"][8:] == "Z [warning] drift found: endpoint=members column=rank"
    assert len(shown["auto"]) <= 80
    assert "run_id=20261127T120000-0a1b2c3d" in shown["human"]


def test_a_file_gets_every_line_as_json_beside_the_terminal(tmp_path):
    file = tmp_path / "deep" / "log.jsonl"
    stream = Terminal()
    log.configure("info", "human", file, stream)
    log.get_logger("x").info("event", rows=1)
    assert json.loads(file.read_text())["rows"] == 1
    assert "event" in stream.getvalue()
    log.configure("info", "json", file, io.StringIO())
    log.get_logger("x").info("again")
    assert len(file.read_text().splitlines()) == 2


def test_a_log_file_that_cannot_be_written_is_a_mistake_of_the_configuration(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"log\.file"):
        log.configure(file=tmp_path / "file" / "log.jsonl")


@pytest.mark.parametrize("format_", ["json", "human"])
def test_no_secret_and_no_body_comes_into_a_line(format_):
    secret = Secret("default", KEY)
    stream = io.StringIO()
    log.configure("debug", format_, stream=stream)
    logger = log.get_logger("x")
    with log.bound(bound_key=KEY):
        logger.info(
            f"event with {KEY}",  # noqa: G004  # just what is not to be done
            secret=secret,
            text=KEY,
            url=f"https://x?key={KEY}",
            header="ApiKey unregistered0001",
            deep={"list": [KEY, {KEY: KEY}], "tuple": (KEY,), "set": {KEY}},
            error=ValueError(KEY),
            path=Path(KEY),
            body=b'{"members": []}',
            view=memoryview(b"{}"),
            long="x" * 5_000,
        )
        try:
            int(f"https://x?key={KEY}")
        except ValueError:
            logger.exception("failed")
    text = stream.getvalue()
    assert KEY not in text
    assert "unregistered0001" not in text
    assert "members" not in text
    assert "<15 bytes>" in text
    assert "(5000 characters)" in text
    assert len(text) < 6_000
    assert "ValueError: invalid literal" in text


def test_other_libraries_lines_are_structured_and_redacted_too():
    Secret("default", KEY)
    stream = io.StringIO()
    log.configure("info", "json", stream=stream)
    log.configure("info", "json", stream=stream)  # twice does not mean each line twice
    logging.getLogger("some.library").warning("sent %s", KEY)
    logging.getLogger("some.library").info("not wanted")
    (line,) = written(stream)
    assert (line["component"], line["message"]) == ("some.library", "sent ***")
    assert line["event"] == "library_message"


def test_a_closed_terminal_does_not_end_a_run():
    stream = io.StringIO()
    log.configure("info", "json", stream=stream)
    stream.close()
    log.get_logger("x").info("nobody reads this")


def test_threads_write_whole_lines():
    stream = io.StringIO()
    log.configure("info", "json", stream=stream)
    logger = log.get_logger("x")

    def write(number):
        with log.bound(run_id=number):
            for count in range(50):
                logger.info("event", count=count)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = written(stream)
    assert sorted((line["run_id"], line["count"]) for line in lines) == [
        (n, count) for n in range(4) for count in range(50)
    ]


def test_other_libraries_say_no_more_than_they_did_and_nothing_where_only_errors_are_wanted():
    talkative = logging.getLogger("some.talkative.library")
    talkative.setLevel(logging.DEBUG)
    stream = io.StringIO()
    log.configure("debug", "json", stream=stream)
    talkative.info("not wanted")
    log.configure("error", "json", stream=stream)
    talkative.warning("not wanted either")
    assert stream.getvalue() == ""


def test_a_line_of_another_library_belongs_to_the_run_that_called_it():
    stream = io.StringIO()
    log.configure("info", "json", stream=stream)
    with log.bound(run_id="r1"):
        logging.getLogger("some.library").critical("lost")
    (line,) = written(stream)
    assert (line["run_id"], line["level"]) == ("r1", "error")


def test_a_handler_of_the_program_around_us_gets_no_secret_either():
    Secret("default", KEY)
    records = []
    around = logging.Handler()
    around.emit = records.append
    log.configure("info", "json", stream=io.StringIO())
    logging.getLogger().addHandler(around)
    try:
        int(KEY)
    except ValueError:
        log.get_logger("x").exception("failed", key=KEY)
    (record,) = records
    assert KEY not in repr(vars(record)) + logging.Formatter().format(record)


def test_what_a_stranger_wrote_stays_one_line_on_a_terminal_and_obeys_nothing():
    stream = Terminal()
    log.configure("info", "auto", stream=stream)
    log.get_logger("x").warning("data_warning", message="a\nb \x1b]0;c\x07", empty="")
    (line,) = stream.getvalue().splitlines()
    assert "\x1b]" not in line
    assert r"a\nb" in line
    assert "data warning" in line
    assert line.count("''") == 1


def test_a_fault_of_ours_in_a_line_is_not_hidden():
    class Broken(io.StringIO):
        def write(self, text):  # noqa: ARG002 - the stream's signature
            raise ZeroDivisionError

    log.configure("info", "json", stream=Broken())
    with pytest.raises(ZeroDivisionError):
        log.get_logger("x").info("event")


def test_a_line_imports_nothing_but_the_standard_library():
    code = (
        "import sys; from tcdatalogger.observability import log\n"
        "log.configure('info', 'human'); log.get_logger('x').info('seen')\n"
        "strange = {n.partition('.')[0] for n in sys.modules} - set(sys.stdlib_module_names)\n"
        "print(*sorted(name for name in strange if name[0] not in '_$' and name != 'coverage'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", code],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "seen" in done.stderr
    assert done.stdout.split() == ["tcdatalogger"]
