"""The descriptions of settings: the texts below the fields, read when the JSON Schema is made.

pydantic can read them itself, but at every start; that takes a tenth of the start of a command.
"""

from __future__ import annotations

import ast
import inspect
from typing import Any

from tcdatalogger.core.config import channels, checks, exports, settings


def describe(schema: dict[str, Any]) -> None:
    """Add the descriptions to the JSON Schema of the settings, in place."""
    bodies = {settings.Settings.__name__: schema, **schema["$defs"]}
    for module in (settings, checks, channels, exports):
        for part in ast.parse(inspect.getsource(module)).body:
            if isinstance(part, ast.ClassDef) and part.name in bodies:
                fields = bodies[part.name]["properties"]
                for name, text in _texts(part).items():
                    fields[name]["description"] = text


def _texts(part: ast.ClassDef) -> dict[str, str]:
    """The texts below the fields of a class, by field name."""
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in zip(part.body, part.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
