"""Arrow without numpy and pandas: pyarrow imports them where they are installed.

numpy comes with pyarrow itself, pandas with the first list that becomes an array, and with the
first moment in a time zone that becomes an object of Python. They take 0.4 seconds of a processor
and 60 MB, and only the rows of a user's own processor can be theirs. pyarrow remembers what it
found, so it looks for them once while they are hidden.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from typing import Final, Protocol


class Endpoint(Protocol):
    """What counts of the settings of an endpoint."""

    @property
    def processor(self) -> str:
        """The name of its own processor, "" for none."""
        ...


_HIDDEN: Final = frozenset({"numpy", "pandas"})


class _Hides:
    """Says that they are not installed, to one thread."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, *_: object) -> None:
        """Find nothing, and let nobody else find them."""
        if fullname in _HIDDEN and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"{fullname} is hidden", name=fullname)


def begin(endpoints: Iterable[Endpoint]) -> None:
    """Import Arrow in a process of ours, without both where no endpoint may bring them.

    A processor may return a frame with pandas' own nulls among Python objects (`pd.NA`, `pd.NaT`).
    Arrow knows these only if it has found pandas at its first array.

    Args:
        endpoints: all that this process may run.
    """
    if any(endpoint.processor for endpoint in endpoints):
        return
    hides = _Hides()
    sys.meta_path.insert(0, hides)
    try:
        import pyarrow as pa  # noqa: PLC0415  # while they are hidden
        import pyarrow.compute  # noqa: PLC0415  # it looks for numpy too

        pa.array([0])
        pa.array([0], pa.timestamp("us", tz="UTC")).to_pylist()  # it looks at each of the two roads
    finally:
        sys.meta_path.remove(hides)
