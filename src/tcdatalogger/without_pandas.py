"""Arrow without pandas: pyarrow imports it at the first list that becomes an array, if it is there.

That takes 0.3 seconds of a processor and 60 MB, and only the rows of a user's own processor can be
of pandas. pyarrow remembers what it found, so it is looked for once while it is hidden.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from importlib.abc import MetaPathFinder
from typing import Protocol


class Endpoint(Protocol):
    """What counts of the settings of an endpoint."""

    @property
    def processor(self) -> str:
        """The name of its own processor, "" for none."""
        ...


class _Hides(MetaPathFinder):
    """Says that pandas is not installed, to one thread."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, *_: object) -> None:
        """Find nothing, and let nobody else find pandas."""
        if fullname == "pandas" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is hidden", name=fullname)


def begin(endpoints: Iterable[Endpoint]) -> None:
    """Begin to use Arrow in a process of ours, without pandas where no endpoint may bring it.

    A processor may return a frame with pandas' own nulls among Python objects (`pd.NA`, `pd.NaT`).
    Arrow knows these only if it has found pandas at its first array.

    Args:
        endpoints: all that this process may run.
    """
    if any(endpoint.processor for endpoint in endpoints):
        return
    import pyarrow as pa  # noqa: PLC0415  # the daemon needs none

    hides = _Hides()
    sys.meta_path.insert(0, hides)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(hides)
