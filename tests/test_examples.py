"""The examples speak of commands, options, exit codes and settings that are really there."""

import configparser
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

from tcdatalogger import __version__, errors
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


KUBERNETES = ["kubernetes/cronjob.yaml", "kubernetes/deployment.yaml"]
MANIFESTS = [*KUBERNETES, "cloudrun/job.yaml"]
IN_THE_IMAGE = "/data/tcdatalogger.toml"
OF_THE_IMAGE = 10001


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
        load(config, environ, ())  # an unknown setting is an error
        places = [
            (mount["mountPath"], mount.get("subPath"))
            for mount in container["volumeMounts"]
            if mount["name"] == "config"
        ]
        file = Path(environ.get("TCDATALOGGER_CONFIG", IN_THE_IMAGE))
        assert places in ([(str(file), file.name)], [(str(file.parent), None)])


@pytest.mark.parametrize("name", MANIFESTS)
def test_what_is_mounted_is_there(name):
    text = (EXAMPLES / name).read_text()
    documented = documents(name)
    volumes = set(re.findall(r"(?m)^ +- name: (config|secret|data|tmp)$", text))
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
    [deployment] = documents("kubernetes/deployment.yaml")
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["terminationGracePeriodSeconds"] > 10
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


@pytest.mark.parametrize("name", KUBERNETES)
def test_a_pod_keeps_to_the_standard_restricted_of_pod_security(name):
    """As the pages of Kubernetes list it; every volume is of a kind that the standard allows."""
    [document] = documents(name)
    spec = document["spec"]
    spec = spec.get("jobTemplate", document)["spec"]["template"]["spec"]
    pod = spec["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] == pod["runAsGroup"] == pod["fsGroup"] == OF_THE_IMAGE
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    for container in spec["containers"]:
        rights = container["securityContext"]
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert rights["readOnlyRootFilesystem"] is True
        assert not any("hostPort" in port for port in container.get("ports", ()))
    kinds = {kind for volume in spec["volumes"] for kind in set(volume) - {"name"}}
    assert kinds <= {"configMap", "secret", "persistentVolumeClaim", "emptyDir"}


def test_the_volume_that_pods_claim_has_a_file_which_their_heads_name():
    [claim] = documents("kubernetes/volume.yaml")
    assert claim["kind"] == "PersistentVolumeClaim"
    for name in KUBERNETES:
        text = (EXAMPLES / name).read_text()
        assert f"claimName: {claim['metadata']['name']}}}" in text
        assert "kubectl apply -f examples/kubernetes/volume.yaml" in text


def test_every_image_of_ours_is_that_of_this_version():
    texts = [(EXAMPLES / name).read_text() for name in KUBERNETES]
    texts.append((EXAMPLES.parent / "compose.yaml").read_text())
    assert {tag for text in texts for tag in re.findall(r"tcdatalogger:(\S+)", text)} == {
        __version__
    }


def test_compose_runs_the_logger_and_its_pages_as_nobody_in_particular():
    services = yaml.safe_load((EXAMPLES.parent / "compose.yaml").read_text())["services"]
    assert set(services) == {"logger", "dashboard", "prometheus", "grafana"}
    for name in ("logger", "dashboard"):
        service = services[name]
        assert understood(service["command"])
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["user"].startswith("${OWNER:-10001")
    other = [service["image"] for service in services.values() if "build" not in service]
    assert all(re.search(r":v?\d+\.\d+\.\d+$", image) for image in other)


def test_the_key_of_the_examples_stands_where_their_setting_says(tmp_path):
    config = tmp_path / "tcdatalogger.toml"
    config.write_text(CONFIG)
    found = load(config, {"TCDATALOGGER_KEYS__DEFAULT": "file:/run/secrets/torn_key"})
    assert found.keys["default"] == "file:/run/secrets/torn_key"


@pytest.fixture
def airflow(monkeypatch):
    """The example beside an Airflow of two classes; its DAGs and tasks."""
    made, dags = [], []

    class Dag:
        def __init__(self, **options):
            self.dag_id = options["dag_id"]
            dags.append(options)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    class BaseOperator:
        def __init__(self, **options):
            self.options = options
            made.append(self)

    sdk, exceptions = types.ModuleType("sdk"), types.ModuleType("exceptions")
    sdk.DAG, sdk.BaseOperator = Dag, BaseOperator
    for name in ("AirflowException", "AirflowFailException", "AirflowSkipException"):
        setattr(exceptions, name, type(name, (Exception,), {}))
    monkeypatch.setitem(sys.modules, "airflow", types.ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    monkeypatch.setitem(sys.modules, "airflow.exceptions", exceptions)
    found = runpy.run_path(str(EXAMPLES / "airflow/tcdatalogger_dag.py"))
    return types.SimpleNamespace(made=made, dags=dags, **found)


def asked_by_airflow(run_id="scheduled__2026-01-01T00:00:00+00:00"):
    return {
        "dag": types.SimpleNamespace(dag_id="d"),
        "dag_run": types.SimpleNamespace(run_id=run_id),
        "ti": types.SimpleNamespace(map_index=-1),
    }


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    """Puts a program in the place of ours, which ends with a code and keeps its words."""

    def put(code, printed="{}"):
        file = tmp_path / "tcdatalogger"
        words = tmp_path / "words"
        file.write_text(f"#!/bin/sh\necho \"$@\" >>{words}\necho '{printed}'\nexit {code}\n")
        file.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        return words

    return put


def test_airflow_has_a_dag_for_each_endpoint_and_one_run_of_it_at_once(airflow):
    assert len(airflow.made) == len(airflow.dags) == 3
    assert {dag["max_active_runs"] for dag in airflow.dags} == {1}


def test_a_task_of_airflow_is_a_command_of_ours_with_the_same_run_id_each_time(airflow, stand_in):
    words = stand_in(0, '{"rows": 3}')
    for run_id in ("a", "a", "manual__2026-01-01T00:00:00+00:00"):
        assert airflow.made[0].execute(asked_by_airflow(run_id)) == {"rows": 3}
    first, second, third = (shlex.split(line) for line in words.read_text().splitlines())
    assert understood(first)
    assert first == second != third


def test_the_exit_codes_that_airflow_does_not_try_again_are_those_of_what_must_be_mended(airflow):
    kinds = (errors.UsageError, errors.ConfigError, errors.KeyRefused, errors.DataRefused)
    assert {kind.exit_code for kind in kinds} == airflow.FATAL
    assert errors.Busy.exit_code == airflow.BUSY


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (75, "AirflowSkipException"),
        *((code, "AirflowFailException") for code in (2, 65, 77, 78)),
        *((code, "AirflowException") for code in (1, 69, 124, 143)),
    ],
)
def test_an_exit_code_says_what_airflow_does(airflow, stand_in, code, name):
    stand_in(code)
    with pytest.raises(getattr(sys.modules["airflow.exceptions"], name), match=f"code {code}"):
        airflow.made[0].execute(asked_by_airflow())


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


def test_the_image_is_made_from_the_lock_files_and_runs_as_nobody_in_particular():
    text = (EXAMPLES.parent / "docker/Dockerfile").read_text()
    assert "--require-hashes -r requirements/build.txt" in text
    assert "--require-hashes -r requirements/image.txt" in text
    assert re.search(rf"(?m)^USER {OF_THE_IMAGE}:{OF_THE_IMAGE}$", text)
    assert f"TCDATALOGGER_CONFIG={IN_THE_IMAGE}" in text
    assert '["tcdatalogger", "health"]' in text
    entry = re.search(r'(?m)^ENTRYPOINT \["tcdatalogger"]\nCMD \["(\w+)"]', text)
    assert entry is not None
    assert entry[1] in COMMANDS


def test_the_lock_of_the_image_has_what_that_of_the_program_has_and_its_extras():
    def locked(name):
        text = (EXAMPLES.parent / "requirements" / name).read_text()
        return dict(re.findall(r"(?m)^([\w.-]+)==([\w.]+)", text))

    image, run, build = (locked(f"{name}.txt") for name in ("image", "run", "build"))
    assert {name: run[name] for name in run.keys() - build.keys()}.items() <= image.items()
    assert {"psycopg", "google-cloud-bigquery", "obstore"} <= image.keys()


def test_all_that_the_image_is_made_of_is_sent_to_the_builder():
    root = EXAMPLES.parent
    sent = re.findall(r"(?m)^!(\S+)$", (root / ".dockerignore").read_text())
    text = (root / "docker/Dockerfile").read_text()
    copied = [line.split()[1:-1] for line in re.findall(r"(?m)^COPY (?!--from).*$", text)]
    assert sorted(sent) == sorted(file for files in copied for file in files)
    assert all((root / file).exists() for file in sent)
