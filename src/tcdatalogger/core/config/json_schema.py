"""What settings are for: the texts below the fields of their classes, read when they are asked for.

pydantic would read them from the source each time that the classes are made: a tenth of the time
in which a command begins.
"""

from __future__ import annotations

import ast
import inspect
from typing import Any

from tcdatalogger.core.config import checks, settings


def describe(schema: dict[str, Any]) -> None:
    """Add the descriptions to the JSON Schema of the settings, in place."""
    bodies = {settings.Settings.__name__: schema, **schema["$defs"]}
    for module in (settings, checks):
        for part in ast.parse(inspect.getsource(module)).body:
            if isinstance(part, ast.ClassDef) and part.name in bodies:
                fields = bodies[part.name]["properties"]
                for name, text in _texts(part).items():
                    fields[name]["description"] = text


def _texts(part: ast.ClassDef) -> dict[str, str]:
    """The fields of a class that have a text below them."""
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in zip(part.body, part.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
