"""An installation as a question sees it: a configuration and its warehouse."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import known_faction

from tcdatalogger.core.config import configuration
from tcdatalogger.questions import question
from tcdatalogger.questions.answers import Answer, ask, given
from tcdatalogger.questions.relations import Relations
from tcdatalogger.services.duckdb.warehouse import DuckDBWarehouse
from tcdatalogger.services.torncity.catalog import catalog

EVERYBODY = dict.fromkeys(question.SUBJECTS.values(), question.ALL)
HEAD = '[keys]\ndefault = "env:TORN_API_KEY"\n\n'


@dataclass(frozen=True)
class Installation:
    """A configuration and its warehouse, as a question sees them."""

    file: Path
    relations: Relations

    def ask(self, name: str, **texts: str) -> Answer:
        """The answer to a question of this program, of all factions and players together."""
        asked = question.shipped()[name]
        with DuckDBWarehouse(self.file, read_only=True) as warehouse:
            return ask(warehouse, self.relations, asked, given(asked, EVERYBODY | texts))

    def ask_text(self, text: str, **texts: str) -> Answer:
        """The answer to a question of a test's own, in the text of its file."""
        asked = question.read(text, "mine", "mine.sql")
        with DuckDBWarehouse(self.file, read_only=True) as warehouse:
            return ask(warehouse, self.relations, asked, given(asked, EVERYBODY | texts))


def installed(file: Path, endpoints: str) -> Installation:
    """An installation with a warehouse and a configuration."""
    toml = file.with_suffix(".toml")
    toml.write_text(HEAD + endpoints, encoding="utf-8")
    settings = configuration.load(toml, {"TORN_API_KEY": "a" * 16})
    return Installation(file, Relations(settings, catalog.load(), float(known_faction.START)))


def endpoint(name: str, path: str, **settings: object) -> str:
    """The lines of an endpoint."""
    lines = [f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}"
             for key, value in {"frequency": "PT1H", **settings}.items()]  # fmt: skip
    return f'[[endpoints]]\nname = "{name}"\npath = "{path}"\n' + "\n".join(lines) + "\n\n"


def known_endpoints() -> str:
    """The lines of all endpoints of `known_faction.py`."""
    return "".join(
        f"{endpoint(name, path).rstrip()}\n{known_faction.LINES.get(name, '')}\n\n"
        for name, path in known_faction.PATHS.items()
    )
