"""`python -m tcdatalogger` is `tcdatalogger`."""

from __future__ import annotations

from tcdatalogger.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
