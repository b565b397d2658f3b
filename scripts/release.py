"""Make a release of what is checked out: check it, build it, tag it.

    make release ARGS=--dry-run   # check and build, tag nothing
    make release

A release needs a clean work tree, a heading of its version in CHANGELOG.md with a date and changes
below it, and nothing left under Unreleased. The build uses the tools of the lock file alone. The
files are in dist/; nothing is pushed or uploaded.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

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


def main() -> int:
    parser = argparse.ArgumentParser(description="Check, build and tag a release.")
    parser.add_argument("--dry-run", action="store_true", help="check and build, tag nothing")
    options = parser.parse_args()
    root = Path(git("rev-parse", "--show-toplevel"))
    try:
        version, changes = ready(root)
    except NotReady as reason:
        print(reason, file=sys.stderr)
        return 1
    for file in build(root):
        print(f"{file.relative_to(root)}  {file.stat().st_size:,} bytes")
    if options.dry_run:
        print(f"Version {version} can be released; v{version} was not tagged.")
        return 0
    git("tag", "-a", f"v{version}", "--cleanup=verbatim", "-m", f"{version}\n\n{changes}\n")
    print(f"Tagged v{version}. Publish it with: git push origin v{version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
