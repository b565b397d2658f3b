"""Checks what types cannot check: keys, paths, parameters, tables, settings that do not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tcdatalogger.core.config.config_errors import ConfigErrors, like_a_key, masked, near, shown
from tcdatalogger.core.config.paths import resolve_processor
from tcdatalogger.core.config.requests import path_values, text, why_not_incremental
from tcdatalogger.core.config.secrets import SCHEMES, misplaced
from tcdatalogger.core.config.settings import (
    POSTGRES,
    QUERY,
    SQLITE,
    ArchiveSettings,
    EndpointSettings,
    Settings,
)
from tcdatalogger.core.config.toml_lines import Place
from tcdatalogger.errors import ConfigError
from tcdatalogger.models.records import key_columns
from tcdatalogger.models.renames import ours
from tcdatalogger.models.schema import Type, family
from tcdatalogger.observability.redact import register
from tcdatalogger.services.google import address as google
from tcdatalogger.services.storage.address import BucketAddress, secrets_of
from tcdatalogger.services.torncity.catalog import catalog
from tcdatalogger.text import either

OWN_PARAMETERS = {
    "key": "The key is named by api_key and sent in a header, never in the address",
    "comment": "It is sent with each call; set it as torn.comment",
    "selections": "Each endpoint is one selection; name the others as endpoints of their own",
}
"""Parameters of Torn's that are set in another place, and where."""

_SHARED = (("append", "append"), ("merge", "merge"))
"""The pairs of storage modes with which two endpoints may share a table."""


@dataclass(frozen=True, slots=True)
class Part:
    """One endpoint as far as it could be read.

    Attributes:
        index: the index in the list of the file.
        endpoint: the endpoint, with defaults in place of wrong fields.
        wrong: the wrong fields; their mistakes are added already.
    """

    index: int
    endpoint: EndpointSettings
    wrong: frozenset[str]

    def place(self, *more: str | int) -> Place:
        """The place of the endpoint, or of a setting inside it."""
        return ("endpoints", self.index, *more)


@dataclass(frozen=True, slots=True)
class Environment:
    """The surroundings of a configuration, to check references to secrets and files.

    Attributes:
        environ: the environment that `env:` reads.
        folder: the folder at which relative paths start.
        processors: whether the named processors are imported, to check them.
    """

    environ: Mapping[str, str]
    folder: Path
    processors: bool = False


_EMPTY = Environment({}, Path())


def validate(
    settings: Settings,
    parts: Sequence[Part],
    problems: ConfigErrors,
    known: catalog.Catalog,
    environment: Environment = _EMPTY,
) -> None:
    """Add all mistakes that types do not show.

    Args:
        settings: the settings as far as they could be read.
        parts: the endpoints of the settings.
        problems: where mistakes are added.
        known: the catalogue in use.
        environment: the surroundings; by default an empty environment.
    """
    _keys(settings.keys, problems, environment)
    for table, reference in (
        ("alerts", settings.alerts.webhook),
        ("digest", settings.digest.webhook),
    ):
        if reference is not None:
            _webhook((table, "webhook"), reference, problems, environment)
    _channels(settings, problems, environment)
    _digest(settings, problems)
    _exports(settings, problems, environment)
    if (key := settings.warehouse.encryption_key) is not None:
        place = ("warehouse", "encryption_key")
        _reference(place, key, "TCD_WAREHOUSE_KEY", problems, environment)
    if (credentials := settings.warehouse.credentials) is not None:
        place = ("warehouse", "credentials")
        _reference(place, credentials, "TCD_GOOGLE", problems, environment)
    for table in ("passwords", "tokens"):
        for role, reference in getattr(settings.ui, table).items():
            variable = f"TCD_UI_{role.upper()}"
            _reference(("ui", table, role), reference, variable, problems, environment)
    _places_to_store(settings, problems)
    _archive(settings.archive, problems, environment)
    _names(parts, problems)
    for part in parts:
        _api_key(part, settings.keys, problems)
        _not_built(part, problems)
        if environment.processors:
            _processor(part, problems, environment.folder)
        if "path" not in part.wrong:
            _path(part, problems, known)
    _tables(parts, problems, known)


def _channels(settings: Settings, problems: ConfigErrors, environment: Environment) -> None:
    """Each channel has a name of its own, and says where its secrets are."""
    taken = {each.name for each in settings.all_channels if each not in settings.channels}
    for channel in settings.channels:
        place = problems.entry("channels", channel.name)
        if channel.name in taken:
            problems.add(
                (*place, "name"),
                f"another channel is called {channel.name!r}; those of [alerts] and [digest] are "
                "called discord or webhook, and digest",
                "Give it another name.",
            )
        taken.add(channel.name)
        for name, reference in channel.references.items():
            if name == "url":
                _webhook((*place, name), reference, problems, environment)
            else:
                variable = f"{channel.name}_{name}".upper()
                _reference((*place, name), reference, variable, problems, environment)


def _exports(settings: Settings, problems: ConfigErrors, environment: Environment) -> None:
    """Each export has a name of its own and writes into a place of its own."""
    names, places = set[str](), dict[str, str]()
    for export in settings.exports:
        place = problems.entry("exports", export.name)
        if export.name in names:
            problems.add(
                (*place, "name"),
                f"another export is called {export.name!r}",
                "Give it another name.",
            )
        names.add(export.name)
        other = places.setdefault(export.place, export.name)
        if other != export.name:
            setting = "file" if export.file else "sheet"
            problems.add(
                (*place, setting), f"{other!r} writes there too", "Give one of them another place."
            )
        if export.credentials is not None:
            where = (*place, "credentials")
            _reference(where, export.credentials, "TCD_SHEETS", problems, environment)
        elif export.sheet is not None and settings.warehouse.credentials is None:
            remedy = 'Write credentials = "file:google.json" for it.'
            problems.add((*place, "credentials"), "is missing: a sheet needs some", remedy)


def _digest(settings: Settings, problems: ConfigErrors) -> None:
    """A digest needs a channel."""
    if settings.digest.questions and not settings.channels_for("digest"):
        remedy = 'Write webhook = "env:DISCORD_DIGEST" in [digest], or a channel in [[channels]].'
        says = "is missing, and no channel gets the digest"
        if settings.alerts.webhook is not None:
            says = "is missing, and that of the alerts takes no pictures"
        problems.add(("digest", "webhook"), says, remedy)


def _webhook(
    place: Place, reference: str, problems: ConfigErrors, environment: Environment
) -> None:
    """Check the reference to an address of a webhook, which is a secret and is never shown."""
    scheme, _, rest = reference.partition(":")
    if (
        scheme not in SCHEMES
        or not rest
        or misplaced(reference, environment.environ, environment.folder)
    ):
        remedy = "Write where the address is, as env:DISCORD_WEBHOOK or file:PATH."
        problems.add(place, "is no reference to an address", remedy)


def _keys(keys: Mapping[str, str], problems: ConfigErrors, environment: Environment) -> None:
    for name, reference in keys.items():
        if like_a_key(name) and not name.islower():
            register(name)
            remedy = 'Give it a name of yours, as default = "env:TORN_API_KEY".'
            problems.add(("keys", name), "its name looks like a key itself", remedy)
        _reference(("keys", name), reference, "TORN_API_KEY", problems, environment)


def _reference(
    place: Place, reference: str, variable: str, problems: ConfigErrors, environment: Environment
) -> None:
    """Check a reference to a key; the value is never shown, because it may be a key itself."""
    scheme, colon, rest = reference.partition(":")
    example = f"as env:{variable}, file:PATH or keyring:SERVICE/USER"
    if colon and scheme in SCHEMES and rest:
        if misplaced(reference, environment.environ, environment.folder):
            what = "holds what looks like a key itself: there is no such variable or file"
            problems.add(place, what, f"Write where the key is instead, {example}.")
        return
    if like_a_key(reference) or (scheme in SCHEMES and not rest):
        what = "holds a key itself" if like_a_key(reference) else "refers to nothing"
        problems.add(place, what, f"Write where the key is instead, {example}.")
    elif colon and (hint := near(f"{scheme}:", [f"{each}:" for each in SCHEMES], known=False)):
        problems.add(place, "is no reference to a key", hint)
    else:
        problems.add(place, "is no reference to a key", f"Write where it is, {example}.")


def _places_to_store(settings: Settings, problems: ConfigErrors) -> None:
    url, ours = settings.warehouse.url, "duckdb:///"
    if url.startswith(google.SCHEME):
        try:
            google.parse(url)
        except ConfigError as error:  # not shown: whatever stands there may be a secret
            problems.add(("warehouse", "url"), "names no dataset of BigQuery", error.remedy)
    elif not url.startswith(ours) or url == ours:
        problems.add(
            ("warehouse", "url"),
            f"{shown(url)} is no address of one",
            f"Write {ours}FILE or {google.SCHEME}PROJECT/DATASET.",
        )
    state = settings.state.url or SQLITE + "x"
    if not state.startswith((SQLITE, *POSTGRES)) or state in (SQLITE, *POSTGRES):
        # Not shown: it may hold a password.
        problems.add(
            ("state", "url"),
            "is no address of a state",
            f"Write {SQLITE}FILE or {POSTGRES[0]}USER@HOST/DATABASE.",
        )


def _archive(archive: ArchiveSettings, problems: ConfigErrors, environment: Environment) -> None:
    if not archive.path:
        problems.add(("archive", "path"), "is no folder", "Write it as data/archive.")
    if archive.folder is None:
        try:
            BucketAddress.parse(archive.path)
        except ValueError as error:
            # Not shown: whatever stands there may be a secret.
            for secret in secrets_of(archive.path):
                register(secret)
            remedy = "Write a folder, or gs://BUCKET/PREFIX or s3://BUCKET/PREFIX; credentials "
            remedy += "come from the environment or from `archive.credentials`."
            problems.add(("archive", "path"), str(error), remedy)
    if archive.credentials is None:
        return
    place = ("archive", "credentials")
    if not archive.path.startswith("gs://"):
        _reference(place, archive.credentials, "TCD_BUCKET_KEY", problems, environment)
    elif not archive.credentials.startswith("file:"):
        remedy = "Write file:PATH of the service account's JSON."
        problems.add(place, "are a file for gs://", remedy)


def _names(parts: Sequence[Part], problems: ConfigErrors) -> None:
    first: dict[str, int] = {}
    for part in parts:
        if "name" in part.wrong:
            continue
        name = part.endpoint.name
        if name in first:
            before = problems.where(("endpoints", first[name], "name"))
            problems.add(part.place("name"), f"the name is taken ({before})", "Choose another.")
        first.setdefault(name, part.index)


def _api_key(part: Part, keys: Mapping[str, str], problems: ConfigErrors) -> None:
    if "api_key" in part.wrong:
        return
    for name in part.endpoint.api_key:
        if name in keys:
            continue
        place = part.place("api_key")
        if like_a_key(name):
            problems.add(
                place,
                "looks like a key itself, and this names an entry of [keys]",
                'Write default = "env:TORN_API_KEY" under [keys] and api_key = "default" here.',
            )
        else:
            remedy = (
                masked(near(name, keys)) or f'Add it under [keys], as {name} = "env:TORN_API_KEY".'
            )
            problems.add(place, f"[keys] has no {shown(name)}", remedy)


def _not_built(part: Part, problems: ConfigErrors) -> None:
    mode = part.endpoint.storage_mode
    if part.endpoint.incremental and mode == "replace":
        problems.add(
            part.place("incremental"),
            "only endpoints that append, merge or keep a history can be incremental",
            "Leave it out: all there is is read then.",
        )
    ids = part.endpoint.ids
    if len(ids) > 1 and any(str(value).startswith(QUERY) for value in ids):
        problems.add(part.place("ids"), "a query for ids stands alone", "Put all into its SQL.")


def _processor(part: Part, problems: ConfigErrors, folder: Path) -> None:
    # Slow: it imports pyarrow and all that the file of the user imports.
    from tcdatalogger.services.torncity.endpoints.registry import processor  # noqa: PLC0415

    name = part.endpoint.processor
    if not name or "processor" in part.wrong:
        return
    try:
        processor(part.endpoint.path, resolve_processor(name, folder))
    except ConfigError as error:
        problems.add(part.place("processor"), masked(error.message), error.remedy)


def _path(part: Part, problems: ConfigErrors, known: catalog.Catalog) -> None:
    place = part.place("path" if part.endpoint.url is None else "url")
    try:
        entry, given = known.find(part.endpoint.path)
    except ConfigError as error:
        problems.add(place, masked(error.message), error.remedy)
        return
    if entry.route:
        near_paths = [
            each.path
            for each in known.endpoints
            if each.section == entry.section and not each.route and each.path.count("/") == 2  # noqa: PLR2004
        ]
        problems.add(
            place,
            f"{entry.path} is the way to any selection, not an endpoint",
            f"Name one, as {either(near_paths[:3])}.",
        )
        return
    _params(part, entry, problems)
    if part.endpoint.subject is not None and not entry.of_key_owner:
        problems.add(
            part.place("subject"), f"{entry.path} is not about the owner of a key", "Leave it out."
        )
    _key(part, entry, problems)
    if part.endpoint.keep is not None and part.endpoint.storage_mode == "replace":
        says = "replace keeps the rows of the latest run, which do not grow old"
        problems.add(part.place("keep"), says, "Leave it out, or use history.")
    why = why_not_incremental(part.endpoint, entry) if part.endpoint.incremental else ""
    if why:
        problems.add(part.place("incremental"), f"it cannot be so: {why}", "Leave it out.")
    if "params" not in part.wrong and "ids" not in part.wrong:
        _placeholders(part, entry, given, problems)


def _key(part: Part, entry: catalog.Endpoint, problems: ConfigErrors) -> None:
    """Check that `merge` and `history` have a key; the tables of other processors are unknown."""
    endpoint, mode = part.endpoint, part.endpoint.storage_mode
    if mode not in ("merge", "history") or endpoint.processor or part.wrong & {"key"}:
        return
    name = endpoint.root_table
    key = ours(endpoint.columns, endpoint.key, name)
    found = family(entry.shape, name, selection=entry.selection, key=key)
    if key_columns(found) is None:
        works = [
            column.name
            for column in found.tables[0].data_columns
            if column.type in (Type.INT, Type.TEXT)
            and not column.ours
            and key_columns(
                family(entry.shape, name, selection=entry.selection, key=(column.name,))
            )
        ]
        best = sorted(works, key=lambda column: (not column.endswith("id"), column != "name"))
        problems.add(
            part.place("key" if endpoint.key else "storage_mode"),
            f"{mode} needs a key that tells the records of {entry.path} apart",
            f'Write key = ["{best[0]}"], or whichever columns of the root table do.'
            if best
            else "Use append or replace.",
        )


def _params(part: Part, entry: catalog.Endpoint, problems: ConfigErrors) -> None:
    if "params" in part.wrong:
        return
    params = part.endpoint.params
    for name, value in params.items():
        place = part.place("params", name)
        if name in OWN_PARAMETERS:
            problems.add(place, "is not set here", f"{OWN_PARAMETERS[name]}.")
            continue
        parameter = entry.parameter(name)
        if parameter is None:
            names = [each.name for each in entry.parameters if each.name not in OWN_PARAMETERS]
            remedy = near(name, names) or "It takes none."
            problems.add(place, f"{entry.path} has no such parameter", remedy)
        else:
            _param(place, value, parameter, problems)
    for parameter in entry.parameters:
        if parameter.required and parameter.where == "query" and parameter.name not in params:
            problems.add(
                part.place("params"),
                f"{entry.path} needs the parameter {parameter.name!r}",
                f"One of {either(parameter.values)}." if parameter.values else "",
            )


def _param(
    place: Place, value: object, parameter: catalog.Parameter, problems: ConfigErrors
) -> None:
    items: Sequence[object] = value if isinstance(value, tuple) else (value,)
    if len(items) > 1 and not parameter.many:
        problems.add(place, "takes one value, not a list")
        return
    if parameter.many:
        items = [
            each.strip() if isinstance(each, str) else each
            for item in items
            for each in (item.split(",") if isinstance(item, str) else [item])
        ]
    for item in items:
        if parameter.kind == "bool":
            if str(item).lower() not in ("true", "false"):
                problems.add(place, f"must be true or false, not {shown(item)}")
        elif parameter.values:
            if text(item) not in {text(value) for value in parameter.values}:
                problems.add(
                    place, f"{shown(item)} is no value of it", near(item, parameter.values)
                )
        elif parameter.kind == "int":
            _integer(place, item, parameter, problems)


def _integer(
    place: Place, item: object, parameter: catalog.Parameter, problems: ConfigErrors
) -> None:
    try:
        number = int(str(item))
    except ValueError:
        problems.add(place, f"must be a whole number, not {shown(item)}")
        return
    low, high = parameter.minimum, parameter.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        bounds = [f"at least {low}"] if low is not None else []
        bounds += [f"at most {high}"] if high is not None else []
        problems.add(place, f"must be {' and '.join(bounds)}, not {number}")


def _placeholders(
    part: Part, entry: catalog.Endpoint, given: Mapping[str, str], problems: ConfigErrors
) -> None:
    endpoint = part.endpoint
    names = [parameter.name for parameter in entry.path_parameters]
    values = path_values(endpoint, entry, given)
    missing = [name for name in names if name not in values[0]]
    free = [name for name in names if name not in given and name not in endpoint.params]
    if missing:
        filled = entry.path.replace(f"{{{missing[0]}}}", "40832")
        problems.add(
            part.place("path" if endpoint.url is None else "url"),
            f"{entry.path} needs a value for {either(missing)}",
            f"Write ids = [40832], or path = {filled!r}.",
        )
    elif endpoint.ids and not free:
        problems.add(part.place("ids"), f"{part.endpoint.path} has no place for them")


def _tables(parts: Sequence[Part], problems: ConfigErrors, known: catalog.Catalog) -> None:
    """Check that endpoints which share a table have one path, the same names and fitting modes."""
    first: dict[str, Part] = {}
    for part in parts:
        if part.wrong & {"name", "table", "path"}:
            continue
        endpoint = part.endpoint
        other = first.setdefault(endpoint.root_table, part)
        if other is part or other.endpoint.name == endpoint.name:
            continue
        place = part.place("table" if endpoint.table else "name")
        table, owner = endpoint.root_table, other.endpoint.name
        if _template(known, endpoint.path) != _template(known, other.endpoint.path):
            problems.add(
                place,
                f"writes the table {table!r}, which {owner!r} fills from another path",
                "Give one of them a table of its own.",
            )
        elif endpoint.columns != other.endpoint.columns:
            problems.add(
                part.place("columns"),
                f"names columns of the table {table!r} otherwise than {owner!r}, "
                "which fills it too",
                "Give both the same names, or one of them a table of its own.",
            )
        elif endpoint.keep != other.endpoint.keep:
            problems.add(
                part.place("keep"),
                f"rows of the table {table!r} are kept for another time than {owner!r} says, which "
                "fills it too",
                "Give both the same.",
            )
        elif (endpoint.storage_mode, other.endpoint.storage_mode) not in _SHARED:
            problems.add(
                place,
                f"shares the table {table!r} with {owner!r}, so one would wipe the other's rows",
                "Let both append or both merge, or give one of them a table of its own.",
            )


def _template(known: catalog.Catalog, path: str) -> str:
    try:
        return known.find(path)[0].path
    except ConfigError:
        return path
