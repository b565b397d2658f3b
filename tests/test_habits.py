"""A release is made in one way, and a commit is checked by what `make lint` runs."""

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from tcdatalogger import __version__

ROOT = Path(__file__).parents[1]
LOG = """# Changelog

## Unreleased

## 1.2.0 - 2026-11-26

### Added

- More. (#3)

## 1.1.0 - 2026-01-01
"""
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "tcdatalogger"
requires-python = ">=3.11"
dynamic = ["version"]
[tool.hatch.version]
path = "src/tcdatalogger/__init__.py"
"""


@pytest.fixture
def repository(tmp_path):
    """A small one that can be released."""
    for name, text in {
        ".gitignore": "dist/\n",
        "CHANGELOG.md": LOG,
        "pyproject.toml": PROJECT,
        "src/tcdatalogger/__init__.py": '__version__ = "1.2.0"\n',
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    return tmp_path


def git(folder, *words):
    who = ["-c", "user.name=T", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode()


def commit(folder):
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "c")


TOOL = """#!/bin/sh
[ ! -e {folder}/complains ] || {{ echo "{name} complains"; exit 1; }}
while [ $# -gt 0 ]; do [ "$1" != -o ] || echo '{{"bomFormat": "CycloneDX"}}' >"$2"; shift; done
"""
"""Stands in for a tool of the index: it writes what it is asked to write."""


def tools(folder):
    place = folder / ".git" / "tools"
    place.mkdir(exist_ok=True)
    for name in ("twine", "check-wheel-contents", "cyclonedx-py"):
        (place / name).write_text(TOOL.format(folder=place, name=name))
        (place / name).chmod(0o755)
    return place


def release(folder, *words):
    who = {
        f"GIT_{role}_{what}": "t" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts/release.py"), "--tools", tools(folder), *words],
        cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, **who},
    )  # fmt: skip


def test_a_release_is_built_and_tagged_with_its_changes(repository):
    done = release(repository)
    assert done.returncode == 0, done.stderr
    told = git(repository, "tag", "--list", "--format=%(contents)", "v1.2.0")
    assert told.rstrip() == "1.2.0\n\n### Added\n\n- More. (#3)"
    names = ["tcdatalogger-1.2.0-py3-none-any.whl", "tcdatalogger-1.2.0.tar.gz"]
    assert sorted(file.name for file in (repository / "dist").iterdir()) == names
    with zipfile.ZipFile(repository / "dist" / names[0]) as wheel:
        assert "tcdatalogger/__init__.py" in wheel.namelist()
    with tarfile.open(repository / "dist" / names[1]) as source:
        assert "tcdatalogger-1.2.0/pyproject.toml" in source.getnames()


def test_a_release_says_what_is_in_it_and_what_it_was_built_of(repository):
    assert release(repository).returncode == 0
    files = {file.name: file for folder in ("dist", "release")
             for file in (repository / folder).iterdir()}  # fmt: skip
    sums = dict(line.split("  ")[::-1] for line in files.pop("SHA256SUMS").read_text().splitlines())
    assert sums == {name: sha256(file.read_bytes()).hexdigest() for name, file in files.items()}
    statement = json.loads(files["tcdatalogger-1.2.0.intoto.json"].read_text())
    subjects = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    assert subjects.items() < sums.items()
    assert subjects.keys() == sums.keys() - {"tcdatalogger-1.2.0.intoto.json"}
    built_of = statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]
    assert built_of["digest"]["gitCommit"] == git(repository, "rev-parse", "HEAD").strip()
    assert json.loads(files["tcdatalogger-1.2.0.cdx.json"].read_text())["bomFormat"] == "CycloneDX"


def test_what_a_tool_of_the_index_complains_of_is_not_released(repository):
    (tools(repository) / "complains").touch()
    done = release(repository)
    assert (done.returncode, git(repository, "tag")) == (1, "")
    assert "twine complains" in done.stderr


def test_a_dry_run_builds_and_tags_nothing(repository):
    assert release(repository, "--dry-run").returncode == 0
    assert len(list((repository / "dist").iterdir())) == 2
    assert git(repository, "tag") == ""


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("more.txt", "", "not clean"),
        ("CHANGELOG.md", LOG.replace("1.2.0 - 2026-11-26", "1.2.0"), "no '## 1.2.0 - "),
        ("CHANGELOG.md", LOG.replace("### Added\n\n- More. (#3)\n", ""), "no '## 1.2.0 - "),
        ("CHANGELOG.md", LOG.replace("## 1.2.0", "- New.\n\n## 1.2.0"), "lines under Unreleased"),
        ("src/tcdatalogger/__init__.py", '__version__ = "1.3.0"\n', "no '## 1.3.0 - "),
    ],
    ids=["a_file_more", "no_date", "no_changes", "unreleased_lines", "another_version"],
)  # fmt: skip
def test_what_is_not_ready_is_not_released(repository, file, text, said):
    (repository / file).write_text(text)
    if said != "not clean":
        commit(repository)
    done = release(repository)
    assert (done.returncode, git(repository, "tag")) == (1, "")
    assert said in done.stderr
    assert not (repository / "dist").exists()


def test_a_version_is_released_once(repository):
    git(repository, "tag", "v1.2.0")
    done = release(repository)
    assert (done.returncode, "raise __version__" in done.stderr) == (1, True)


def test_a_commit_is_checked_by_what_lint_runs_and_nothing_is_downloaded():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert {hook["language"] for hook in hooks} == {"system"}
    lint = re.search(r"(?m)^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text())[1]
    wanted = [line.strip().replace("$(BIN)", ".venv/bin") for line in lint.splitlines()]
    assert [hook["entry"].removesuffix(" --force-exclude") for hook in hooks] == wanted


def test_every_python_that_ci_runs_is_promised_and_locked():
    project = (ROOT / "pyproject.toml").read_text()
    promised = re.findall(r"Programming Language :: Python :: (3\.\d+)", project)
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    assert workflow["jobs"]["all"]["strategy"]["matrix"]["python"] == promised
    assert f'requires-python = ">={promised[0]}"' in project


def test_the_changelog_tells_of_this_version():
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"(?m)^## {re.escape(__version__)} - \d{{4}}-\d\d-\d\d$", log)


def test_the_page_of_the_package_index_has_no_link_that_leads_nowhere():
    """What the build makes of the README, by the rules of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    rules = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]
    for rule in rules:
        page = re.sub(rule["pattern"], rule["replacement"], page)
    targets = re.findall(r"\]\(([^)]*)\)", page)
    assert [target for target in targets if not target.startswith("https://")] == []
    assert "<img" not in page
    assert "# TCdatalogger" in page
