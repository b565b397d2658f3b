"""Make a release of what is checked out: check it, build it, say what is in it, tag it.

    make release ARGS=--dry-run   # check and build, tag nothing
    make release

A release needs a clean work tree, a heading of its version in CHANGELOG.md with a date and changes
below it, and nothing left under Unreleased. The build uses the tools of the lock files alone. The
files are in dist/. In release/ are their checksums, a bill of materials (CycloneDX) and a statement
of what they were built of (in-toto, SLSA). Nothing is pushed or uploaded.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

TOOLS: Final = Path(".tools/release/bin")
LOCKS: Final = ("requirements/image.txt", "requirements/build.txt")
"""What the program needs with the extras of the image, and what builds it."""
VERSION = re.compile(r'(?m)^__version__ = "([^"]+)"$')


class NotReady(Exception):
    """Something that a release needs is missing; the text says what, and the remedy."""


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def section(changelog: str, heading: str) -> str | None:
    """What stands below a heading of the second level that matches, None where there is none."""
    found = re.search(rf"(?ms)^## {heading}\n(.*?)(?=^## |\Z)", changelog)
    return found and found[1].strip()


def ready(root: Path) -> tuple[str, str]:
    """The version to release, and what the changelog says of it.

    Raises:
        NotReady: the work tree, the changelog or a tag that is there forbids the release.
    """
    if changed := git("status", "--porcelain"):
        raise NotReady(f"The work tree is not clean: commit or remove this first.\n{changed}")
    source = (root / "src/tcdatalogger/__init__.py").read_text(encoding="utf-8")
    (version,) = VERSION.findall(source)
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    if section(changelog, "Unreleased"):
        raise NotReady(f"CHANGELOG.md has lines under Unreleased: move them under {version}.")
    changes = section(changelog, rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d")
    if not changes:
        raise NotReady(
            f"CHANGELOG.md has no '## {version} - YYYY-MM-DD' with changes below it: write it, or "
            "change __version__ in src/tcdatalogger/__init__.py."
        )
    if git("tag", "--list", f"v{version}"):
        raise NotReady(f"The tag v{version} is there already: raise __version__.")
    return version, changes


def build(root: Path) -> list[Path]:
    """The files of the release: the source and the wheel, the same bytes for the same commit."""
    shutil.rmtree(root / "dist", ignore_errors=True)
    words = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel"]
    date = git("log", "-1", "--format=%ct")
    subprocess.run(words, check=True, cwd=root, env={**os.environ, "SOURCE_DATE_EPOCH": date})
    return sorted((root / "dist").iterdir())


def checked(files: list[Path], tools: Path, root: Path) -> None:
    """Let the tools of the package index look at what was built.

    Raises:
        NotReady: one of them is not here, or has something against it.
    """
    wheels = [file for file in files if file.suffix == ".whl"]
    for words in (["twine", "check", "--strict", *files], ["check-wheel-contents", *wheels]):
        ask(words, tools, root)


def ask(words: list[str | Path], tools: Path, root: Path) -> None:
    """Run a tool of the lock file for releases.

    Raises:
        NotReady: it is not here, or does not end well.
    """
    name, *rest = words
    if not (tools / name).exists():
        raise NotReady(f"{tools / name} is not here: `make release` installs it.")
    done = subprocess.run(
        [tools / name, *rest], check=False, capture_output=True, text=True, cwd=root
    )
    if done.returncode:
        raise NotReady(f"{name} ended with {done.returncode}.\n{done.stdout}{done.stderr}")


def digest(file: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def provenance(files: list[Path], root: Path, version: str, begun: datetime) -> Mapping[str, Any]:
    """What the files were built of, and how, as a statement of in-toto with SLSA's predicate."""
    commit = git("rev-parse", "HEAD")
    source = {"uri": "git+.", "digest": {"gitCommit": commit}, "name": f"tcdatalogger {version}"}
    locks = [
        {"name": name, "digest": {"sha256": digest(root / name)}}
        for name in LOCKS
        if (root / name).exists()
    ]
    python = {"name": "python", "annotations": {"version": sys.version.split()[0]}}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": file.name, "digest": {"sha256": digest(file)}} for file in files],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "tag:tcdatalogger,2026:scripts/release.py",
                "externalParameters": {"tag": f"v{version}", "commit": commit},
                "internalParameters": {"SOURCE_DATE_EPOCH": git("log", "-1", "--format=%ct")},
                "resolvedDependencies": [source, *locks, python],
            },
            "runDetails": {
                "builder": {"id": "tag:tcdatalogger,2026:make-release"},
                "metadata": {
                    "startedOn": begun.isoformat(timespec="seconds"),
                    "finishedOn": datetime.now(UTC).isoformat(timespec="seconds"),
                },
            },
        },
    }


def described(
    files: list[Path], tools: Path, root: Path, version: str, begun: datetime
) -> list[Path]:
    """Write the checksums, the bill of materials and the statement into release/.

    Raises:
        NotReady: the tool that writes the bill of materials is not here, or does not end well.
    """
    folder = root / "release"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    bill = folder / f"tcdatalogger-{version}.cdx.json"
    words = ["requirements", LOCKS[0], "--pyproject", "pyproject.toml", "--output-reproducible"]
    ask(["cyclonedx-py", *words, "--output-format", "JSON", "-o", bill], tools, root)
    statement = folder / f"tcdatalogger-{version}.intoto.json"
    told = provenance([*files, bill], root, version, begun)
    statement.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    sums = "".join(f"{digest(file)}  {file.name}\n" for file in (*files, bill, statement))
    (folder / "SHA256SUMS").write_text(sums, encoding="utf-8")
    return sorted(folder.iterdir())


def main() -> int:
    parser = argparse.ArgumentParser(description="Check, build and tag a release.")
    parser.add_argument("--dry-run", action="store_true", help="check and build, tag nothing")
    parser.add_argument("--tools", type=Path, help=f"where the tools are, instead of {TOOLS}")
    options = parser.parse_args()
    root, begun = Path(git("rev-parse", "--show-toplevel")), datetime.now(UTC)
    tools = options.tools or root / TOOLS
    try:
        version, changes = ready(root)
        files = build(root)
        checked(files, tools, root)
        more = described(files, tools, root, version, begun)
    except NotReady as reason:
        print(reason, file=sys.stderr)
        return 1
    for file in (*files, *more):
        print(f"{file.relative_to(root)}  {file.stat().st_size:,} bytes")
    if options.dry_run:
        print(f"Version {version} can be released; v{version} was not tagged.")
        return 0
    git("tag", "-a", f"v{version}", "--cleanup=verbatim", "-m", f"{version}\n\n{changes}\n")
    print(f"Tagged v{version}. Publish it with: git push origin v{version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
