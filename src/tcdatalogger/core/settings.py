"""The settings of the program as frozen values. `config.load` makes and checks them.

What a field is for stands in its description, which `tcdatalogger config schema` prints.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    PlainValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from tcdatalogger.core.duration import Duration, parse
from tcdatalogger.core.moments import moment

ARCHIVE_PATH = "data/archive"
WAREHOUSE_URL = "duckdb:///data/torn.duckdb"
TORN_URL = "https://api.torn.com/v2"
_SNAKE = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

Plain = str | int | float | bool
QUERY = "query:"
"""How `ids` begin that are to be read from the warehouse."""


def _wrong(message: str) -> PydanticCustomError:
    # Through {text}, as a brace in the message itself would be read as a placeholder.
    return PydanticCustomError("wrong", "{text}", {"text": message})


def _duration(value: Any) -> Duration:
    if isinstance(value, Duration):
        return value
    if not isinstance(value, str):
        raise _wrong("a duration is a text such as PT15M (15 minutes) or P1D (a day)")
    try:
        return parse(value)
    except ValueError as error:
        raise _wrong(str(error)) from None


def _since(value: str) -> str:
    try:
        moment(value, time.time())
    except ValueError as error:
        raise _wrong(str(error)) from None
    return value


def _clock_only(duration: Duration) -> Duration:
    if duration.seconds is None:
        raise _wrong("must be counted in hours, minutes and seconds; write PT24H for a day")
    return duration


def _texts(value: Any) -> tuple[str, ...]:
    many = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not all(isinstance(item, str) and item for item in many):
        raise _wrong("must be a text in quotes, or a list of texts")
    return many


def _ids(value: Any) -> tuple[int | str, ...]:
    many = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not all(isinstance(item, int | str) and not isinstance(item, bool) for item in many):
        raise _wrong("must be an id, or a list of ids")
    return many


def _param(value: Any) -> Plain | tuple[Plain, ...]:
    many = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not many or not all(isinstance(item, str | int | float) for item in many):
        raise _wrong("must be a text, a number, true or false, or a list of these")
    return many if isinstance(value, list | tuple) else many[0]


def _safe_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _wrong("must be a web address such as https://api.torn.com/v2")
    if parts.username or parts.password:
        raise _wrong("must not hold a user name or a password")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise _wrong("must begin with https: over http the key could be read on its way")
    return url.rstrip("/")


def _level(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


_DURATION_SCHEMA = GetPydanticSchema(
    get_pydantic_core_schema=lambda _source, _handler: core_schema.no_info_plain_validator_function(
        _duration, serialization=core_schema.to_string_ser_schema()
    ),
    get_pydantic_json_schema=lambda _schema, _handler: {"type": "string", "format": "duration"},
)
AnyDuration = Annotated[Duration, _DURATION_SCHEMA]
ClockDuration = Annotated[Duration, _DURATION_SCHEMA, AfterValidator(_clock_only)]
Name = Annotated[str, Field(pattern=_SNAKE, max_length=63)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_texts, json_schema_input_type=str | list[str])]
Ids = Annotated[
    tuple[int | str, ...],
    BeforeValidator(_ids, json_schema_input_type=int | str | list[int | str]),
]
Param = Annotated[
    Plain | tuple[Plain, ...], PlainValidator(_param, json_schema_input_type=Plain | list[Plain])
]


class _Model(BaseModel):
    # Inputs never stand in the text of an error: one of them may be a key.
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )


class Warehouse(_Model):
    """Where the tables go."""

    url: str = WAREHOUSE_URL
    """duckdb:///FILE for a DuckDB file (relative to this file's folder; duckdb:////FILE from the
    root), or bigquery://PROJECT/DATASET?location=EU."""

    @property
    def file(self) -> Path | None:
        """The DuckDB file, None for a warehouse that is no file."""
        return file_of(self.url, "duckdb")


class Archive(_Model):
    """Where every answer of Torn is kept as it came."""

    path: str = ARCHIVE_PATH
    """A folder, relative to this file's, or gs://BUCKET/PREFIX."""
    keep: AnyDuration | None = None
    """How long raw answers stay, as P1Y. For ever where it is not given."""


class Endpoint(_Model):
    """One path of Torn's API, how often it is read and where its rows go."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["path"]}, {"required": ["url"]}]}
    )

    name: Name
    """Names its runs and, by default, its root table."""
    path: str = ""
    """Any path of the catalogue, as /faction/crimes or /faction/40832/members."""
    url: str | None = None
    """The whole address instead of the path, as https://api.torn.com/v2/faction/crimes."""
    api_key: Annotated[Texts, Field(min_length=1)] = ("default",)
    """The name of an entry of [keys], or a list of names of which a healthy one is used."""
    priority: Literal["low", "normal", "high"] = "normal"
    """Whose calls go first where calls have to wait; low also leaves a part of the limit free."""
    frequency: AnyDuration | None = None
    """How often it runs, as PT15M or P1D. Without it, only when it is asked for by name."""
    storage_mode: Literal["append", "replace", "merge", "history"] = "append"
    """append: every run adds its rows. replace: the tables hold just the latest run. merge: rows
    are inserted or updated by key. history: a new version of a row when it changes."""
    params: dict[str, Param] = Field(default_factory=dict)
    """Parameters of the path, as { cat = "all" }; `tcdatalogger catalog show PATH` lists them."""
    ids: Ids = ()
    """Values for the path's placeholder, as [40832, 9533], one request each; or a query of the
    warehouse whose first column has them, as "query:select distinct id from faction_members"."""
    timeout: ClockDuration = Field(
        default_factory=lambda: parse("PT5M"), json_schema_extra={"default": "PT5M"}
    )
    """For a whole run; its process is killed after it."""
    table: Name | None = None
    """The root table, where it is not to be called as the endpoint."""
    tags: Texts = ()
    """For `run --tag`."""
    enabled: bool = True
    """Whether the scheduler and `run --all` take it."""
    contract: Literal["evolve", "freeze", "quarantine"] = "evolve"
    """What to do with a field that the catalogue lacks: keep it as a new column, fail the run
    before anything is stored, or set the record aside."""
    key: Texts = ()
    """Columns of the root table that together are its primary key, where not the catalogue's."""

    incremental: bool | None = None
    """Whether a run asks only for what is new since the last one, and leaves out what is stored
    already. Lists by time that append do, unless it is false here."""
    overlap: AnyDuration | None = None
    """How far an incremental run goes back behind the last one, as PT10M: rows that come late or
    change within it are found. A minute, or as long as the rows of the path may change."""
    since: Annotated[str, AfterValidator(_since)] = "P1D"
    """How far back the first incremental run goes, as P1D or 2026-01-31; all that is older is left
    to `tcdatalogger backfill`."""

    processor: str = ""
    """A processor by the name that its package registers, where not the path's own."""
    max_pages: Annotated[int, Field(ge=1)] | None = None
    """After how many pages a run stops; without it a list is read to its end."""

    @property
    def root_table(self) -> str:
        """The name of its root table."""
        return self.table or self.name

    @model_validator(mode="before")
    @classmethod
    def _path_from_url(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        path, url = data.get("path"), data.get("url")
        if not path and not url:
            raise _wrong('needs a path, as path = "/faction/crimes"')
        if path and url and path != _path_and_params(url)[0]:
            raise _wrong("has both a path and a url; leave one out")
        if path or not isinstance(url, str):
            return data
        found, params = _path_and_params(url)
        own = data.get("params", {})
        if isinstance(own, Mapping):
            params |= own
        return {**data, "path": found, "params": params}


class State(_Model):
    """Where runs, leases and budgets are kept while they happen."""

    url: str | None = None
    """sqlite:///FILE, by default beside the warehouse, or postgresql://… for several machines."""

    @property
    def file(self) -> Path | None:
        """The SQLite file, None for a state that is no file."""
        return file_of(self.url or "", "sqlite")


class Limits(_Model):
    """How much of Torn's limits this program may use."""

    share: float = Field(default=1.0, gt=0, le=1)
    """Of the 100 calls a minute of each user; less where other tools use the same keys."""


class Torn(_Model):
    """How Torn is called."""

    url: Annotated[str, AfterValidator(_safe_url)] = TORN_URL
    """The root of the API; the sandbox's address while trying things out."""
    comment: str = Field(default="tcdlogger", pattern=r"^[A-Za-z0-9_.-]{0,20}$")
    """Shown to the owner of a key in the log of its calls; Torn shows about ten characters."""
    user_agent: str | None = Field(default=None, pattern=r"^[ -~]+$")
    """Sent with each call, TCdatalogger and its version where it is not given."""
    catalog: Path = Field(default=Path("tcdatalogger.catalog.json"), strict=False)
    """The file of another catalogue than the shipped one, written by `tcdatalogger catalog use`;
    passed over where it is not there. Relative to this file's folder."""
    connect_timeout: ClockDuration = Field(
        default_factory=lambda: parse("PT10S"), json_schema_extra={"default": "PT10S"}
    )
    """For the connection of one call."""
    read_timeout: ClockDuration = Field(
        default_factory=lambda: parse("PT30S"), json_schema_extra={"default": "PT30S"}
    )
    """For the answer of one call."""


class Log(_Model):
    """What is logged, and how."""

    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_level)] = "info"
    """The least important lines that are shown."""
    format: Literal["auto", "human", "json"] = "auto"
    """auto is human on a terminal and JSON lines elsewhere."""
    file: Path | None = Field(default=None, strict=False)
    """A file that gets every line too, as JSON. Relative to this file's folder."""


class Settings(_Model):
    """The whole configuration."""

    warehouse: Warehouse = Warehouse()
    archive: Archive = Archive()
    keys: dict[str, str] = Field(default_factory=dict)
    """Names of keys and where they are: env:VARIABLE, file:PATH or keyring:SERVICE/USER."""
    endpoints: tuple[Endpoint, ...] = ()
    state: State = State()
    limits: Limits = Limits()
    torn: Torn = Torn()
    log: Log = Log()

    def endpoint(self, name: str) -> Endpoint | None:
        """The endpoint of that name, None where there is none."""
        return next((endpoint for endpoint in self.endpoints if endpoint.name == name), None)

    def grounded(self, folder: Path) -> Self:
        """The same settings with every relative path taken from `folder`."""
        warehouse = _ground_url(self.warehouse.url, "duckdb", folder)
        archive = self.archive.path
        if "://" not in archive:
            archive = str(ground(archive, folder))
        state = _ground_url(self.state.url or _state_beside(warehouse), "sqlite", folder)
        torn = self.torn.model_copy(update={"catalog": ground(str(self.torn.catalog), folder)})
        log_file = None if self.log.file is None else ground(str(self.log.file), folder)
        return self.model_copy(
            update={
                "warehouse": self.warehouse.model_copy(update={"url": warehouse}),
                "archive": self.archive.model_copy(update={"path": archive}),
                "state": self.state.model_copy(update={"url": state}),
                "torn": torn,
                "log": self.log.model_copy(update={"file": log_file}),
                "keys": {name: _ground_key(key, folder) for name, key in self.keys.items()},
            }
        )


def file_of(url: str, scheme: str) -> Path | None:
    """The file that a `scheme:///FILE` names, None for any other address."""
    prefix = f"{scheme}:///"
    return Path(url.removeprefix(prefix)) if url.startswith(prefix) else None


def ground(path: str, folder: Path) -> Path:
    """`path` as an absolute one, `~` and `..` resolved."""
    return (folder / Path(path).expanduser()).resolve()


def _ground_url(url: str, scheme: str, folder: Path) -> str:
    file = file_of(url, scheme)
    return url if file is None else f"{scheme}:///{ground(str(file), folder)}"


def _state_beside(warehouse: str) -> str:
    file = file_of(warehouse, "duckdb") or Path("data/torn")
    return f"sqlite:///{file.with_suffix('.state.sqlite')}"


def _ground_key(reference: str, folder: Path) -> str:
    scheme, _, rest = reference.partition(":")
    return f"file:{ground(rest, folder)}" if scheme == "file" else reference


def _path_and_params(url: object) -> tuple[str, dict[str, Any]]:
    """Path without the version and parameters of a whole address."""
    parts = urlsplit(str(url))
    path = re.sub(r"^/v2(?=/|$)", "", parts.path)
    return path, dict(parse_qsl(parts.query))
