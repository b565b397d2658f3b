"""Found by each process that a test starts: it has no pandas, as most who use the program do.

pyarrow imports pandas wherever it is installed, as it is here for a few tests. That is a third of a
second of each of hundreds of processes.
"""

from __future__ import annotations

import sys


class _Without:
    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name="pandas")


sys.meta_path.insert(0, _Without)
