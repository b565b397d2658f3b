"""The JSON Schema for editors: it lists the paths of a catalogue, their parameters and values.

An editor (Taplo, Tombi, Even Better TOML) completes from the lists, and marks what is not in them.
What `configuration.load` takes, this schema takes too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tcdatalogger.core.config.configuration import json_schema
from tcdatalogger.core.config.validate import OWN_PARAMETERS
from tcdatalogger.services.torncity.catalog.catalog import Catalog, Endpoint, Parameter

FILE: Final = "tcdatalogger.schema.json"
"""The name of the file that `init` writes beside the configuration."""
LINE: Final = f"#:schema ./{FILE}"
"""The first line of a configuration whose editor is to use that file."""

_ADDRESS: Final = r"(https?://[^/]+)?/?(v2/)?"
"""What may stand before a path, as `configuration.load` takes it."""
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")

Schema = dict[str, Any]


def editor_schema(catalog: Catalog) -> Schema:
    """The JSON Schema of the configuration file, with the paths of a catalogue."""
    schema = json_schema()
    listed = [endpoint for endpoint in catalog.endpoints if not endpoint.route]
    parameters = _Parameters()
    rules = [_rule(endpoint, parameters) for endpoint in listed]
    endpoint = schema["$defs"]["EndpointSettings"]
    fields = endpoint["properties"]
    fields["path"] = {
        **{k: v for k, v in fields["path"].items() if k != "type"},
        "anyOf": [
            {"enum": [each.path for each in listed]},
            {"type": "string", "pattern": _any_path(listed)},
        ],
    }
    fields["params"] = {
        **{k: v for k, v in fields["params"].items() if k != "additionalProperties"},
        "properties": parameters.by_name(),
        "additionalProperties": True,
    }
    endpoint["allOf"] = rules
    schema["$defs"] |= parameters.definitions
    return schema


def write(folder: Path, catalog: Catalog) -> Path:
    """Write the schema beside a configuration, for its first line to name.

    Args:
        folder: of the configuration.
        catalog: whose paths it lists.

    Returns:
        The file.

    Raises:
        OSError: the file cannot be written.
    """
    file = folder / FILE
    part = file.with_suffix(".part")
    part.write_text(
        json.dumps(editor_schema(catalog), ensure_ascii=False, indent=1) + "\n", "utf-8"
    )
    part.chmod(0o644)  # no secret is in it
    part.replace(file)
    return file


class _Parameters:
    """The definitions of parameters; the same parameter of many paths is written once."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._names: dict[tuple[str, str], str] = {}

    def refer(self, parameter: Parameter) -> Schema:
        """A reference to the definition of a parameter."""
        taken = _values(parameter)
        known = (parameter.name, repr(taken))
        if known not in self._names:
            number = sum(name == parameter.name for name, _ in self._names)
            self._names[known] = f"param_{parameter.name}{f'_{number}' if number else ''}"
            self.definitions[self._names[known]] = taken
        return {"$ref": f"#/$defs/{self._names[known]}"}

    def by_name(self) -> Schema:
        """What the parameters of a name take, whatever the path is.

        For editors that do not look at the path: some complete from here alone.
        """
        found: dict[str, list[Schema]] = {}
        for (name, _), definition in self._names.items():
            found.setdefault(name, []).append({"$ref": f"#/$defs/{definition}"})
        return {name: {"anyOf": each} for name, each in found.items()}


def _rule(endpoint: Endpoint, parameters: _Parameters) -> Schema:
    """Which parameters an endpoint with this path takes."""
    known = [each for each in endpoint.parameters if each.name not in OWN_PARAMETERS]
    params: Schema = {
        "properties": {each.name: parameters.refer(each) for each in known},
        "additionalProperties": False,
    }
    then: Schema = {"properties": {"params": params}}
    needed = [each.name for each in known if each.required and each.where == "query"]
    if needed:
        params["required"] = needed
        then["required"] = ["params"]
    path = {"pattern": f"^{_ADDRESS}{_pattern(endpoint)}/?$"}
    return {"if": {"properties": {"path": path}, "required": ["path"]}, "then": then}


def _any_path(listed: Sequence[Endpoint]) -> str:
    return f"^{_ADDRESS}({'|'.join(map(_pattern, listed))})/?$"


def _pattern(endpoint: Endpoint) -> str:
    """The regular expression of a path without its first slash, as JSON Schema reads it."""

    def taken(found: re.Match[str]) -> str:
        parameter = endpoint.parameter(found[1])
        number = parameter is not None and parameter.kind == "int"
        many = parameter is not None and parameter.many
        value = (r"\d+(,\d+)*" if many else r"\d+") if number else r"[^/{}]+"
        return rf"(\{{{found[1]}\}}|{value})"

    return _PLACEHOLDER.sub(taken, endpoint.path.removeprefix("/"))


def _values(parameter: Parameter) -> Schema:
    """What a parameter takes: one value, or a list where it takes several."""
    one = list(_one(parameter))
    item = one[0] if len(one) == 1 else {"anyOf": one}
    taken = [*one, _list(item, parameter)]
    if parameter.many and (parameter.values or parameter.kind != "text"):
        taken.append({"type": "string", "pattern": ","})  # several values with commas
    return {"description": _description(parameter), "anyOf": taken}


def _list(item: Schema, parameter: Parameter) -> Schema:
    most = {} if parameter.many else {"maxItems": 1}
    return {"type": "array", "minItems": 1, "items": item, **most}


def _one(parameter: Parameter) -> Iterator[Schema]:
    """The schemas of one value."""
    if parameter.kind == "bool":
        yield {"type": "boolean"}
        yield {"type": "string", "pattern": "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$"}
    elif parameter.values:
        yield {"enum": list(_spellings(parameter.values))}
    elif parameter.kind == "int":
        low, high = parameter.minimum, parameter.maximum
        bounds = {"minimum": low} if low is not None else {}
        bounds |= {"maximum": high} if high is not None else {}
        yield {"type": "integer", **bounds}
        yield {"type": "string", "pattern": r"^\s*[-+]?\d[\d_]*\s*$"}
    else:
        yield {"type": ["string", "number", "boolean"]}


def _spellings(values: Sequence[str | int]) -> Iterator[str | int | bool]:
    """Each value as Torn's document writes it, and as TOML may write it too."""
    for value in values:
        yield value
        if isinstance(value, int):
            yield str(value)
        elif value in {"true", "false"}:
            yield value == "true"
        elif value.isdecimal() and str(int(value)) == value:
            yield int(value)


def _description(parameter: Parameter) -> str:
    says = {"int": "A whole number", "bool": "true or false"}.get(parameter.kind, "A text")
    says = "One of Torn's values" if parameter.values else says
    if parameter.many:
        says += ", or a list of them"
    if parameter.default is not None:
        says += f"; Torn takes {str(parameter.default).lower()} where it is not given"
    return f"{says}."
