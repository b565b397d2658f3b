"""A BigQuery on this machine, for the time of one command: Google is not asked.

    .venv/bin/python scripts/bigquery_emulator.py FOLDER PROJECT.DATASET COMMAND…

It is the emulator that `make setup-bigquery` builds. The data stay in FOLDER, so the next command
finds what the last one stored. The command gets the emulator's address in its environment.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PLACE: Final = Path(__file__).parents[1] / ".bigquery"
"""What `make setup-bigquery` builds."""
STARTING: Final = 120.0
"""Seconds that the emulator may take to answer; it takes five on a machine at rest."""


@dataclass(frozen=True)
class Emulator:
    """A BigQuery on this machine.

    Attributes:
        endpoint: its address, for REST.
        storage_endpoint: HOST:PORT of its Storage API, for gRPC.
    """

    endpoint: str
    storage_endpoint: str

    @property
    def environ(self) -> Mapping[str, str]:
        """What has this program ask the emulator."""
        return {
            "BIGQUERY_EMULATOR_HOST": self.endpoint,
            "BIGQUERY_STORAGE_EMULATOR_HOST": self.storage_endpoint,
        }

    def make_dataset(self, project: str, dataset: str) -> None:
        """Make an empty dataset, where it is not there."""
        told = {
            "datasetReference": {"projectId": project, "datasetId": dataset},
            "location": "EU",
        }
        request = urllib.request.Request(  # noqa: S310  # the address is ours
            f"{self.endpoint}/bigquery/v2/projects/{project}/datasets",
            json.dumps(told).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            urllib.request.urlopen(request, timeout=60).close()  # noqa: S310  # as above
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 409:  # noqa: PLR2004  # it is there
                    raise


def why_not() -> str | None:
    """Why there is no emulator here, None where there is one."""
    if (PLACE / ".installed").exists():
        return None
    note = PLACE / "left-out"
    return note.read_text().strip() if note.exists() else "`make setup-bigquery` was not run"


@contextmanager
def emulator(folder: Path) -> Iterator[Emulator]:
    """An emulator that keeps its data in a folder, until the end of the block.

    Raises:
        RuntimeError: it does not start, or has ended by itself.
    """
    rest, grpc = free_port(), free_port()
    log = folder / "emulator.log"
    words = ["--host", "127.0.0.1", "--port", rest, "--grpc-port", grpc]
    with log.open("wb") as out, subprocess.Popen(
        [PLACE / "venv/bin/python", Path(__file__).with_name("bigquery_serve.py"), *map(str, words),
         "--data-dir", folder / "data"],
        env={"HOME": str(PLACE / "home"), "PATH": os.environ["PATH"]},
        cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
        process_group=0,  # Ctrl-C is for the command
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + STARTING
            # The port is open before it answers, and it answers 500 where something is missing.
            while not _answers(f"http://127.0.0.1:{rest}/bigquery/v2/projects/any/datasets"):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise _ended(log)
                time.sleep(0.1)
            yield Emulator(f"http://127.0.0.1:{rest}", f"127.0.0.1:{grpc}")
            if process.poll() is not None:
                raise _ended(log)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _ended(log: Path) -> RuntimeError:
    told = log.read_text(errors="replace").splitlines()[-20:]
    return RuntimeError(
        "\n".join([f"The BigQuery emulator does not run. The end of {log}:", *told])
    )


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  # the address is ours
            return bool(answer.status == 200)  # noqa: PLR2004  # HTTP's word for yes
    except (urllib.error.URLError, OSError):
        return False


def main(folder: str, dataset: str, *command: str) -> int:
    """Run a command beside an emulator; the exit code of the command."""
    if reason := why_not():
        print(f"There is no BigQuery emulator here: {reason}.", file=sys.stderr)
        print("`make setup-bigquery` builds it, on a Python 3.13.", file=sys.stderr)
        return 69
    place = Path(folder).resolve()
    place.mkdir(parents=True, exist_ok=True)
    with emulator(place) as started:
        started.make_dataset(*dataset.split("."))
        done = subprocess.run(command, env={**os.environ, **started.environ}, check=False)
    print(
        f"\nThe emulator has ended; what it keeps is in {folder}. For another command:\n"
        f"  {sys.executable} {Path(__file__)} {folder} {dataset} COMMAND…",
        file=sys.stderr,
    )
    return done.returncode


if __name__ == "__main__":
    if len(sys.argv) < 4:  # noqa: PLR2004  # three words are wanted
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
