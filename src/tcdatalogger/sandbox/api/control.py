"""The control plane under `/_sandbox/`: it reads what was counted and plans what goes wrong.

GET  /_sandbox/stats           everything counted so far
POST /_sandbox/faults          a fault as plain facts, or a list of them; DELETE clears all
POST /_sandbox/outages         {"kind", "since", "until"} or {"kind", "after", "seconds"}, or a
                               list of them; DELETE clears all
POST /_sandbox/keys            {"name", "text"?, "level"?, "owner"?, "faction_access"?, "refusal"?,
                               "dies_after"?, "dies_at"?, "dies_of"?}
POST /_sandbox/expected_rows   {"what", "since"?, "until"?, "key"?}: all rows as the API has them
GET  /_sandbox/calls           every call of a user: second, owner, name of the key, path, accepted
GET  /_sandbox/keys            all keys
GET  /_sandbox/time            {"now", "speed"}; POST {"advance": seconds} or {"speed": x}
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from tcdatalogger.sandbox.api.city import City
from tcdatalogger.sandbox.api.faults import fault
from tcdatalogger.sandbox.api.keyring import SandboxKey
from tcdatalogger.sandbox.api.outages import outage


def control(city: City, method: str, what: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """Do what a request to `/_sandbox/WHAT` asks for; returns the HTTP status and the answer."""
    try:
        facts = json.loads(body) if body else {}
        with city.lock:
            return _act(city, method, what, facts)
    except (ValueError, TypeError, KeyError) as error:
        return 400, {"error": f"{type(error).__name__}: {error}"}


def _act(city: City, method: str, what: str, facts: Any) -> tuple[int, dict[str, Any]]:
    match method, what:
        case "GET" | "POST", "time":
            return 200, _time(city, facts)
        case "POST", "expected_rows":
            return 200, {"rows": city.expected(**facts)}
        case "GET", _:
            return _read(city, what)
        case _:
            return _changed(city, method, what, facts)


def _read(city: City, what: str) -> tuple[int, dict[str, Any]]:
    match what:
        case "stats":
            return 200, city.limits.facts()
        case "calls":
            return 200, {"now": city.seconds(), "calls": city.limits.calls()}
        case "keys":
            return 200, {"keys": [asdict(key) for key in city.keyring]}
        case _:
            return _unknown()


def _changed(city: City, method: str, what: str, facts: Any) -> tuple[int, dict[str, Any]]:
    match method, what:
        case "POST", "faults":
            for each in facts if isinstance(facts, list) else [facts]:
                city.faults.add(fault(each))
            return 200, {"faults": len(city.faults)}
        case "DELETE", "faults":
            city.faults.clear()
            return 200, {"faults": 0}
        case "POST", "outages":
            for each in facts if isinstance(facts, list) else [facts]:
                city.outages.append(outage(each, city.clock.now()))
            return 200, {"outages": len(city.outages)}
        case "DELETE", "outages":
            city.outages.clear()
            return 200, {"outages": 0}
        case "POST", "keys":
            return 200, asdict(change_key(city, **facts))
        case _:
            return _unknown()


def _unknown() -> tuple[int, dict[str, Any]]:
    return 404, {"error": (__doc__ or "").strip()}


def _time(city: City, facts: Any) -> dict[str, Any]:
    if "advance" in facts:
        city.clock.advance(float(facts["advance"]))
    if "speed" in facts:
        city.clock.run(float(facts["speed"]))
    return {"now": city.clock.now(), "speed": city.clock.speed}


def change_key(city: City, name: str, **changes: Any) -> SandboxKey:
    """Change the key of this name, or add it.

    Raises:
        TypeError: a change is unknown.
    """
    if city.keyring.named(name):
        changes.pop("text", None)
        return city.keyring.change(name, **changes)
    template = city.keyring.named("full")
    owner = template.owner if template else 1
    key = SandboxKey(name, **{"text": name, "level": 4, "owner": owner, **changes})
    city.keyring.add(key)
    return key
