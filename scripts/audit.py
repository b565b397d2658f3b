"""Look at what is shipped with other eyes than those of our tests.

    make audit

Licences of all packages, secrets in the history, the Dockerfile, files for Kubernetes, the rules
and the dashboard for Grafana, and known vulnerabilities, where a network allows to ask for them.

Exit codes: 0 nothing was found; 1 something was.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
BIN: Final = ROOT / ".tools" / "audit" / "bin"
PAGE: Final = ROOT / "docs" / "dependencies.md"
GRAFANA: Final = ROOT / "docker" / "grafana"
OURS: Final = "tcdatalogger"

WRITTEN: Final = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd 2-clause license": "BSD-2-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
}
"""How packages write their licence, and its name in SPDX."""


def named(text: str) -> str:
    """The name of a package as registries compare it."""
    return re.sub(r"[-_.]+", "-", text).lower()


def licence(package: Distribution) -> str:
    """The licence of an installed package in SPDX; "unsaid" where its metadata has none."""
    told = package.metadata
    if expression := told.get("License-Expression"):
        return str(expression)
    classifiers = told.get_all("Classifier") or []
    names = [one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License :: ")]
    text = str(told.get("License") or "").strip()
    if text and "\n" not in text and len(text) < 40:  # noqa: PLR2004  # else it is the whole text
        names.insert(0, text)
    known = [WRITTEN.get(name.lower(), name) for name in names]
    return next((name for name in known if re.fullmatch(r"[\w.-]+", name)), "unsaid")


def may(expression: str, allowed: frozenset[str]) -> bool:
    """Whether a licence is allowed: of alternatives one, of several that all hold each."""
    parts = [part.strip("() ") for part in expression.split(" AND ")]
    return all(any(one in allowed for one in part.split(" OR ")) for part in parts)


def licences() -> list[str]:
    """Packages of `.venv` whose licence is neither in the list of the page nor an exception."""
    page = PAGE.read_text(encoding="utf-8").split("\n## Licences\n")[1].split("\n## ")[0]
    listed = page.split("\n| package")[0]
    allowed = frozenset(re.findall(r"`([\w.-]+(?: WITH [\w.-]+)?)`", listed.partition(":")[2]))
    rows = re.findall(r"(?m)^\| ([\w, -]+) \| ([\w.+ -]+) \| .+ \|$", page)
    excepted = {(named(one), said) for names, said in rows for one in names.split(", ")}
    found, used = [], set()
    for package in distributions():
        name, said = named(package.metadata["Name"]), licence(package)
        if (name, said) in excepted:
            used.add((name, said))
        elif name != OURS and not may(said, allowed):
            found.append(f"{name} stands under {said}, which docs/dependencies.md does not allow")
    gone = excepted - used - {("package", "licence")}
    found += [f"{name} ({said}) is an exception that nothing needs" for name, said in sorted(gone)]
    return found


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, without input, in the root of the repository."""
    return subprocess.run(
        [str(word) for word in words],
        check=False, capture_output=True, text=True, cwd=ROOT, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def complaints(*words: str | Path) -> list[str]:
    """What a program complains of; nothing where it ended well."""
    done = run(*words)
    return [] if done.returncode == 0 else (done.stdout + done.stderr).strip().splitlines()


def secrets() -> list[str]:
    """Secrets in any commit; those of tests are made up, and guesses are told, no more."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "leaks.json"
        words = "--no-banner --redact --exit-code 0 --report-format json --report-path".split()
        done = run(BIN / "gitleaks", "git", ".", *words, report)
        if done.returncode or not report.exists():
            return [f"gitleaks ended with {done.returncode}: {done.stderr[-500:]}"]
        leaks = json.loads(report.read_text(encoding="utf-8"))
    surely = []
    for leak in leaks:
        place = f"{leak['RuleID']} in {leak['File']}:{leak['StartLine']} of {leak['Commit'][:12]}"
        if leak["File"].startswith("tests/"):
            continue  # where keys are made up
        if leak["RuleID"] == GUESS:
            print(f"   perhaps: {place}")
        else:
            surely.append(place)
    return surely


GUESS: Final = "generic-api-key"
"""The rule that takes any text of many different letters after the word key for a secret."""


def dockerfile() -> list[str]:
    return complaints(BIN / "hadolint", "docker/Dockerfile")


def kubernetes() -> list[str]:
    files = sorted((ROOT / "examples/kubernetes").glob("*.yaml"))
    return complaints(BIN / "kubernetes-validate", "--strict", *files)


def prometheus() -> list[str]:
    """The rules and the configuration, by Prometheus' own tool."""
    tool = ROOT / ".tools/usr/bin/promtool"
    if not tool.exists():
        print(
            "!! Prometheus is not here: `make prometheus` fetches it. The rules were not looked at."
        )
        return []
    return complaints(tool, "check", "rules", GRAFANA / "rules.yml") + complaints(
        tool, "check", "config", "--syntax-only", GRAFANA / "prometheus.yml"
    )


READ_BACK: Final = """
import json, sys
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
given = json.load(open(sys.argv[1]))
back = json.loads(JSONEncoder().encode(Dashboard.from_json(given)))
def lost(one, other, place=""):
    if isinstance(one, dict) and isinstance(other, dict):
        for name, value in one.items():
            if name not in other and value not in (None, "", [], {}, False):
                print(f"{place}.{name} is not known to Grafana")
            elif name in other:
                lost(value, other[name], f"{place}.{name}")
    elif isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            print(f"{place}: {len(one)} became {len(other)}")
        for number, (a, b) in enumerate(zip(one, other)):
            lost(a, b, f"{place}[{number}]")
lost(given, back)
assert given["panels"] and len(back["panels"]) == len(given["panels"])
"""


def dashboards() -> list[str]:
    """What Grafana's own schema does not know of our dashboards."""
    found = []
    for file in sorted((GRAFANA / "dashboards").glob("*.json")):
        done = run(BIN / "python", "-c", READ_BACK, file)
        found += [f"{file.name}{line}" for line in done.stdout.splitlines()]
        found += done.stderr.splitlines()[-3:] if done.returncode else []
    return found


def vulnerabilities() -> list[str]:
    """Known vulnerabilities of what the image and the program have."""
    found = []
    for name in ("image", "run"):
        words = "--disable-pip --no-deps --progress-spinner off --format json --requirement".split()
        done = run(BIN / "pip-audit", *words, f"requirements/{name}.txt")
        try:
            packages = json.loads(done.stdout)["dependencies"]
        except ValueError:
            packages = []
        # Where its service has never heard of any package, nothing was looked at.
        asked = [each for each in packages if "skip_reason" not in each]
        if not asked:
            print(f"!! No service of vulnerabilities answers here: {name}.txt was not looked at.")
            continue
        found += [
            f"{each['name']} {each['version']}: {one['id']}, repaired in {one['fix_versions']}"
            for each in asked
            for one in each["vulns"]
        ]
    return found


STEPS: Final[Sequence[Callable[[], list[str]]]] = (
    *(licences, dockerfile, kubernetes, prometheus, dashboards, secrets, vulnerabilities),
)


def main() -> int:
    wrong = 0
    for step in STEPS:
        begun = time.monotonic()
        found = step()
        wrong += len(found)
        told = "nothing" if not found else f"{len(found)} found"
        print(f"{time.monotonic() - begun:6.1f} s  {step.__name__}: {told}", flush=True)
        for line in found:
            print(f"   {line}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
