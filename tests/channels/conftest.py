from __future__ import annotations

from datetime import UTC, datetime

import pytest

from receiver import open_receiver
from tcdatalogger.services.channels.message import Item, Message, Picture

NOW = 1_800_000_000.0


@pytest.fixture
def receiver():
    with open_receiver() as found:
        yield found


def alerts(*texts, severity="warning", over=False, remedy="`tcdatalogger status` says more."):
    items = tuple(
        Item("", text, "" if over else remedy, over=over, facts={"text": text}) for text in texts
    )
    return Message("alerts", f"alerts: {len(items)} new", items, severity, NOW)


def answer(name="oc-now", text="What is going on.", rows="Anna, 3"):
    return Item(
        "What now?",
        text,
        at=datetime(2026, 11, 26, 12, tzinfo=UTC),
        described=rows,
        picture=Picture(f"{name}.png", b"\x89PNG of " + name.encode()),
        facts={"name": name, "rows": [{"name": "Anna", "n": 3}]},
    )


def answers(*items):
    return Message("answers", "What now?", items or (answer(),), at=NOW)
