"""The lab of the crash tests, once for all of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import Lab


@pytest.fixture(scope="session")
def lab():
    with Lab() as opened:
        yield opened
