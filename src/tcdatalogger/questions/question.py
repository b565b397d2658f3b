"""A question as data: a file `NAME.sql` that begins with a header in TOML.

    /*
    title = "Who was not seen?"
    page = "members"
    asks = ["leader"]
    caption = "Members whose last action is more than {hours} hours before the newest picture."
    definition = "What the numbers mean, and what they do not mean."
    chart = { kind = "list", label = "member", values = ["days_ago"] }
    units = { days_ago = "days" }

    [needs]
    "/faction/members" = { every = "PT1H" }

    [params]
    hours = { default = 24, min = 1, max = 2160, says = "Hours without an action." }
    */
    select name as member from {faction_members:now} where …

The text names relations and not tables (`relations.py`), and parameters as `$hours`.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

import msgspec

from tcdatalogger.errors import ConfigError, UsageError
from tcdatalogger.text import did_you_mean

Value = int | float | str | datetime | None
"""A value of a parameter."""

Kind = Literal["tiles", "list", "bars", "stack", "line", "heat", "matrix", "table"]
"""How an answer is drawn."""

Unit = Literal[
    "money", "dollars", "count", "percent", "days", "hours", "seconds", "time", "date", "respect",
    "number", "weekday", "text", "flag", "rating", "id",
]  # fmt: skip
"""What a column counts, and so how people read it. `id` is a number that tells something apart, as
every column does whose name ends so. `dollars` is money that somebody
pays, written in full. `percent` is a share from 0 to 1; `weekday` is 0 for Monday; `flag` is
yes or no; `rating` is `good`, `warn` or `bad` with what follows a colon."""

Audience = Literal["faction", "officer", "owner"]
"""Who may see an answer, the largest circle first."""

PAGES: Final = ("crimes", "members", "money", "war", "armory", "market", "me")
"""The pages of questions, in their order."""

SUBJECTS: Final = {"faction": "faction", "user": "player", "company": "company"}
"""Whom the rows of a path without an id are about, by the section of the path. Each is a parameter
of the questions that have such rows."""
ALL: Final = "all"
"""In place of the id of a subject: the rows of all of them."""
THINGS: Final = ("member", "crime", "war", "item")
"""The things that have a page of their own: a question says which of them it can be about."""

_HEADER: Final = re.compile(r"\A/\*\n(?P<header>.*?)\n\*/\n(?P<sql>.*)\Z", re.DOTALL)
_IDS: Final = re.compile(r"\b[a-z]\w*_id\b")
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_CHOICE: Final = re.compile(r"[A-Za-z0-9_ .-]+")
"""A choice stands in the SQL as a text: it holds nothing that an engine reads otherwise."""

MOST_DAYS: Final = 3_650
_LONG: Final = 19
"""Digits that no id has: a column of integers ends there."""
MOST_ID: Final = 2**63 - 1
"""The largest id that both engines can compare."""
_YEARS: Final = (1970, 2999)
"""The years of a moment: before the first and after the last one a calendar may end."""


class Chart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an answer is drawn. Names are those of columns of the answer.

    Attributes:
        kind: the kind of chart.
        label: what a row is called; of `heat` and `matrix` the rows, of `line` what runs from left
            to right.
        across: of `heat` and `matrix`: the columns.
        values: what is drawn, one series each.
        series: of `line`: a column whose values are series of their own.
    """

    kind: Kind
    label: str = ""
    across: str = ""
    values: tuple[str, ...] = ()
    series: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it names."""
        return tuple(filter(None, (self.label, self.across, *self.values, self.series)))


class Need(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must be logged for an answer.

    Attributes:
        modes: the storage modes that keep what the question looks at; empty for any.
        every: how often at least, as an ISO 8601 duration; "" for any.
        params: parameters of the endpoint, one endpoint for each value of a list.
        one_will_do: whether one endpoint will do, with these or other values of the parameters.
        ids: for a path with a placeholder: what stands for it, as in the configuration.
        also: other paths whose answers have the same shape, and will do.
        optional: whether the question has an answer without it.
    """

    modes: tuple[str, ...] = ()
    every: str = ""
    params: Mapping[str, str | tuple[str, ...]] = {}
    one_will_do: bool = False
    ids: str = ""
    also: tuple[str, ...] = ()
    optional: bool = False


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value that whoever asks may choose.

    Attributes:
        default: the value where none is chosen; None leaves it open, and it is null.
        type: `int`, `float` or `choice`.
        min, max: bounds of a number.
        choices: the values of a choice.
        says: what it is, in a sentence.
    """

    default: int | float | str | None = None
    type: Literal["int", "float", "choice"] = "int"
    min: int | float | None = None
    max: int | float | None = None
    choices: tuple[str, ...] = ()
    says: str = ""

    def read(self, name: str, text: str) -> Value:
        """The value of a text.

        Raises:
            UsageError: it is no value of this parameter.
        """
        try:
            return self.checked(name, {"int": int, "float": float, "choice": str}[self.type](text))
        except ValueError:
            raise UsageError(
                f"{name} is {text!r}, which is no number.",
                remedy=self.says if self.default is None else f"As: {name}={self.default}",
            ) from None

    def checked(self, name: str, value: float | str) -> Value:
        """The value, if it is one of this parameter.

        Raises:
            UsageError: it is not.
        """
        if isinstance(value, str):
            if self.type == "choice" and value in self.choices:
                return value
            raise UsageError(
                f"{name} is {value!r}, which is no choice.",
                remedy=did_you_mean(value, self.choices, f"There are: {', '.join(self.choices)}."),
            )
        if (self.min is not None and not value >= self.min) or (
            self.max is not None and not value <= self.max
        ):
            raise UsageError(
                f"{name} is {value}, and goes from {self.min} to {self.max}.",
                remedy=f"As: {name}={self.default}",
            )
        return value


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    page: str
    caption: str
    chart: Chart
    needs: Mapping[str, Need]
    asks: tuple[str, ...] = ()
    definition: str = ""
    audience: Audience = "faction"
    of: str | tuple[str, ...] = ()
    units: Mapping[str, Unit] = {}
    links: Mapping[str, str] = {}
    params: Mapping[str, Parameter] = {}
    days: int = 30
    shared: tuple[str, ...] = ()
    dialect: Literal["", "duckdb", "bigquery"] = ""


class Question(_Header, frozen=True, kw_only=True):
    """A question in words, in SQL, and as a picture.

    Attributes:
        name: the name of its file, without `.sql`.
        place: where its file is, for messages.
        sql: the text after the header.
        line: the line of the file on which the text begins.
        title: the question in words.
        page: the page of the dashboard on which it stands.
        caption: one sentence about the answer; `{name}` stands for a parameter.
        chart: how it is drawn.
        needs: what must be logged for it, by path.
        asks: who asks it: leader, planner, banker, warlord, quartermaster, recruiter, trader,
            member.
        definition: what exactly is counted, and what a reader may take wrongly.
        audience: who may see the answer.
        of: what it can be about one of, `THINGS`: the id is the parameter of that name, `$member`,
            and the page of that thing shows the question.
        units: what columns count, by their names.
        links: columns with the id of what another column names, by the name of that column.
        params: what whoever asks may choose, by name. `days`, `since`, `until` and the `SUBJECTS`
            are always there.
        days: how many days it looks back where nothing else is asked.
        shared: names of its own parts that hold rows of no subject, as prices: they are joined
            without `_subject_id`.
        dialect: the only engine that it runs on, "" for all.
    """

    name: str
    place: str
    sql: str
    line: int = 1

    @property
    def looks_back(self) -> bool:
        """Whether the answer depends on how many days it looks back."""
        return re.search(r"\$(since|days)\b", self.sql) is not None

    @property
    def things(self) -> tuple[str, ...]:
        """What it can be about one of."""
        return (self.of,) if isinstance(self.of, str) else self.of


def read(text: str, name: str, place: str) -> Question:
    """The question in the text of a file.

    Args:
        text: of the file.
        name: of the question.
        place: where the file is.

    Raises:
        ConfigError: it is no question.
    """
    if _NAME.fullmatch(name) is None:
        raise _wrong(place, "its name is not written in small letters with hyphens")
    found = _HEADER.match(text.replace("\r\n", "\n"))
    if found is None:
        raise _wrong(place, "it does not begin with a header: a line `/*`, TOML, a line `*/`")
    try:
        header = msgspec.convert(tomllib.loads(found["header"]), _Header)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise _wrong(place, f"its header is wrong: {error}") from None
    if header.page not in PAGES:
        raise _wrong(place, f"there is no page {header.page!r}: {', '.join(PAGES)}")
    if not 1 <= header.days <= MOST_DAYS:
        raise _wrong(place, f"days go from 1 to {MOST_DAYS}")
    for param, what in header.params.items():
        _check(place, param, what)
    facts = {name: getattr(header, name) for name in _Header.__struct_fields__}
    facts["units"] = dict.fromkeys(_IDS.findall(found["sql"]), "id") | dict(header.units)
    line = found["header"].count("\n") + 4
    asked = Question(**facts, name=name, place=place, sql=found["sql"].strip() + "\n", line=line)
    return msgspec.structs.replace(asked, params={**_of_one(asked), **header.params})


def _of_one(asked: Question) -> dict[str, Parameter]:
    """The parameters of the things that a question can be about, where it says no more of them."""
    for thing in asked.things:
        if thing not in THINGS:
            raise _wrong(asked.place, f"it is of {thing!r}, and can be of {', '.join(THINGS)}")
        if thing in asked.params and asked.params[thing].type != "int":
            raise _wrong(asked.place, f"the parameter {thing} is an id, and has the type int")
        if re.search(rf"\${thing}\b", asked.sql) is None:
            raise _wrong(asked.place, f"it is of one {thing}, and its text does not name ${thing}")
    return {
        thing: Parameter(
            min=1, max=MOST_ID, says=f"Id of the {thing}; search shows it beside the name."
        )
        for thing in asked.things
    }


def _check(place: str, name: str, parameter: Parameter) -> None:
    if name in {"days", "since", "until", *SUBJECTS.values()}:
        raise _wrong(place, f"every question has the parameter {name}")
    if name in {"scheme", "token"}:
        raise _wrong(place, f"{name} means something else in the address of an answer")
    if parameter.type == "choice":
        if not parameter.choices or not all(map(_CHOICE.fullmatch, parameter.choices)):
            raise _wrong(place, f"the choices of {name} are words of letters and digits")
        if parameter.default not in parameter.choices:
            raise _wrong(place, f"the default of {name} is none of its choices")
        return
    if isinstance(parameter.default, str):
        raise _wrong(place, f"the default of {name} is no number")
    if parameter.default is not None:
        try:
            parameter.checked(name, parameter.default)
        except UsageError as error:
            raise _wrong(place, error.message) from None


def _wrong(place: str, what: str) -> ConfigError:
    return ConfigError(
        f"{place} is no question: {what}.",
        remedy="`tcdatalogger ask --check` looks at all files; docs/questions.md says what a "
        "question is made of.",
    )


@functools.cache
def shipped() -> Mapping[str, Question]:
    """The questions of this program by name: by page, and there in the order of their names."""
    folder = files(__package__).joinpath("pack")
    found = [
        read(each.read_text(encoding="utf-8"), each.name.removesuffix(".sql"), each.name)
        for each in folder.iterdir()
        if each.name.endswith(".sql")
    ]
    return _in_order(found)


def known(folder: Path | None = None) -> Mapping[str, Question]:
    """The questions of this program and those of a folder; there a name of ours is replaced.

    Args:
        folder: `questions` beside the configuration; None, or one that is not there, for none.

    Raises:
        ConfigError: a file cannot be read, or is no question.
    """
    found = dict(shipped())
    for file in sorted(folder.glob("*.sql")) if folder is not None else ():
        if not file.is_file():  # a pipe would be waited for without an end
            raise ConfigError(f"The question {file} cannot be read: it is no file.")
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The question {file} cannot be read: {error}.") from None
        found[file.stem] = read(text, file.stem, str(file))
    return _in_order(found.values())


def _in_order(found: Iterable[Question]) -> Mapping[str, Question]:
    listed = sorted(found, key=lambda each: (PAGES.index(each.page), each.name))
    return {each.name: each for each in listed}


def subject(name: str, text: str) -> Value:
    """The subject that a text names: an id, or `ALL`.

    Args:
        name: of the parameter, one of `SUBJECTS`.
        text: what somebody wrote.

    Raises:
        UsageError: it is neither.
    """
    if text == ALL:
        return ALL
    if not (text.isascii() and text.isdecimal() and len(text) < _LONG):
        raise UsageError(f"{name} is {text!r}, which is no id.", remedy=f"As: {name}=40832")
    return int(text)


def moment(text: str) -> datetime:
    """A moment in UTC from `2026-01-31` (its end) or `2026-01-31T06:00:00Z`.

    Raises:
        UsageError: it is neither, or of a year that no answer is about.
    """
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            found = datetime.combine(date.fromisoformat(text), time.max, UTC)
        else:
            found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"until is {text!r}, which is no day.", remedy="As: until=2026-01-31"
        ) from None
    first, last = _YEARS
    if not first <= found.year <= last:
        raise UsageError(
            f"until is {text!r}, and goes from the year {first} to {last}.",
            remedy="As: until=2026-01-31",
        )
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
