"""Bodies as Torn sends them."""

from __future__ import annotations

from typing import Any


def member(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A member of a faction, with other values or further fields where they are given."""
    return {
        "id": number, "name": f"n{number}", "position": "Member", "level": 7,
        "days_in_faction": 3, "is_revivable": False, "is_on_wall": False, "is_in_oc": False,
        "has_early_discharge": False, "revive_setting": "No one",
        "last_action": {"status": "Idle", "timestamp": 1_767_225_000, "relative": "now"},
        "status": {
            "description": "Okay", "details": None, "state": "Okay", "color": "green",
            "until": None,
        },
        **changes,
    }  # fmt: skip
