"""The examples speak of commands, options, exit codes and settings that are really there."""

import configparser
import importlib
import json
import re
import runpy
import shlex
import sys
import types
from pathlib import Path

import click
import pytest
import yaml

from tcdatalogger import errors
from tcdatalogger.cli import COMMANDS
from tcdatalogger.cli import cli as program
from tcdatalogger.core.config.configuration import load
from tcdatalogger.core.state.store import State
from tcdatalogger.scheduler import daemon
from tcdatalogger.scheduler.executor import Exit, Job

EXAMPLES = Path(__file__).parents[1] / "examples"
FATAL = {
    each.exit_code for each in (errors.UsageError, errors.KeyRefused, errors.ConfigError)
}  # what trying again does not mend
CONFIG = """
[keys]
default = "env:TORN_API_KEY"
[[endpoints]]
name = "faction_members"
path = "/faction/members"
"""


def understood(words):
    """Whether the program takes these words: command, options and all, without running it."""
    name, *rest = words
    with click.Context(program, info_name="tcdatalogger") as context:
        command = program.get_command(context, name)
        assert command is not None, name
        command.make_context(name, list(rest), parent=context)
    return True


def documents(name):
    return list(yaml.safe_load_all((EXAMPLES / name).read_text()))


def containers(name):
    """Every container of a file, wherever it stands."""

    def within(node):
        if isinstance(node, dict):
            yield from node.get("containers", ())
            for value in node.values():
                yield from within(value)
        elif isinstance(node, list):
            for value in node:
                yield from within(value)

    return [one for document in documents(name) for one in within(document)]


MANIFESTS = ["kubernetes/cronjob.yaml", "kubernetes/deployment.yaml", "cloudrun/job.yaml"]


def test_every_example_is_in_the_list():
    listed = (EXAMPLES / "README.md").read_text()
    files = [f for f in EXAMPLES.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    names = {str(file.relative_to(EXAMPLES)) for file in files} - {"README.md"}
    assert {name for name in names if f"`{name}`" not in listed} == set()


def test_the_lines_of_the_crontab_are_commands_of_ours():
    lines = (EXAMPLES / "cron/crontab").read_text().splitlines()
    jobs = [line.split(maxsplit=5) for line in lines if re.match(r"[*\d]", line)]
    assert len(jobs) == 2
    for *moment, command in jobs:
        assert all(re.fullmatch(r"[\d*/,-]+", part) for part in moment)
        assert "%" not in command  # cron takes it for the end of the line
        tool, *words = shlex.split(command)
        assert tool.endswith("/tcdatalogger")
        assert understood(words[: next(n for n, word in enumerate(words) if ">" in word)])


def test_the_unit_runs_the_daemon_and_gives_it_time_to_end():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(EXAMPLES / "systemd/tcdatalogger.service")
    service = unit["Service"]
    tool, name, *words = shlex.split(service["ExecStart"])
    assert tool.endswith("/tcdatalogger")
    given = dict(zip(words[::2], words[1::2], strict=True))
    assert given.keys() <= {"--config", "--set"}
    assert understood([name])
    assert int(service["TimeoutStopSec"]) > 10
    assert {int(code) for code in service["RestartPreventExitStatus"].split()} < FATAL
    assert service["SuccessExitStatus"] == "143"


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_container_is_given_a_command_and_settings_of_ours(name, tmp_path):
    found = containers(name)
    assert found
    config = tmp_path / "tcdatalogger.toml"
    config.write_text(CONFIG)
    for container in found:
        assert understood(container["args"])
        environ = {one["name"]: one.get("value", "x") for one in container["env"]}
        assert environ["TCDATALOGGER_CONFIG"] == "/etc/tcdatalogger/tcdatalogger.toml"
        load(config, environ, ())  # an unknown setting is an error
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert "config" in mounted


@pytest.mark.parametrize("name", MANIFESTS)
def test_what_is_mounted_is_there(name):
    text = (EXAMPLES / name).read_text()
    documented = documents(name)
    volumes = set(re.findall(r"(?m)^ +- name: (config|secret|data)$", text))
    mounts = {mount["name"] for one in containers(name) for mount in one["volumeMounts"]}
    assert mounts == volumes
    assert all(document["apiVersion"] and document["kind"] for document in documented)


def test_a_pod_that_cannot_succeed_is_not_tried_again():
    [job] = documents("kubernetes/cronjob.yaml")
    spec = job["spec"]["jobTemplate"]["spec"]
    rules = [rule["onExitCodes"]["values"] for rule in spec["podFailurePolicy"]["rules"][:2]]
    assert set(rules[0]) == FATAL
    assert rules[1] == [errors.Busy.exit_code]
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_the_pods_have_time_to_end_and_are_asked_how_they_are():
    [deployment, claim] = documents("kubernetes/deployment.yaml")
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["terminationGracePeriodSeconds"] > 10
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert claim["kind"] == "PersistentVolumeClaim"


def test_airflow_runs_each_endpoint_once_and_takes_busy_for_a_skip(monkeypatch):
    made, dags = [], []

    class Dag:
        def __init__(self, **options):
            self.dag_id = options["dag_id"]
            dags.append(options)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    operators = types.ModuleType("bash")
    operators.BashOperator = lambda **options: made.append(options)
    sdk = types.ModuleType("sdk")
    sdk.DAG = Dag
    names = (
        "airflow airflow.providers airflow.providers.standard airflow.providers.standard.operators"
    )
    for name in names.split():
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "airflow.providers.standard.operators.bash", operators)
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    importlib.invalidate_caches()

    runpy.run_path(str(EXAMPLES / "airflow/tcdatalogger_dag.py"))

    assert len(made) == len(dags) == 3
    assert {dag["max_active_runs"] for dag in dags} == {1}
    for task in made:
        command = re.sub(r"\{\{ dag\.dag_id }}", "d", task["bash_command"])
        command = re.sub(r"\{\{ ts_nodash [^}]*}}", "20260101T000000", command)
        tool, *words = shlex.split(command)
        assert tool == "tcdatalogger"
        assert understood(words)
        assert task["skip_on_exit_code"] == errors.Busy.exit_code


class Sent:
    """A task of the fake Celery: JSON alone travels, and it is done when it is looked at again."""

    def __init__(self, function, words):
        self._todo, self._looked = (function, json.dumps(words)), False
        self.result, self.revoked = None, []

    def ready(self):
        if self._looked and self.result is None and not self.revoked:
            function, words = self._todo
            self.result = json.loads(json.dumps(function(*json.loads(words))))
        self._looked = True
        return self.result is not None or bool(self.revoked)

    def successful(self):
        return not self.revoked

    def revoke(self, *, terminate, signal):
        assert terminate
        self.revoked.append(signal)


@pytest.fixture
def celery(monkeypatch, workplace):
    """The example beside a Celery of one worker; what was sent to it."""
    sent = []

    class Celery:
        def __init__(self, name, *, broker, backend):
            self.facts = name, broker, backend

        def task(self, *, name):
            assert name

            def made(function):
                function.delay = lambda *words: sent.append(Sent(function, words)) or sent[-1]
                return function

            return made

    module = types.ModuleType("celery")
    module.Celery = Celery
    monkeypatch.setitem(sys.modules, "celery", module)
    monkeypatch.setattr(daemon, "BEAT", 0.01)
    monkeypatch.setenv("TCDATALOGGER_CONFIG", str(workplace.file))
    monkeypatch.setenv(*next(iter(workplace.environ.items())))
    often = 'frequency = "PT1H"'
    workplace.write(
        f'[[endpoints]]\nname = "m"\npath = "/faction/members"\n{often}\n'
        f'[[endpoints]]\nname = "c"\npath = "/faction/crimes"\n{often}\ntable = "crimes"\n',
        extra='[backup]\nfrequency = "P1D"\n',
    )
    found = runpy.run_path(str(EXAMPLES / "celery/executor.py"))
    return types.SimpleNamespace(sent=sent, **found)


def test_celery_takes_claimed_runs_and_brings_back_how_they_ended(celery, workplace):
    settings, told = load(workplace.file, {}, ["scheduler.workers=1"]), []
    with State(settings.state.url) as state:
        scheduler = daemon.Daemon(settings, state, celery.CeleryExecutor(), on_event=told.append)
        assert scheduler.run("until idle") == 0
        runs = {run.endpoint: run for run in state.runs()}
        assert state.leases.held() == []

    ended = {one.endpoint: one.report.status for one in told if one.report}
    assert ended == {"m": "done", "c": "done", "/backup": "done"}
    assert {run.status for run in runs.values()} == {"done"}
    assert len(celery.sent) == len(runs) == 3
    assert workplace.value("select count(*) from m") == sum(runs["m"].rows.values()) > 0
    assert runs["m"].token is not None
    assert len(list((workplace.folder / "backups").glob("*Z*"))) == 1


def test_what_celery_lost_is_told_and_what_is_to_end_is_revoked(celery, workplace):
    settings = load(workplace.file, {})
    with State(settings.state.url) as state:
        claim = state.leases.claim("m", "run")
        running = celery.CeleryExecutor()(Job("run", settings, claim))

    assert running.ended() is None
    running.terminate()
    running.kill()

    assert celery.sent[0].revoked == ["SIGTERM", "SIGKILL"]
    assert running.ended() == Exit(None, 1)


def test_the_image_is_made_from_the_lock_file_and_runs_as_nobody_in_particular():
    text = (EXAMPLES.parent / "docker/Dockerfile").read_text()
    assert "--require-hashes -r requirements/run.txt" in text
    assert re.search(r"(?m)^USER (?!root|0)", text)
    entry = re.search(r'(?m)^ENTRYPOINT \["tcdatalogger"]\nCMD \["(\w+)"]', text)
    assert entry is not None
    assert entry[1] in COMMANDS
