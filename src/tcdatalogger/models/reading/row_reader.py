"""Reads one body value by value: records that fit the shape are kept, the others are rejected.

Four kinds of values are converted. A map of records is read as a list of records with the key as
`_key`. An empty list in place of an object is read as an object without members, and an empty
object in place of a list as an empty list (PHP makes no difference). A number or truth value in
place of a text is read as its text. A whole decimal in place of an integer is read as that integer
(JSON makes no difference). Nothing else is converted, and no number is rounded.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tcdatalogger.models.reading import lossless_json
from tcdatalogger.models.reading.infer import MAP_KEY, UNKNOWN, is_map, map_records
from tcdatalogger.models.reading.lossless_json import INT_MAX, INT_MIN, Number, Value
from tcdatalogger.models.schema import METADATA
from tcdatalogger.models.shape import Json, Kind, List, Object, Scalar, Shape

TIME_MIN: Final = -62_135_596_800
TIME_MAX: Final = 253_402_300_799
"""The Unix times of the years 1 to 9999: every warehouse can hold them."""


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A record that does not fit its shape or its checks.

    Attributes:
        page: the number of the page with the record.
        path: the path of the value that does not fit, from the body down; "" for the whole body.
        reason: why the value does not fit.
        record: the whole unchanged record as JSON; the text of a body that is no JSON.
        again: whether another try may succeed later.
    """

    page: int
    path: str
    reason: str
    record: str
    again: bool = True


def once_each(
    rejected: Iterable[RejectedRecord], subjects: Sequence[int | None]
) -> tuple[RejectedRecord, ...]:
    """Rejected records, each once where the same record came on several pages.

    A record that came several times on one page counts as several records.

    Args:
        rejected: the rejected records of a run.
        subjects: the subject of each page.
    """
    kept: dict[tuple[object, ...], RejectedRecord] = {}
    on_page: Counter[tuple[object, ...]] = Counter()
    for reject in rejected:
        seen = (subjects[reject.page], reject.reason, reject.record)
        on_page[reject.page, seen] += 1
        kept.setdefault((seen, on_page[reject.page, seen]), reject)
    return tuple(kept.values())


@dataclass(slots=True)
class Findings:
    """The problems and conversions of one record.

    Attributes:
        unknown: the reason that is given for a field that the shape lacks.
        problems: pairs of path and reason.
        converted: the paths (in the shape) of texts that were sent as another kind, each with the
            first such value as JSON.
    """

    unknown: str
    problems: list[tuple[str, str]] = field(default_factory=list)
    converted: dict[tuple[str, ...], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadRows:
    """The records of one body.

    Attributes:
        body: JSON with the records that fit; JSON columns are texts already. None where the body as
            a whole does not fit.
        rejected: the other records.
        converted: as in `Findings`.
    """

    body: bytes | None
    rejected: tuple[RejectedRecord, ...]
    converted: dict[tuple[str, ...], str]


def read_rows(
    value: Value,
    shape: Object,
    root: tuple[str, ...],
    page: int,
    key: Collection[tuple[str, ...]] = (),
    *,
    unknown: str = UNKNOWN,
) -> ReadRows:
    """The part of a body that fits `shape`.

    Args:
        value: the body, from `lossless_json.parse`.
        shape: the shape; a record with a field that the shape lacks is rejected.
        root: the path to the list of records, empty where the body is one record.
        page: the number of the page.
        key: the paths of fields that must not be null, from the record down.
        unknown: the reason that is given for a field that the shape lacks.
    """
    if not isinstance(value, dict) or isinstance(value, lossless_json.Repeated):
        reason = f"the body is {lossless_json.kind(value)}, not an object with each key once"
        return ReadRows(None, (RejectedRecord(page, "", reason, lossless_json.dump(value)),), {})
    kept = {name: inner for name, inner in value.items() if name != METADATA}
    records = _records(kept, shape, root)
    if records is None:
        return _whole(kept, shape, page, key, unknown)
    name, element, inners = root[0], _element(shape, root), records
    findings = Findings(unknown)
    rejected: list[RejectedRecord] = []
    good: list[Value] = []
    for at, record in enumerate(inners):
        found = Findings(unknown, converted=findings.converted)
        fitted = _fit(record, element, f"{name}[{at}]", (name, "[]"), found)
        if record is None and isinstance(element, Object):
            found.problems.append((f"{name}[{at}]", "null in place of a record"))
        found.problems += _nulls(record, f"{name}[{at}].", key)
        if found.problems:
            path, reason = found.problems[0]
            rejected.append(RejectedRecord(page, path, reason, lossless_json.dump(record)))
        else:
            good.append(fitted)
    rest = Object(tuple(f for f in shape.fields if f.name != name))
    others = {key: inner for key, inner in kept.items() if key != name}
    fitted_rest = _fit(others, rest, "", (), findings)
    if findings.problems:
        path, reason = findings.problems[0]
        rejected.append(RejectedRecord(page, path, reason, lossless_json.dump(others)))
        fitted_rest = {}
    body = lossless_json.dump({**fitted_rest, name: good}).encode()
    return ReadRows(body, tuple(rejected), findings.converted)


def _element(shape: Object, root: tuple[str, ...]) -> Shape:
    field_ = shape.field(root[0])
    if field_ is None or not isinstance(field_.shape, List):
        raise LookupError(f"no list at {root}")
    return field_.shape.element


def _records(value: dict[str, Value], shape: Object, root: tuple[str, ...]) -> list[Value] | None:
    """The records of the root list, None where the body is one record or has no such list."""
    if not root or root[0] not in value:
        return None
    field_ = shape.field(root[0])
    if field_ is None or not isinstance(field_.shape, List):
        return None
    found = value[root[0]]
    if is_map(found, field_.shape):
        return map_records(found)
    return found if isinstance(found, list) else None


def _nulls(
    record: Value, place: str, key: Collection[tuple[str, ...]]
) -> Iterator[tuple[str, str]]:
    """The key fields that are null in a record, as pairs of path and reason.

    A record from a map of records has the key of the map, so its own key may be null.
    """
    if isinstance(record, dict) and MAP_KEY in record:
        return
    for path in key:
        inner = record
        for name in path[:-1]:
            inner = inner.get(name) if isinstance(inner, dict) else None
        if isinstance(inner, dict) and inner.get(path[-1]) is None:
            yield f"{place}{'.'.join(path)}", "the key of the record is null"


def _whole(
    value: dict[str, Value],
    shape: Object,
    page: int,
    key: Collection[tuple[str, ...]],
    unknown: str,
) -> ReadRows:
    findings = Findings(unknown)
    fitted = _fit(value, shape, "", (), findings)
    findings.problems += _nulls(value, "", key)
    if findings.problems:
        path, reason = findings.problems[0]
        return ReadRows(None, (RejectedRecord(page, path, reason, lossless_json.dump(value)),), {})
    return ReadRows(lossless_json.dump(fitted).encode(), (), findings.converted)


def _fit(value: Value, shape: Shape, path: str, place: tuple[str, ...], found: Findings) -> Value:
    """`value` as the fast reader accepts it; what does not fit is added to `found.problems`."""
    if value is None:
        return None
    match shape:
        case Json():
            text = lossless_json.dump(value)
            if lossless_json.has_half(text):
                found.problems.append((path, "the text has half of a surrogate pair"))
            return text
        case Object():
            return _fit_object(value, shape, path, place, found)
        case List(element=element):
            if is_map(value, shape):
                value = map_records(value)
            if value == {}:
                return []
            if not isinstance(value, list):
                return _wrong(value, "a list", path, found)
            here = (*place, "[]")
            return [_fit(v, element, f"{path}[{at}]", here, found) for at, v in enumerate(value)]
        case Scalar():
            return _fit_scalar(value, shape, path, place, found)


def _fit_object(
    value: Value, shape: Object, path: str, place: tuple[str, ...], found: Findings
) -> Value:
    if value == []:
        return {}
    if not isinstance(value, dict):
        return _wrong(value, "an object", path, found)
    if isinstance(value, lossless_json.Repeated):
        found.problems.append((path, "a key is repeated in it"))
        return None
    fitted = {}
    for name, inner in value.items():
        field_ = shape.field(name)
        where = f"{path}.{name}" if path else name
        if not lossless_json.is_text(name):
            where = where.encode(errors="backslashreplace").decode()
            found.problems.append((where, "the name has half of a surrogate pair"))
            continue
        if field_ is None:
            found.problems.append((where, found.unknown))
            continue
        fitted[name] = _fit(inner, field_.shape, where, (*place, name), found)
    return fitted


def _fit_scalar(
    value: Value, shape: Scalar, path: str, place: tuple[str, ...], found: Findings
) -> Value:
    number = isinstance(value, Number)
    match shape.kind:
        case Kind.TEXT if isinstance(value, str) and not number:
            return _sound(value, path, found)
        case Kind.TEXT if number or isinstance(value, bool):
            text = lossless_json.dump(value)
            found.converted.setdefault(place, text)
            return text
        case Kind.BOOL if isinstance(value, bool):
            return value
        case Kind.INT | Kind.TIME if number:
            return _as_integer(value, shape.kind, path, found)
        case Kind.FLOAT if number:
            return _as_float(value, path, found)
        case _:
            return _wrong(value, _DUE[shape.kind], path, found)


_DUE = {
    Kind.INT: "an integer",
    Kind.FLOAT: "a number",
    Kind.TEXT: "a text",
    Kind.BOOL: "a truth value",
    Kind.TIME: "a Unix time in whole seconds",
}


def _as_float(value: Number, path: str, found: Findings) -> Value:
    """A number for a column of decimals; a number that would be rounded is a problem."""
    if lossless_json.fits_float(value):
        return Number(float(value))  # the fast reader does not know `0e400`
    what = "is too large for a 64-bit number"
    if not math.isinf(float(value)):
        what = "would be rounded as a 64-bit float"
    found.problems.append((path, f"{value} {what}"))
    return None


def _as_integer(value: Number, kind: Kind, path: str, found: Findings) -> Value:
    whole = lossless_json.integer(value)
    low, high = (TIME_MIN, TIME_MAX) if kind is Kind.TIME else (INT_MIN, INT_MAX)
    if whole is not None and low <= whole <= high:
        return Number(whole)
    if whole is None and not value.whole:
        return _wrong(value, _DUE[kind], path, found)
    what = "is no time of the years 1 to 9999" if kind is Kind.TIME else "does not fit into 64 bits"
    found.problems.append((path, f"{value} {what}"))
    return None


def _sound(text: str, path: str, found: Findings) -> str:
    """A text; half of a surrogate pair in it is a problem, because it cannot be stored."""
    if not lossless_json.is_text(text):
        found.problems.append((path, "the text has half of a surrogate pair"))
    return text


def _wrong(value: Value, due: str, path: str, found: Findings) -> None:
    found.problems.append((path, f"{lossless_json.kind(value)} in place of {due}"))
