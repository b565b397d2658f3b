#!/usr/bin/env bash
# Builds .bigquery: the BigQuery emulator of the tests in an environment of its own, on Python 3.13.
# PYTHON313 names the interpreter; without one it is looked for. Where there is none, the reason is
# left in .bigquery/left-out, and the tests of BigQuery are left out.
set -euo pipefail
cd "$(dirname "$0")/.."

is_313() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; }

python=
for candidate in ${PYTHON313:-python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python}; do
  if is_313 "$candidate"; then
    python=$candidate
    break
  fi
done

if [ -n "${PYTHON313:-}" ] && [ -z "$python" ]; then
  echo "PYTHON313=$PYTHON313 is no Python 3.13." >&2
  exit 1
fi
rm -rf .bigquery
mkdir .bigquery
if [ -z "$python" ]; then
  echo "no Python 3.13" >.bigquery/left-out
  printf '\n!! There is no Python 3.13 on this machine: the tests of BigQuery are left out.\n'
  printf '!! Install one, or name it: make setup-bigquery PYTHON313=/path/to/python3.13\n\n'
  exit 0
fi

"$python" -m venv .bigquery/venv
# Every package is in the lock file. One of them asks for a newer DuckDB, so nothing is resolved.
.bigquery/venv/bin/python -m pip install --quiet --disable-pip-version-check \
  --no-deps --require-hashes -r requirements/bigquery-emulator.txt
# DuckDB looks for its extensions in the home folder: the emulator gets one of its own.
.bigquery/venv/bin/python - <<'PYTHON'
import importlib.util
from pathlib import Path

import duckdb

(version, platform) = duckdb.sql("select version(), (select platform from pragma_platform())").fetchone()
home = Path(".bigquery/home/.duckdb/extensions", version, platform)
home.mkdir(parents=True)
for name in ("ducklake", "icu", "spatial"):
    package = Path(importlib.util.find_spec(f"duckdb_extension_{name}").origin).parent
    (home / f"{name}.duckdb_extension").symlink_to(
        package / "extensions" / version / f"{name}.duckdb_extension"
    )
PYTHON
touch .bigquery/.installed
