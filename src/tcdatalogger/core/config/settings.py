"""The settings of the program as frozen values. `config.load` makes and checks them.

What a field is for stands in its description, which `tcdatalogger config schema` prints.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    field_serializer,
    model_validator,
)

from tcdatalogger.core.config import schedule, sizes
from tcdatalogger.core.config.checks import CheckSettings
from tcdatalogger.core.config.durations import parse
from tcdatalogger.core.config.field_types import (
    AnyDuration,
    ClockDuration,
    Ids,
    Model,
    Name,
    Param,
    Texts,
    checked,
    listening,
    lowered,
    safe_url,
    wrong,
)
from tcdatalogger.core.config.moments import moment
from tcdatalogger.core.config.paths import (
    backups_beside,
    file_of,
    resolve_path,
    resolve_processor,
    resolve_reference,
    resolve_url,
    state_beside,
    without_password,
)

ARCHIVE_PATH = "data/archive"
WAREHOUSE_URL = "duckdb:///data/torn.duckdb"
TORN_URL = "https://api.torn.com/v2"

QUERY = "query:"
"""How `ids` begin that are to be read from the warehouse."""


SQLITE: Final = "sqlite:///"
POSTGRES: Final = ("postgresql://", "postgres://")
"""How addresses of a state begin."""


class WarehouseSettings(Model):
    """Where the tables go."""

    url: str = WAREHOUSE_URL
    """duckdb:///FILE for a DuckDB file: relative to this file's folder; duckdb:////FILE from the
    root."""
    encryption_key: str | None = None
    """Where the key is that a DuckDB file is encrypted with, as env:TCD_WAREHOUSE_KEY; never the
    key itself. A new file is encrypted with it; without it, files are not."""

    @property
    def file(self) -> Path | None:
        """The DuckDB file, None for a warehouse that is no file."""
        return file_of(self.url, "duckdb")


class ArchiveSettings(Model):
    """Where every answer of Torn is kept as it came."""

    path: str = ARCHIVE_PATH
    """A folder, relative to this file's."""
    keep: AnyDuration | None = None
    """How long raw answers stay, as P1Y. For ever where it is not given."""


class EndpointSettings(Model):
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
    timezone: Annotated[str, checked(schedule.zone)] = "UTC"
    """Whose days, weeks, months and years a frequency like P1D counts, as Europe/Vienna."""
    anchor: Annotated[str, checked(schedule.anchor)] = schedule.ANCHOR
    """A local date and time at which it is due, as 2001-01-01T06:30; it is due at whole periods
    before and after it. By default days begin at midnight, weeks on Monday, months on the 1st."""
    jitter: ClockDuration | None = None
    """Up to how much later it is due, as PT2M: always the same for its name, so that endpoints of
    one frequency do not all begin at once."""
    retries: Annotated[int, Field(ge=0)] = 3
    """How often the scheduler tries a run again that failed by what may pass, before the next one
    is due."""
    memory: Annotated[str, checked(sizes.parse)] = "1GB"
    """What a run of the scheduler may take beyond the bare program; one that wants more fails, and
    nothing else with it."""
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
    """For a whole run. When it is over, append and merge store the pages that came and the other
    modes nothing; its process is killed a little later."""
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
    columns: dict[str, Name] = Field(default_factory=dict)
    """Names of your own for columns, as { rewards_money = "money" }, or of one table alone, as
    { "faction_crimes_slots.user_id" = "player_id" }. Where there are rows, `tcdatalogger schema
    apply NAME --accept` renames the columns."""
    checks: tuple[CheckSettings, ...] = Field(default=(), strict=False)
    """What the rows of each load must keep, as [{ column = "level", min = 1, max = 100 }]."""

    incremental: bool | None = None
    """Whether a run asks only for what is new since the last one, and leaves out what is stored
    already. Lists by time do, unless their storage_mode is replace, or it is false here."""
    overlap: AnyDuration | None = None
    """How far an incremental run goes back behind the last one, as PT10M: rows that come late or
    change within it are found. A minute, or as long as the rows of the path may change."""
    since: Annotated[str, checked(lambda text: moment(text, time.time()))] = "P1D"
    """How far back the first incremental run goes, as P1D or 2026-01-31; all that is older is left
    to `tcdatalogger backfill`."""

    subject: Annotated[int, Field(ge=1)] | None = None
    """Whose data is meant, where the path does not say it: the id of a faction, player or company.
    A key of anybody else is not used. Without it, a run that is about another one than the last is
    refused by replace and history, and told by append and merge."""
    processor: str = ""
    """A processor of your own: a class in a file, as "levels.py:Levels", relative to this file's
    folder, or the name that a package registers. The path's own where it is not given."""
    max_pages: Annotated[int, Field(ge=1)] | None = None
    """After how many pages a run stops; without it a list is read to its end."""
    max_drop: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The largest share of the records there are that may vanish by one run of replace or history:
    one by which more would go is refused, and the old rows stay. 1 for any."""

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
            raise wrong('needs a path, as path = "/faction/crimes"')
        if path and url and path != _path_and_params(url)[0]:
            raise wrong("has both a path and a url; leave one out")
        if path or not isinstance(url, str):
            return data
        found, params = _path_and_params(url)
        own = data.get("params", {})
        if isinstance(own, Mapping):
            params |= own
        return {**data, "path": found, "params": params}


class StateSettings(Model):
    """Where runs, leases and budgets are kept while they happen."""

    url: str | None = None
    """sqlite:///FILE, by default beside the warehouse, on a disk of this machine; or for several
    machines postgresql://USER@HOST/DATABASE, with the password in PGPASSWORD, .pgpass or a service
    file. Two configurations share a database by schemas: ?options=-csearch_path%3Dname."""
    keep: AnyDuration = Field(
        default_factory=lambda: parse("P1Y"), json_schema_extra={"default": "P1Y"}
    )
    """How long it is remembered what ran."""

    @property
    def file(self) -> Path | None:
        """The SQLite file, None for a state that is no file."""
        return file_of(self.url or "", "sqlite")

    @property
    def begun(self) -> bool:
        """Whether there may be anything in it: to look at one must not make it."""
        return self.file is None or self.file.exists()

    @field_serializer("url")
    def _without_password(self, url: str | None) -> str | None:
        return without_password(url)

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        yield "url", without_password(self.url)
        yield "keep", self.keep


class SchedulerSettings(Model):
    """How `tcdatalogger schedule` runs what is due."""

    workers: Annotated[int, Field(ge=1)] = 4
    """How many runs at once."""
    grace: ClockDuration = Field(
        default_factory=lambda: parse("PT5S"), json_schema_extra={"default": "PT5S"}
    )
    """How long a run may take to end after its timeout before it is told to, and again as long
    before it is killed."""


class BackupSettings(Model):
    """Where `tcdatalogger backup` puts its copies, and how many of them stay."""

    path: Path | None = Field(default=None, strict=False)
    """The folder of the backups, `backups` beside the warehouse where it is not given. Relative to
    this file's folder; another disk is better."""
    frequency: AnyDuration | None = None
    """How often one is made, as P1D: by the scheduler, and by `backup --if-due`."""
    timeout: ClockDuration = Field(
        default_factory=lambda: parse("PT1H"), json_schema_extra={"default": "PT1H"}
    )
    """How long the scheduler lets one take; its process is killed after it."""
    keep: Annotated[int, Field(ge=1)] = 7
    """How many stay; older ones are deleted when a new one is made and checked."""
    archive: bool = False
    """Whether they hold the archive's files too, and not only a list of them."""


class LimitsSettings(Model):
    """How much of Torn's limits this program may use."""

    share: float = Field(default=1.0, gt=0, le=1)
    """Of the 100 calls a minute of each user; less where other tools use the same keys."""


class TornSettings(Model):
    """How Torn is called."""

    url: Annotated[str, AfterValidator(safe_url)] = TORN_URL
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
    max_body: Annotated[str, checked(sizes.parse)] = "256MB"
    """How large one answer may get when it is unpacked, as 256MB; a larger one is refused before it
    is whole."""


class LogSettings(Model):
    """What is logged, and how."""

    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(lowered)] = (
        "info"
    )
    """The least important lines that are shown."""
    format: Literal["auto", "human", "json"] = "auto"
    """auto is human on a terminal and JSON lines elsewhere."""
    file: Path | None = Field(default=None, strict=False)
    """A file that gets every line too, as JSON. Relative to this file's folder."""
    max_bytes: Annotated[str, checked(sizes.parse)] = "50MB"
    """How large that file may get, as 50MB; then another one is begun."""
    keep: Annotated[int, Field(ge=0)] = 5
    """How many old ones stay, as FILE.1 (the newest) to FILE.5."""


class MetricsSettings(Model):
    """Metrics for Prometheus and answers about health, while the scheduler runs."""

    listen: Annotated[str, checked(listening)] = "127.0.0.1:9464"
    """Where /metrics, /healthz and /readyz are; empty for nowhere. They tell names of endpoints and
    ids of key owners to whoever asks, so anything but this machine has to be meant."""
    hosts: Texts = ()
    """Names by which it may be asked besides addresses and localhost, as ["tcdatalogger"]: a web
    page that is open in a browser could else ask by a name of its own."""


class AlertsSettings(Model):
    """Who is told when something is wrong, and when it is over."""

    webhook: str | None = None
    """Where its address is, as env:DISCORD_WEBHOOK or file:PATH: whoever has the address may post.
    Nobody is told without one."""
    kind: Literal["discord", "json"] = "discord"
    """How it is told: a message for a channel of Discord, or plain JSON for programs."""
    min_free: Annotated[str, checked(sizes.parse)] = "1GB"
    """The free space on the disks that hold the data below which somebody is told."""
    failures: Annotated[int, Field(ge=1)] = 3
    """After how many failed runs in a row of an endpoint somebody is told."""


class Settings(Model):
    """The whole configuration."""

    warehouse: WarehouseSettings = WarehouseSettings()
    archive: ArchiveSettings = ArchiveSettings()
    keys: dict[str, str] = Field(default_factory=dict)
    """Names of keys and where they are: env:VARIABLE, file:PATH or keyring:SERVICE/USER."""
    endpoints: tuple[EndpointSettings, ...] = ()
    state: StateSettings = StateSettings()
    backup: BackupSettings = BackupSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    limits: LimitsSettings = LimitsSettings()
    torn: TornSettings = TornSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    alerts: AlertsSettings = AlertsSettings()

    def endpoint(self, name: str) -> EndpointSettings | None:
        """The endpoint of that name, None where there is none."""
        return next((endpoint for endpoint in self.endpoints if endpoint.name == name), None)

    def resolved(self, folder: Path) -> Self:
        """The same settings with every relative path taken from `folder`."""
        warehouse = resolve_url(self.warehouse.url, "duckdb", folder)
        archive = self.archive.path
        if "://" not in archive:
            archive = str(resolve_path(archive, folder))
        state = resolve_url(self.state.url or state_beside(warehouse), "sqlite", folder)
        torn = self.torn.model_copy(
            update={"catalog": resolve_path(str(self.torn.catalog), folder)}
        )
        backups = self.backup.path or backups_beside(warehouse)
        webhook = self.alerts.webhook and resolve_reference(self.alerts.webhook, folder)
        key = self.warehouse.encryption_key and resolve_reference(
            self.warehouse.encryption_key, folder
        )
        log_file = None if self.log.file is None else resolve_path(str(self.log.file), folder)
        return self.model_copy(
            update={
                "warehouse": self.warehouse.model_copy(
                    update={"url": warehouse, "encryption_key": key}
                ),
                "archive": self.archive.model_copy(update={"path": archive}),
                "state": self.state.model_copy(update={"url": state}),
                "backup": self.backup.model_copy(
                    update={"path": resolve_path(str(backups), folder)}
                ),
                "torn": torn,
                "endpoints": tuple(
                    each.model_copy(update={"processor": resolve_processor(each.processor, folder)})
                    if each.processor
                    else each
                    for each in self.endpoints
                ),
                "log": self.log.model_copy(update={"file": log_file}),
                "keys": {name: resolve_reference(key, folder) for name, key in self.keys.items()},
                "alerts": self.alerts.model_copy(update={"webhook": webhook}),
            }
        )


def _path_and_params(url: object) -> tuple[str, dict[str, Any]]:
    """Path without the version and parameters of a whole address."""
    parts = urlsplit(str(url))
    path = re.sub(r"^/v2(?=/|$)", "", parts.path)
    return path, dict(parse_qsl(parts.query))
