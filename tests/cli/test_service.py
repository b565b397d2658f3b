"""`service`: a hardened unit without a secret in it, and systemd told of it in the right order."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcdatalogger.cli import main
from tcdatalogger.errors import ConfigError
from tcdatalogger.scheduler import systemd
from tcdatalogger.scheduler.unit import MADE_BY, Unit, references, written

EXAMPLE = Path(__file__).parents[2] / "examples/systemd/tcdatalogger.service"
KEY = "s3rv1ceK3y000001"
CONFIGURATION = """
[keys]
default = "env:TORN_API_KEY"
[alerts]
webhook = "file:webhook"
[[endpoints]]
name = "faction_basic"
path = "/faction/basic"
frequency = "PT1H"
"""
OF_SYSTEM = Unit(
    name="tcdatalogger",
    program=["/opt/tcdatalogger/.venv/bin/tcdatalogger"],
    config=Path("/etc/tcdatalogger/tcdatalogger.toml"),
    user="tcdatalogger",
    secrets={"keys.default": Path("/etc/tcdatalogger/keys/default")},
    writable=[Path("/var/lib/tcdatalogger"), Path("/var/log/tcdatalogger")],
)
AT_HOME = Unit(
    name="torn",
    program=["/home/me/my tools/python", "-m", "tcdatalogger"],
    config=Path("/home/me/100% torn/tcdatalogger.toml"),
    overrides=['torn.comment="a $b"'],
    secrets={"keys.default": Path("/home/me/100% torn/keys/default")},
    writable=[Path("/home/me/100% torn/data")],
)

FAKE = """#!/bin/sh
echo "$(basename "$0") $*" >> {log}
case "$(basename "$0") $*" in
  *show*) printf 'ActiveState={state}\\nUnitFileState=enabled\\nMainPID=42\\nNRestarts=0\\n\
Result=success\\nExecMainStatus={code}\\nStateChangeTimestamp=Fri 2026-11-27 18:00:00 UTC\\n' ;;
  systemd-run*) exit {namespaces} ;;
esac
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with a systemd that notes what it is told; `tell` sets what it answers."""
    tools, log = tmp_path / "tools", tmp_path / "told"
    tools.mkdir()

    def tell(*, state="active", code=0, namespaces=0):
        text = FAKE.format(log=log, state=state, code=code, namespaces=namespaces)
        for name in ("systemctl", "systemd-run", "loginctl"):
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)

    tell()
    folder = tmp_path / "torn"
    folder.mkdir()
    (folder / "tcdatalogger.toml").write_text(CONFIGURATION)
    (folder / "webhook").write_text("https://hook.example/1\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TORN_API_KEY", KEY)
    monkeypatch.delenv("TCDATALOGGER_CONFIG", raising=False)
    monkeypatch.setattr(systemd, "BOOTED", tmp_path)
    monkeypatch.setattr(systemd, "_SETTLE", 1)
    monkeypatch.setattr("tcdatalogger.clock.time.sleep", lambda _seconds: None)
    machine = type("Machine", (), {})()
    machine.tell, machine.folder = tell, folder
    machine.unit = tmp_path / "config/systemd/user/tcdatalogger.service"
    machine.told = lambda: log.read_text().splitlines() if log.exists() else []
    return machine


# --- the unit ------------------------------------------------------------------------------------


def test_the_example_is_what_the_command_writes():
    comment, _, unit = EXAMPLE.read_text().partition(MADE_BY)
    assert MADE_BY + unit == written(OF_SYSTEM)
    assert all(line.startswith("#") for line in comment.splitlines())


def analyzed(tmp_path, unit, *words):
    """What `systemd-analyze` says of a unit whose program exists."""
    file = tmp_path / "torn.service"
    file.write_text(
        re.sub(r'(?m)^(ExecStart=)("[^"]*"|\S+)', rf"\1{sys.executable}", written(unit))
        # It cannot know that a unit of a user never runs as root.
        .replace("[Service]\n", "[Service]\n" if unit.user else "[Service]\nUser=torn\n")
    )
    return subprocess.run(
        ["systemd-analyze", *words, str(file)],
        capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "SYSTEMD_COLORS": "0"},
    )  # fmt: skip


needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not here"
)


@needs_systemd
@pytest.mark.parametrize("unit", [OF_SYSTEM, AT_HOME], ids=["system", "user"])
def test_systemd_has_nothing_against_a_unit(tmp_path, unit):
    found = analyzed(tmp_path, unit, "verify")
    assert [line for line in found.stderr.splitlines() if "torn.service" in line] == []


@needs_systemd
@pytest.mark.parametrize("unit", [OF_SYSTEM, AT_HOME], ids=["system", "user"])
def test_a_unit_is_hardened(tmp_path, unit):
    found = analyzed(tmp_path, unit, "security", "--offline=true")
    exposure = re.search(r"Overall exposure level for \S+: (\d+\.\d)", found.stdout)
    if exposure is None:
        pytest.skip(f"this systemd-analyze reads no file: {found.stderr[:200]}")
    assert float(exposure[1]) <= 1.5


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=30))
def test_no_word_of_a_command_becomes_another_line_or_a_variable(word):
    unit = Unit("torn", ["/x/tcdatalogger"], Path("/etc/t.toml"), [f"a.b={word}"])
    try:
        text = written(unit)
    except ConfigError:
        assert not word.isprintable()
        return
    (line,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    shown = line.replace("%%", "").replace("$$", "")
    assert "%" not in shown
    assert "$" not in shown
    assert line.count('"') - line.count('\\"') in (0, 2)


def test_what_needs_namespaces_is_left_out_where_there_are_none():
    text = written(Unit("torn", ["/x"], Path("/etc/t.toml"), namespaces=False))
    assert "NoNewPrivileges=yes" in text
    assert not re.search(r"(?m)^(Protect|Private|ReadWritePaths)", text)


def test_folders_that_the_service_needs_are_not_hidden_from_it():
    assert "ProtectHome=yes" in written(OF_SYSTEM)
    assert "ProtectHome=read-only" in written(AT_HOME)
    assert "PrivateTmp=yes" in written(AT_HOME)
    assert "PrivateTmp" not in written(Unit("t", ["/x"], Path("/tmp/t.toml")))


# --- the commands --------------------------------------------------------------------------------


def test_a_dry_run_prints_the_unit_and_changes_nothing(machine, capsys):
    assert main(["service", "install", "--user", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(MADE_BY)
    assert KEY not in shown
    assert sorted(f.name for f in machine.folder.iterdir()) == ["tcdatalogger.toml", "webhook"]
    assert not machine.unit.exists()
    assert [line.split()[0] for line in machine.told()] == ["systemd-run"]


def test_install_writes_unit_and_key_and_begins_it(machine, capsys):
    assert main(["service", "install", "--user"]) == 0
    said = capsys.readouterr().out
    key = machine.folder / "keys/default"
    assert key.read_text() == f"{KEY}\n"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    text = machine.unit.read_text()
    assert f"keys.default=file:{key}" in text
    assert KEY not in text + said
    assert "hook.example" not in text
    assert (machine.folder / "data").is_dir()
    calls = [line for line in machine.told() if line.startswith("systemctl")]
    assert calls[:3] == [
        "systemctl --user daemon-reload",
        "systemctl --user enable tcdatalogger.service",
        "systemctl --user restart tcdatalogger.service",
    ]
    assert "loginctl enable-linger" in machine.told()
    assert "tcdatalogger.service of this user: active since Fri 2026-11-27" in said


def test_a_second_install_needs_no_key_in_the_environment(machine, monkeypatch):
    assert main(["service", "install", "--user"]) == 0
    monkeypatch.delenv("TORN_API_KEY")
    assert main(["service", "install", "--user"]) == 0
    assert (machine.folder / "keys/default").read_text() == f"{KEY}\n"


def test_a_key_that_is_nowhere_is_told(machine, monkeypatch, capsys):
    monkeypatch.delenv("TORN_API_KEY")
    assert main(["service", "install", "--user"]) == 78
    assert "export TORN_API_KEY=" in capsys.readouterr().err
    assert not machine.unit.exists()


def test_a_unit_of_somebody_else_is_not_overwritten(machine, capsys):
    machine.unit.parent.mkdir(parents=True)
    machine.unit.write_text("[Unit]\n")
    assert main(["service", "install", "--user"]) == 2
    assert "--force" in capsys.readouterr().err
    assert main(["service", "remove", "--user"]) == 2
    assert machine.unit.read_text() == "[Unit]\n"
    assert main(["service", "install", "--user", "--force"]) == 0
    assert machine.unit.read_text().startswith(MADE_BY)


def test_a_service_that_fails_is_told_with_its_exit_code(machine, capsys):
    machine.tell(state="failed", code=78, namespaces=1)
    assert main(["service", "install", "--user", "--json"]) == 69
    told = json.loads(capsys.readouterr().out)
    assert (told["active"], told["exit_code"]) == ("failed", 78)
    assert "ProtectSystem" not in machine.unit.read_text()


def test_status_and_remove(machine, capsys):
    assert main(["service", "status", "--user"]) == 69
    assert "service install" in capsys.readouterr().out
    main(["service", "install", "--user", "--unit", "torn-2"])
    capsys.readouterr()
    assert main(["service", "status", "--user", "--unit", "torn-2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["active"], told["enabled"], told["pid"]) == ("active", True, 42)
    assert main(["service", "remove", "--user", "--unit", "torn-2"]) == 0
    assert not machine.unit.with_name("torn-2.service").exists()
    assert "systemctl --user disable --now torn-2.service" in machine.told()
    assert (machine.folder / "keys/default").exists()


def test_where_no_systemd_runs_it_is_said_what_to_do(machine, monkeypatch, capsys):
    monkeypatch.setattr(systemd, "BOOTED", machine.folder / "no")
    assert main(["service", "install", "--user"]) == 2
    said = capsys.readouterr().err
    assert "run --all --if-due" in said
    assert f"--config {machine.folder}/tcdatalogger.toml schedule" in said
    assert not (machine.folder / "keys").exists()


def test_a_service_of_the_system_gets_each_secret_as_a_credential(machine, capsys):
    words = ["service", "install", "--as", "nobody", "--dry-run", "--set", "limits.share=0.5"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "User=nobody" in text
    assert f"LoadCredential=keys.default:{machine.folder}/keys/default" in text
    assert f"LoadCredential=alerts.webhook:{machine.folder}/webhook" in text
    assert "--set limits.share=0.5" in text
    assert "keys.default=file:/run/credentials/tcdatalogger.service/keys.default" in text


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["for good", "dry"])
def test_an_account_that_does_not_exist_is_refused_with_the_line_that_makes_it(
    machine, capsys, dry
):
    assert main(["service", "install", "--as", "no-such-account", *dry]) == 2
    said = capsys.readouterr().err
    assert "There is no account 'no-such-account'." in said
    assert "useradd --system --shell /usr/sbin/nologin no-such-account" in said
    assert not (machine.folder / "keys").exists()
    assert machine.told() == []


def test_the_advice_for_an_install_of_root_goes_on_with_the_account(machine, monkeypatch, capsys):
    monkeypatch.setattr(Path, "owner", lambda _file: "root")
    assert main(["service", "install", "--system", "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert f"&& chown -R tcdatalogger {machine.folder} && " in said
    assert said.rstrip().endswith(
        f"--config {machine.folder}/tcdatalogger.toml service install --as tcdatalogger"
    )


def test_an_endpoint_without_a_frequency_is_nothing_to_run(machine, capsys):
    file = machine.folder / "tcdatalogger.toml"
    file.write_text(CONFIGURATION.replace('frequency = "PT1H"', ""))
    assert main(["service", "install", "--user"]) == 78
    assert "frequency" in capsys.readouterr().err


def test_channels_and_exports_have_their_secrets_and_their_folders(machine, capsys):
    file = machine.folder / "tcdatalogger.toml"
    file.write_text(
        CONFIGURATION
        + '\n[[channels]]\nname = "officers"\nkind = "ntfy"\nurl = "env:TOPIC"\n'
        + '\n[[exports]]\nname = "roster"\ntable = "faction_members"\nfile = "out/roster.csv"\n'
        + 'frequency = "P1D"\n'
    )
    assert main(["service", "install", "--as", "nobody", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert (
        f"LoadCredential=channels.officers.url:{machine.folder}/keys/channels.officers.url" in text
    )
    assert "--set channels.officers.url=file:/run/credentials" in text
    assert f"{machine.folder}/out" in text


def test_a_secret_of_a_keyring_is_refused_with_what_to_do(workplace):
    with workplace.application("keys.default=keyring:torn/me") as application:
        with pytest.raises(ConfigError, match="keyring") as told:
            references(application.settings)
        assert "file:PATH" in told.value.remedy
