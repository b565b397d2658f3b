"""Build what is published, look at it, and run it in fresh environments on every Python.

    make wheels

The wheel and the source pass the checks of the package index; the wheel of the source has the same
files; on each Python from 3.11 to 3.14 that this machine has, the wheel is installed
into an empty environment and runs the demo; and it does so the way of `uvx` and of `pipx`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
BIN: Final = ROOT / ".tools" / "release" / "bin"


class Wrong(Exception):
    """Something of the release is wrong; the text says what."""


def run(words: Sequence[str | Path], folder: Path, environ: Mapping[str, str] | None = None) -> str:
    """The standard output of a program that has to end well, in a folder, without input."""
    done = subprocess.run(
        [str(word) for word in words], check=False, capture_output=True, text=True, cwd=folder,
        env={**os.environ, **(environ or {})}, stdin=subprocess.DEVNULL, timeout=900,
    )  # fmt: skip
    if done.returncode:
        told = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise Wrong(f"`{' '.join(map(str, words[:4]))} …` ended with {done.returncode}:\n{told}")
    return done.stdout


@contextmanager
def step(name: str) -> Iterator[None]:
    begun = time.monotonic()
    yield
    print(f"{time.monotonic() - begun:6.1f} s  {name}", flush=True)


def promised() -> list[str]:
    """The versions of Python that the classifiers promise."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = (re.fullmatch(r".* :: (3\.\d+)", one) for one in project["classifiers"])
    return [one[1] for one in found if one]


def interpreter(version: str) -> Path | None:
    """A Python of a version on this machine, None where there is none."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    places = sorted(pyenv.glob(f"{version}.*/bin/python"))
    if found := shutil.which(f"python{version}"):
        places.insert(0, Path(found))
    return next((python for python in places if is_version(python, version)), None)


def is_version(python: Path, version: str) -> bool:
    """Whether an interpreter runs and is of a version: a name of pyenv may lead nowhere."""
    told = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", told], check=False, capture_output=True, text=True)
    return done.stdout.strip() == version


def built(dist: Path) -> tuple[Path, Path]:
    """Build the source and the wheel, and let the tools of the index look at them."""
    run([sys.executable, "-m", "hatchling", "build", "-d", dist], ROOT)
    [wheel], [source] = dist.glob("*.whl"), dist.glob("*.tar.gz")
    run([BIN / "twine", "check", "--strict", wheel, source], ROOT)
    run([BIN / "check-wheel-contents", wheel], ROOT)
    return wheel, source


def same_files(wheel: Path, source: Path, scratch: Path) -> None:
    """See that the wheel that is built of the source has the files of the other one."""
    shutil.unpack_archive(source, scratch, filter="data")
    [folder] = scratch.iterdir()
    run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", scratch / "again"], folder
    )
    [again] = (scratch / "again").glob("*.whl")
    names = [set(zipfile.ZipFile(file).namelist()) for file in (wheel, again)]
    if names[0] != names[1]:
        raise Wrong(f"The wheel of the source differs: {sorted(names[0] ^ names[1])[:10]}")


def demo(words: Sequence[str | Path], folder: Path, environ: Mapping[str, str]) -> None:
    """Run the demo in an empty folder; it has to store rows of every endpoint."""
    facts = json.loads(run([*words, "demo", "--json", "--polls", "2"], folder, environ))
    if facts["failed"] or not facts["tables"] or not all(facts["tables"].values()):
        raise Wrong(f"The demo stored too little: {facts['tables']}, failed: {facts['failed']}")


def fresh(python: Path, wheel: Path, folder: Path) -> None:
    """Install the wheel and what it asks for into an empty environment, and run the demo."""
    environment = folder / "env"
    run([BIN / "uv", "venv", "--quiet", "--python", python, environment], folder)
    of = ["--python", environment / "bin" / "python"]
    run([BIN / "uv", "pip", "install", "--quiet", *of, wheel], folder)
    run([BIN / "uv", "pip", "check", *of], folder)
    demo([environment / "bin" / "tcdatalogger"], folder, {"PYTHONWARNINGS": "error"})


def main() -> int:
    missing = []
    with tempfile.TemporaryDirectory(prefix="tcd-wheels-") as name:
        place = Path(name)
        try:
            with step("wheel and source, twine check --strict, check-wheel-contents"):
                wheel, source = built(place / "dist")
            with step("the wheel of the source has the same files"):
                same_files(wheel, source, place / "source")
            for version in promised():
                python = interpreter(version)
                if python is None:
                    missing.append(version)
                    continue
                folder = place / version
                folder.mkdir()
                with step(f"the demo in an empty environment on Python {version}"):
                    fresh(python, wheel, folder)
                shutil.rmtree(folder)
            homes = {
                "UV_TOOL_DIR": name,
                "PIPX_HOME": f"{name}/pipx",
                "PIPX_BIN_DIR": f"{name}/bin",
            }
            with step("uvx tcdatalogger demo"):
                words = [BIN / "uvx", "--quiet", "--python", sys.executable, "--from", wheel]
                demo([*words, "tcdatalogger"], place, homes)
            with step("pipx run tcdatalogger"):
                words = [BIN / "pipx", "run", "--python", sys.executable, "--spec", wheel]
                run([*words, "tcdatalogger", "--version"], place, homes)
        except Wrong as reason:
            print(f"\nWhat would be published is wrong. {reason}")
            return 1
    for version in missing:
        print(f"!! There is no Python {version} on this machine: the wheel was not tried on it.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
