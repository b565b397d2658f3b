"""The settings of the program as frozen values; `configuration.py` makes and checks them.

The text below a field is its description, which `tcdatalogger config schema` prints.
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
from tcdatalogger.core.config.channels import ChannelSettings, What
from tcdatalogger.core.config.checks import CheckSettings
from tcdatalogger.core.config.durations import parse
from tcdatalogger.core.config.exports import ExportSettings
from tcdatalogger.core.config.field_types import (
    AnyDuration,
    ClockDuration,
    Ids,
    Model,
    Name,
    Param,
    Texts,
    address_or_none,
    checked,
    cloud_kms,
    listening,
    lowered,
    safe_url,
    time_of_day,
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
    spool_beside,
    state_beside,
    without_password,
)

ARCHIVE_PATH = "data/archive"
WAREHOUSE_URL = "duckdb:///data/torn.duckdb"
TORN_URL = "https://api.torn.com/v2"
TORN_DOCUMENT = "https://www.torn.com/swagger/openapi.json"
"""The address of Torn's own document of its API."""

QUERY = "query:"
"""The start of `ids` that are a query of the warehouse."""


SQLITE: Final = "sqlite:///"
ALERTS_CHANNELS: Final[Mapping[str, Literal["discord", "webhook"]]] = {
    "discord": "discord",
    "json": "webhook",
}
"""The name and the kind of the channel that `alerts.webhook` is short for, by `alerts.kind`."""
DIGEST_CHANNEL: Final = "digest"
"""The name of the channel that `digest.webhook` is short for."""
POSTGRES: Final = ("postgresql://", "postgres://")
"""The begins of addresses of a state."""


class WarehouseSettings(Model):
    """The warehouse: where the tables are."""

    url: str = WAREHOUSE_URL
    """duckdb:///FILE for a DuckDB file relative to this file's folder, duckdb:////FILE for an
    absolute path; bigquery://PROJECT/DATASET?location=EU for a dataset of BigQuery."""
    encryption_key: str | None = None
    """Where the key is that encrypts a DuckDB file, as env:TCD_WAREHOUSE_KEY; never the key itself.
    A new file is encrypted with it, also that of a backup of BigQuery; without it, files are not
    encrypted."""

    credentials: str | None = None
    """Where the credentials for BigQuery are, as file:key.json or env:TCD_GOOGLE: the JSON of a
    service account, of a login or of workload identity. Without it, what Google's library finds:
    GOOGLE_APPLICATION_CREDENTIALS, the login of gcloud, or the account of the machine."""
    partition: Literal["hour", "day", "month", "year"] = "month"
    """The partitions of a new table of BigQuery, by server_timestamp. A table has 10,000 at most,
    and one statement changes 4,000 at most."""
    require_partition_filter: bool = False
    """Whether BigQuery refuses queries of a new table that do not say which server_timestamp they
    are about."""
    maximum_bytes_billed: Annotated[str, checked(sizes.parse)] | None = None
    """The most that BigQuery may bill for one query of people, as 10GB: of `ui`, `ask` and `query`.
    A query that would read more is refused and costs nothing."""
    kms_key: Annotated[str, checked(cloud_kms)] | None = None
    """The key of Cloud KMS that encrypts new tables of BigQuery, as
    projects/P/locations/L/keyRings/R/cryptoKeys/K. Without it, Google's own keys do."""

    @property
    def file(self) -> Path | None:
        """The DuckDB file, None for a warehouse that is no file."""
        return file_of(self.url, "duckdb")


class ArchiveSettings(Model):
    """The archive: where all raw answers of Torn are kept."""

    path: str = ARCHIVE_PATH
    """A folder, relative to this file's folder; or gs://BUCKET/PREFIX or s3://BUCKET/PREFIX.
    ?region=eu-central-1 and ?endpoint=https://minio.example may follow."""
    credentials: str | None = None
    """Where the credentials of a bucket are: file:PATH of a service account for gs://;
    env:VARIABLE or file:PATH of KEY_ID:SECRET for s3://. Without it, the environment has them."""
    spool: Path | None = Field(default=None, strict=False)
    """The folder in which answers wait until a bucket has them; beside the state by default."""
    keep: AnyDuration | None = None
    """How long raw answers are kept, as P1Y; for ever where it is not given."""

    @property
    def folder(self) -> Path | None:
        """The folder, None for a bucket."""
        return None if "://" in self.path else Path(self.path)

    def resolved(self, folder: Path, state: str) -> Self:
        """The same settings with every relative path taken from `folder`.

        Args:
            folder: of the configuration.
            state: the address of the state, beside which the spool of a bucket is.
        """
        path = self.path if self.folder is None else str(resolve_path(self.path, folder))
        spool = resolve_path(str(self.spool or spool_beside(state)), folder)
        credentials = self.credentials and resolve_reference(self.credentials, folder)
        return self.model_copy(update={"path": path, "spool": spool, "credentials": credentials})


class EndpointSettings(Model):
    """One path of Torn's API: how often it is read, and where its rows are stored."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["path"]}, {"required": ["url"]}]}
    )

    name: Name
    """The name of the endpoint, of its runs, and by default of its root table."""
    path: str = ""
    """Any path of the catalogue, as /faction/crimes or /faction/40832/members."""
    url: str | None = None
    """A whole address instead of the path, as https://api.torn.com/v2/faction/crimes."""
    api_key: Annotated[Texts, Field(min_length=1)] = ("default",)
    """The name of an entry of [keys], or a list of names, of which a healthy key is used."""
    priority: Literal["low", "normal", "high"] = "normal"
    """Which calls go first where calls have to wait; low also leaves a part of the limit free."""
    frequency: AnyDuration | None = None
    """How often it runs, as PT15M or P1D. Without it, it runs only when it is named."""
    timezone: Annotated[str, checked(schedule.zone)] = "UTC"
    """The time zone whose days, weeks, months and years a frequency counts, as Europe/Vienna."""
    anchor: Annotated[str, checked(schedule.anchor)] = schedule.ANCHOR
    """A local date and time at which it is due, as 2001-01-01T06:30; it is due at whole periods
    before and after it. By default days begin at midnight, weeks on Monday, months on the 1st."""
    jitter: ClockDuration | None = None
    """The longest delay after the due time, as PT2M. The delay of a name is always the same, so
    endpoints with one frequency do not all begin at once."""
    retries: Annotated[int, Field(ge=0)] = 3
    """How often the scheduler tries a failed run again before the next one is due, where the error
    may go away by itself."""
    memory: Annotated[str, checked(sizes.parse)] = "1GB"
    """The most memory of a run of the scheduler, in addition to the program itself; a run that
    needs more fails, and no other run is affected."""
    storage_mode: Literal["append", "replace", "merge", "history"] = "append"
    """append: every run adds its rows. replace: the tables have the rows of the latest run only.
    merge: rows are inserted or updated by key. history: a changed row gets a new version."""
    params: dict[str, Param] = Field(default_factory=dict)
    """Parameters of the path, as { cat = "all" }; `tcdatalogger catalog show PATH` lists them."""
    ids: Ids = ()
    """Values for the path's placeholder, as [40832, 9533], one request for each; or a query of the
    warehouse with the values in its first column, as
    "query:select distinct id from faction_members"."""
    timeout: ClockDuration = Field(
        default_factory=lambda: parse("PT5M"), json_schema_extra={"default": "PT5M"}
    )
    """For a whole run. When it is over, append and merge store the pages that came, and the other
    modes store nothing; its process is killed a little later."""
    table: Name | None = None
    """The name of the root table; the name of the endpoint where it is not given."""
    keep: AnyDuration | None = None
    """How long its rows are kept, as P90D; for ever where it is not given. A record is as old as
    its own time says where its list has one, else as the answer that it came with; with history a
    version counts from when it ended. Not with storage_mode replace, which keeps one run."""
    tags: Texts = ()
    """Tags for `run --tag`."""
    enabled: bool = True
    """Whether the scheduler and `run --all` run it."""
    contract: Literal["evolve", "freeze", "quarantine"] = "evolve"
    """What happens with a field that the catalogue lacks. evolve: it becomes a new column. freeze:
    the run fails before anything is stored. quarantine: the record is set aside."""
    key: Texts = ()
    """The columns of the root table that are its key; the catalogue's key where it is not given."""
    history_ignore: Texts | None = None
    """Columns by which `history` makes no new version, as ["last_action_relative"]; a version keeps
    the value that it had when it began. By default those that only say a time once more that stands
    beside them, as "2 minutes ago"; [] for none."""
    columns: dict[str, Name] = Field(default_factory=dict)
    """Your own names for columns, as { rewards_money = "money" }, or for a column of one table, as
    { "faction_crimes_slots.user_id" = "player_id" }. Where rows are stored already, `tcdatalogger
    schema apply NAME --accept` renames the columns."""
    checks: tuple[CheckSettings, ...] = Field(default=(), strict=False)
    """Checks of the rows of each load, as [{ column = "level", min = 1, max = 100 }]."""

    incremental: bool | None = None
    """Whether a run asks only for rows that are new since the last run, and leaves out rows that
    are stored already. Lists by time do so by default, except with storage_mode replace."""
    overlap: AnyDuration | None = None
    """How far an incremental run goes back behind the last one, as PT10M, to find rows that come
    late or change. By default a minute, or as long as the rows of the path may change."""
    since: Annotated[str, checked(lambda text: moment(text, time.time()))] = "P1D"
    """How far back the first incremental run goes by Torn's clock, as P1D or 2026-01-31;
    `tcdatalogger backfill` reads older rows."""

    subject: Annotated[int, Field(ge=1)] | None = None
    """The id of the faction, player or company that the rows are about, where the path does not
    have it. A key of another subject is not used. Without this setting, a run about another subject
    than the last is refused by replace and history; append and merge add a warning."""
    processor: str = ""
    """Your own processor: a class in a file, as "levels.py:Levels", relative to this file's folder,
    or the name that a package registers. By default the processor of the path."""
    max_pages: Annotated[int, Field(ge=1)] | None = None
    """The most pages of a run; by default a list is read to its end."""
    max_drop: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The largest share of the stored records that one run of replace or history may delete. A run
    that would delete more is refused, and the old rows stay. 1 allows any."""

    @property
    def root_table(self) -> str:
        """The name of the root table."""
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
    """The state: where runs, claims and calls are kept."""

    url: str | None = None
    """sqlite:///FILE on a disk of this machine, by default beside the warehouse; for several
    machines postgresql://USER@HOST/DATABASE, with the password in PGPASSWORD, .pgpass or a service
    file. Two configurations can share a database by schemas: ?options=-csearch_path%3Dname."""
    keep: AnyDuration = Field(
        default_factory=lambda: parse("P1Y"), json_schema_extra={"default": "P1Y"}
    )
    """How long runs are kept."""

    @property
    def file(self) -> Path | None:
        """The SQLite file, None for a state that is no file."""
        return file_of(self.url or "", "sqlite")

    @property
    def begun(self) -> bool:
        """Whether the state may exist: commands that only show data must not create it."""
        return self.file is None or self.file.exists()

    @field_serializer("url")
    def _without_password(self, url: str | None) -> str | None:
        return without_password(url)

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        yield "url", without_password(self.url)
        yield "keep", self.keep


class SchedulerSettings(Model):
    """The scheduler: how `tcdatalogger schedule` runs endpoints."""

    workers: Annotated[int, Field(ge=1)] = 4
    """The most runs at the same time."""
    grace: ClockDuration = Field(
        default_factory=lambda: parse("PT5S"), json_schema_extra={"default": "PT5S"}
    )
    """How long a run may take to end after its timeout before it gets SIGTERM, and after that
    before it is killed."""


class BackupSettings(Model):
    """Backups: where they are, and how many are kept."""

    path: Path | None = Field(default=None, strict=False)
    """The folder of the backups, relative to this file's folder; by default `backups` beside the
    warehouse. A folder on another disk is better."""
    frequency: AnyDuration | None = None
    """How often the scheduler and `backup --if-due` make a backup, as P1D."""
    timeout: ClockDuration = Field(
        default_factory=lambda: parse("PT1H"), json_schema_extra={"default": "PT1H"}
    )
    """How long a backup of the scheduler may take; after that its process is killed."""
    keep: Annotated[int, Field(ge=1)] = 7
    """How many backups are kept; older ones are deleted after a new one is made and checked."""
    archive: bool = False
    """Whether a backup has the files of the archive, and not only a list of them."""


class LimitsSettings(Model):
    """How much of Torn's limits this program may use."""

    share: float = Field(default=1.0, gt=0, le=1)
    """The share of the 100 calls a minute of each user, over 0 and up to 1; less than 1 where other
    tools use the same keys."""


class TornSettings(Model):
    """How Torn is called."""

    url: Annotated[str, AfterValidator(safe_url)] = TORN_URL
    """The address of the API, or of the sandbox."""
    comment: str = Field(default="tcdlogger", pattern=r"^[A-Za-z0-9_.-]{0,20}$")
    """The owner of a key sees it in the log of the key; Torn shows about ten characters."""
    user_agent: str | None = Field(default=None, pattern=r"^[ -~]+$")
    """Sent with each call; by default TCdatalogger and its version."""
    catalog: Path = Field(default=Path("tcdatalogger.catalog.json"), strict=False)
    """The file of another catalogue, which `tcdatalogger catalog use` writes, relative to this
    file's folder. Where the file does not exist, the shipped catalogue is used."""
    document: Annotated[str, checked(address_or_none)] | None = None
    """The address of Torn's own document, which `tcdatalogger catalog update` fetches, and the
    scheduler to tell of changes; "" for never. By default Torn's, where the API is Torn's too."""
    document_frequency: AnyDuration = Field(
        default_factory=lambda: parse("P1W"), json_schema_extra={"default": "P1W"}
    )
    """How often the scheduler looks whether Torn's document has changed."""
    connect_timeout: ClockDuration = Field(
        default_factory=lambda: parse("PT10S"), json_schema_extra={"default": "PT10S"}
    )
    """How long the connection for one call may take."""
    read_timeout: ClockDuration = Field(
        default_factory=lambda: parse("PT30S"), json_schema_extra={"default": "PT30S"}
    )
    """How long Torn may be silent during one call."""
    max_body: Annotated[str, checked(sizes.parse)] = "256MB"
    """The largest size of one unpacked answer, as 256MB; a larger answer is refused."""

    @property
    def documented(self) -> str:
        """The address of Torn's document; "" for none."""
        if self.document is not None:
            return self.document
        return TORN_DOCUMENT if self.url == TORN_URL else ""


class LogSettings(Model):
    """The log: which lines are shown, how, and where."""

    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(lowered)] = (
        "info"
    )
    """The lowest level of lines that are shown."""
    format: Literal["auto", "human", "json"] = "auto"
    """auto is human on a terminal and JSON lines elsewhere."""
    file: Path | None = Field(default=None, strict=False)
    """A file that gets all lines as JSON, relative to this file's folder."""
    max_bytes: Annotated[str, checked(sizes.parse)] = "50MB"
    """The largest size of that file, as 50MB; then a new file is begun."""
    keep: Annotated[int, Field(ge=0)] = 5
    """How many old log files are kept, as FILE.1 (the newest) to FILE.5."""


class MetricsSettings(Model):
    """Metrics for Prometheus and health checks, while the scheduler runs."""

    listen: Annotated[str, checked(listening)] = "127.0.0.1:9464"
    """The address of /metrics, /healthz and /readyz; empty for none. Everybody who reaches the
    address sees names of endpoints and ids of key owners; the default is this machine only."""
    hosts: Texts = ()
    """Host names by which it may be called besides addresses and localhost, as ["tcdatalogger"].
    Other names are refused: a web page in a browser could use a host name of its own."""


class AlertsSettings(Model):
    """Alerts: messages when something is wrong, and when it is over."""

    webhook: str | None = None
    """Where the address of a webhook is, as env:DISCORD_WEBHOOK or file:PATH: short for a channel
    of [[channels]] that gets alerts and answers. The address is a secret, because everybody who has
    it may post."""
    kind: Literal["discord", "json"] = "discord"
    """Of that webhook. discord: messages for a channel of Discord. json: JSON for programs, not
    signed."""
    min_free: Annotated[str, checked(sizes.parse)] = "1GB"
    """An alert is sent when a disk with data has less free space than this."""
    failures: Annotated[int, Field(ge=1)] = 3
    """An alert is sent after this many failed runs of an endpoint in a row."""


class DigestSettings(Model):
    """The digest: answers with pictures, sent to channels by the scheduler."""

    questions: Annotated[Texts, Field(max_length=10)] = ()
    """What is answered, at most ten names of `tcdatalogger ask`, as ["oc-now", "inactive-members"];
    without any there is no digest."""
    at: Annotated[str, checked(time_of_day)] = "08:00"
    """The time of day at which it is sent."""
    frequency: AnyDuration = Field(
        default_factory=lambda: parse("P1D"), json_schema_extra={"default": "P1D"}
    )
    """How often it is sent, as P1D, or P1W for each Monday."""
    timezone: Annotated[str, checked(schedule.zone)] = "UTC"
    """The time zone of `at`, as Europe/Vienna; UTC is Torn's time."""
    webhook: str | None = None
    """Where the address of a webhook of Discord is, as env:DISCORD_DIGEST: short for a channel of
    [[channels]] that gets the digest. Where no channel gets it, it goes to that of the alerts."""
    owner: bool = False
    """Whether it may have what only the owner of a key is to see; everybody in the channel sees
    it."""
    folder: Path = Field(default=Path("questions"), strict=False)
    """The folder with questions of your own, relative to this file's folder."""
    timeout: ClockDuration = Field(
        default_factory=lambda: parse("PT5M"), json_schema_extra={"default": "PT5M"}
    )
    """How long it may take."""

    def resolved(self, folder: Path) -> Self:
        """The same settings with every relative path taken from `folder`."""
        return self.model_copy(
            update={
                "folder": resolve_path(str(self.folder), folder),
                "webhook": self.webhook and resolve_reference(self.webhook, folder),
            }
        )


class UiSettings(Model):
    """The pages of `tcdatalogger ui`."""

    listen: Annotated[str, checked(listening)] = "127.0.0.1:8765"
    """The address of the pages. The default is this machine only; another one needs passwords, and
    TLS or a proxy that has it."""
    hosts: Texts = ()
    """Host names by which the pages may be called besides localhost, as ["torn.example"]. Whoever
    names one says that others see the pages, which needs passwords."""
    passwords: dict[Literal["owner", "officer", "member"], str] = Field(default_factory=dict)
    """Where the password of each role is, as { owner = "env:TCD_UI_OWNER" }. The owner sees all, an
    officer nothing of the owner's own, a member only what the whole faction may see. Without any
    password nobody has to sign in."""
    tokens: dict[Literal["owner", "officer", "member"], str] = Field(default_factory=dict)
    """Where a token of each role is, with which programs as Google Sheets read /q/NAME.csv and
    /q/NAME.json, as { member = "env:TCD_UI_TOKEN" }."""
    behind_proxy: bool = False
    """Whether a proxy with TLS stands before the pages: what it says of its caller is believed."""
    certificate: Path | None = Field(default=None, strict=False)
    """The file of a certificate for TLS, relative to this file's folder."""
    certificate_key: Path | None = Field(default=None, strict=False)
    """The file of its private key, relative to this file's folder."""

    def resolved(self, folder: Path) -> Self:
        """The same settings with every relative path taken from `folder`."""
        files = {
            name: value and resolve_path(str(value), folder)
            for name, value in (
                ("certificate", self.certificate), ("certificate_key", self.certificate_key)
            )
        }  # fmt: skip
        secrets = {
            name: {role: resolve_reference(each, folder) for role, each in told.items()}
            for name, told in (("passwords", self.passwords), ("tokens", self.tokens))
        }
        return self.model_copy(update={**files, **secrets})


class TermsSettings(Model):
    """What `tcdatalogger keys terms` tells the owners of keys."""

    purpose: str = "Statistics of a faction, a player or a company, for those who are in it."
    """What the data is used for, in a sentence."""
    sharing: str | None = None
    """Who sees the data, in a sentence. Without it, the configuration says what it knows: who has a
    password of the pages, and whether a channel gets a digest."""


class Settings(Model):
    """The whole configuration."""

    version: Annotated[int, Field(ge=1)] = 1
    """The version of this form of configuration. It grows where a setting changes its meaning."""
    warehouse: WarehouseSettings = WarehouseSettings()
    archive: ArchiveSettings = ArchiveSettings()
    keys: dict[str, str] = Field(default_factory=dict)
    """Names of keys and the places of the keys: env:VARIABLE, file:PATH or keyring:SERVICE/USER."""
    endpoints: tuple[EndpointSettings, ...] = ()
    state: StateSettings = StateSettings()
    backup: BackupSettings = BackupSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    limits: LimitsSettings = LimitsSettings()
    torn: TornSettings = TornSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    alerts: AlertsSettings = AlertsSettings()
    digest: DigestSettings = DigestSettings()
    channels: tuple[ChannelSettings, ...] = ()
    exports: tuple[ExportSettings, ...] = ()
    ui: UiSettings = UiSettings()
    terms: TermsSettings = TermsSettings()

    @property
    def all_channels(self) -> tuple[ChannelSettings, ...]:
        """The channels, with those that `alerts.webhook` and `digest.webhook` are short for.

        These are named `discord` or `webhook`, by their kind, and `digest`.
        """
        found = list(self.channels)
        if self.digest.webhook is not None:
            found.append(
                ChannelSettings(
                    name=DIGEST_CHANNEL, kind="discord", gets=("digest",), url=self.digest.webhook
                )
            )
        if self.alerts.webhook is not None:
            kind = self.alerts.kind
            gets: tuple[What, ...] = ("alerts", "answers")
            if kind == "discord" and not any("digest" in each.gets for each in found):
                gets = (*gets, "digest")
            name = ALERTS_CHANNELS[kind]
            found.append(ChannelSettings(name=name, kind=name, gets=gets, url=self.alerts.webhook))
        return tuple(found)

    def channels_for(self, what: What) -> tuple[ChannelSettings, ...]:
        """The channels that get the alerts, the digest or answers."""
        return tuple(each for each in self.all_channels if what in each.gets)

    def place_of(self, channel: ChannelSettings, setting: str) -> str:
        """Where a setting of a channel stands in the configuration, as `channels.officers.url`."""
        if channel in self.channels:
            return f"channels.{channel.name}.{setting}"
        return f"{'digest' if channel.name == DIGEST_CHANNEL else 'alerts'}.webhook"

    def endpoint(self, name: str) -> EndpointSettings | None:
        """The endpoint with this name, None where there is none."""
        return next((endpoint for endpoint in self.endpoints if endpoint.name == name), None)

    @property
    def spool(self) -> Path:
        """The folder in which answers wait until a bucket has them."""
        return self.archive.spool or spool_beside(self.state.url or "")

    @property
    def artifacts(self) -> Path:
        """The folder of what runs that stop after a step leave to look at."""
        return (self.archive.folder or self.spool).parent / "artifacts"

    def resolved(self, folder: Path) -> Self:
        """The same settings with absolute paths; relative paths start at `folder`."""
        warehouse = resolve_url(self.warehouse.url, "duckdb", folder)
        state = resolve_url(self.state.url or state_beside(warehouse), "sqlite", folder)
        torn = self.torn.model_copy(
            update={"catalog": resolve_path(str(self.torn.catalog), folder)}
        )
        backups = self.backup.path or backups_beside(warehouse)
        webhook = self.alerts.webhook and resolve_reference(self.alerts.webhook, folder)
        key = self.warehouse.encryption_key and resolve_reference(
            self.warehouse.encryption_key, folder
        )
        credentials = self.warehouse.credentials and resolve_reference(
            self.warehouse.credentials, folder
        )
        log_file = None if self.log.file is None else resolve_path(str(self.log.file), folder)
        return self.model_copy(
            update={
                "warehouse": self.warehouse.model_copy(
                    update={"url": warehouse, "encryption_key": key, "credentials": credentials}
                ),
                "archive": self.archive.resolved(folder, state),
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
                "digest": self.digest.resolved(folder),
                "channels": tuple(each.resolved(folder) for each in self.channels),
                "exports": tuple(each.resolved(folder) for each in self.exports),
                "ui": self.ui.resolved(folder),
            }
        )


def _path_and_params(url: object) -> tuple[str, dict[str, Any]]:
    """The path (without the version) and the parameters of a whole address."""
    parts = urlsplit(str(url))
    path = re.sub(r"^/v2(?=/|$)", "", parts.path)
    return path, dict(parse_qsl(parts.query))
