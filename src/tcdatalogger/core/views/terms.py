"""The table that Torn's terms ask of everybody who takes the keys of others.

It says where data and keys are kept, who can see them, and what for. The program fills it in from
the configuration; it cannot know what else is done with the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tcdatalogger.core.config.durations import Duration
from tcdatalogger.core.config.settings import EndpointSettings, Settings
from tcdatalogger.services.torncity.catalog.catalog import Catalog
from tcdatalogger.services.torncity.keys import LEVELS, custom_key_link, selections_of
from tcdatalogger.text import one_line

PAGE: Final = "https://www.torn.com/api.html"
"""Where Torn's terms are."""

_NUMBERS: Final = "one two three four five six seven eight nine ten eleven twelve".split()
_ROLES: Final = {"owner": "its owner", "officer": "officers", "member": "members"}
_SCHEMES: Final = {
    "env": "given to the program by its environment or, where it runs as a service, kept in a file "
    "that no other user can read",
    "file": "in a file that only the user of the program can read",
    "keyring": "in the keyring of the operating system",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """The rows of Torn's table, each a text of whole sentences.

    Attributes:
        storage: where the data is, and for how long.
        sharing: who else can see the data.
        purpose: what the data is for.
        key_storage: where the keys are, and who else can use them.
        key_access: the level of key that is needed, and its selections.
        link: where Torn makes a key that can do just this; "" where nothing is logged.
    """

    storage: str
    sharing: str
    purpose: str
    key_storage: str
    key_access: str
    link: str

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """Each row by the name that Torn's page gives it."""
        return (
            ("Data Storage", self.storage),
            ("Data Sharing", self.sharing),
            ("Purpose of Use", self.purpose),
            ("Key Storage & Sharing", self.key_storage),
            ("Key Access Level", self.key_access),
        )

    def markdown(self) -> str:
        """The table in Markdown."""
        lines = ["| | |", "|---|---|"]
        lines += [f"| **{name}** | {_in_markdown(text)} |" for name, text in self.rows]
        return "\n".join(lines)


def terms(settings: Settings, known: Catalog) -> Terms:
    """The table of a configuration.

    Args:
        settings: the configuration; nothing of it that leads to a place on the disk is shown.
        known: the catalogue in use.
    """
    wanted = [known.find(endpoint.path)[0] for endpoint in settings.endpoints]
    level = max((each.access for each in wanted), key=LEVELS.__getitem__, default="public")
    chosen = "; ".join(f"{section}: {', '.join(names)}" for section, names in selections_of(wanted))
    access = f"A custom key with {chosen}. A key of the level {level} can do it too."
    return Terms(
        storage=" ".join(_storage(settings)),
        sharing=settings.terms.sharing or " ".join(_sharing(settings)),
        purpose=settings.terms.purpose,
        key_storage=_key_storage(settings),
        key_access=access if wanted else "Nothing is logged yet, so no key is needed.",
        link=custom_key_link(wanted) if wanted else "",
    )


def in_words(duration: Duration) -> str:
    """A duration as a sentence has it: `one year`, `two weeks`, `90 days`."""
    told = duration.words
    for short, word in (("h", "hour"), ("min", "minute"), ("s", "second")):
        parts = told.split()
        told = " ".join(
            f"{word}{'' if before == '1' else 's'}" if part == short else part
            for before, part in zip(["", *parts], parts, strict=False)
        )
    words = told.split()
    return " ".join(
        _NUMBERS[int(word) - 1] if word.isdigit() and 0 < int(word) <= len(_NUMBERS) else word
        for word in words
    )


def _storage(settings: Settings) -> Iterator[str]:
    """Where the data is, and for how long."""
    cloud = settings.warehouse.file is None
    where = "in BigQuery, at Google" if cloud else "in a file on the machine of the program"
    sure = " It is encrypted." if settings.warehouse.encryption_key or cloud else ""
    yield f"The data is {where}.{sure}"
    yield from _kept(settings.endpoints)
    where = "in a bucket" if settings.archive.folder is None else "on the same machine"
    keep = settings.archive.keep
    long = "for ever" if keep is None else f"for {in_words(keep)}"
    yield f"The answers of Torn, as they came, are kept {where} {long}."
    if settings.backup.frequency is not None:
        number = settings.backup.keep
        count = _NUMBERS[number - 1] if number <= len(_NUMBERS) else str(number)
        yield f"The last {count} backup{'' if number == 1 else 's'} have all of it too."
    yield "A player is taken out of it on request."


def _kept(endpoints: tuple[EndpointSettings, ...]) -> Iterator[str]:
    """How long the rows of endpoints are kept."""
    lasting = [endpoint.name for endpoint in endpoints if endpoint.keep is None]
    by_time: dict[str, list[str]] = {}
    for endpoint in endpoints:
        if endpoint.keep is not None:
            by_time.setdefault(in_words(endpoint.keep), []).append(endpoint.name)
    if not by_time:
        yield "Its rows are kept until they are deleted by hand."
        return
    for told, names in by_time.items():
        yield f"Rows of {', '.join(names)} are deleted after {told}."
    if lasting:
        yield f"Rows of {', '.join(lasting)} are kept until they are deleted by hand."


def _sharing(settings: Settings) -> Iterator[str]:
    """Who else can see the data, as far as the configuration says it."""
    seen = ["whoever runs the program"]
    if settings.warehouse.file is None:
        seen.append("those whom the Google project lets read the dataset")
    if settings.archive.folder is None:
        seen.append("those who may read the bucket")
    roles = [_ROLES[role] for role in _ROLES if role in settings.ui.passwords]
    if roles:
        seen.append(f"those with a password of its pages ({', '.join(roles)})")
    if settings.ui.tokens:
        seen.append("programs with a token of its pages")
    if settings.digest.questions:
        seen.append("everybody in the channel of the digest, who sees its answers")
    if any(export.sheet for export in settings.exports):
        seen.append("those who may open the spreadsheets of its exports")
    yield f"Nobody but {_listed(seen)}."


def _key_storage(settings: Settings) -> str:
    schemes = dict.fromkeys(text.partition(":")[0] for text in settings.keys.values())
    told = [_SCHEMES.get(scheme, f"in a place of the kind {scheme}") for scheme in schemes]
    if not told:
        return "No key is configured yet."
    return (
        f"A key is {_listed(told)}. It is sent to Torn alone, in a header, and shared with nobody. "
        "It stands in no log, no answer that is kept, and no table."
    )


def _listed(words: list[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def _in_markdown(text: str) -> str:
    """A text for a cell of a table in Markdown: it ends no cell, and begins no HTML."""
    safe = one_line(text).replace("\\", "\\\\").replace("|", "\\|")
    return safe.replace("&", "&amp;").replace("<", "&lt;")
