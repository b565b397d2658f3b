"""Whether several processes together stay within Torn's call limit, and use it up.

    python benchmarks/budget.py [--window 6] [--windows 5] [--processes 4]
    python benchmarks/budget.py --real          # the true 100 calls in 60 seconds: 4 minutes

Each process has three callers that never rest, for three keys of two owners, over one state
database. The sandbox counts: violations are calls that it had to refuse. Utilisation is the part
of the allowed calls that was made, from the first call on, over whole windows. Each owner's rows
show who made them: calls of low priority (old history) fill what the others leave of 70 %.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from tcdatalogger.clock import SystemClock
from tcdatalogger.core.state.store import State
from tcdatalogger.sandbox.api.city import Rules
from tcdatalogger.sandbox.api.server import Sandbox
from tcdatalogger.services.torncity.client.budget import Budget
from tcdatalogger.services.torncity.client.client import Client
from tcdatalogger.services.torncity.client.key_health import fingerprint
from tcdatalogger.services.torncity.client.messages import Request
from tcdatalogger.services.torncity.client.transport import Transport
from tcdatalogger.services.torncity.keys import key_info

CALLERS = (
    ("limited", "/user/basic", "normal"),
    ("second", "/faction/basic", "normal"),
    ("second", "/user/profile", "low"),
    ("rival", "/user/basic", "normal"),
    ("rival", "/faction/basic", "normal"),
    ("rival", "/torn/timestamp", "normal"),
)
"""Key, path and priority; every process has all of them."""

MARGIN = 1 / 60
"""Of the window, as the real one has it: 1 second of 60."""


@dataclass(frozen=True)
class NamedKey:
    name: str
    text: str

    def reveal(self):
        return self.text


def work(state_file, url, window, end, keys):
    """One process: callers that call until the end."""
    clock = SystemClock()
    known = {}
    with State(Path(state_file)) as state:
        budget = Budget(state.call_slots, clock, window=window, margin=window * MARGIN)
        client = Client(
            Transport(url, clock),
            budget,
            clock,
            key_health=state.key_health,
            owner_of=lambda key: known.get(key.name) or fingerprint(key),
        )
        for key in keys:
            known[key.name] = f"player:{key_info(client, key)[0].owner_id}"
            state.call_slots.count_under(fingerprint(key), known[key.name])
        by_name = {key.name: key for key in keys}

        def call(name, path, priority):
            while clock.now() < end:
                client.get(Request(path), by_name[name], priority=priority)

        threads = [Thread(target=call, args=caller, daemon=True) for caller in CALLERS]
        print("ready", flush=True)
        sys.stdin.readline()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, end - time.time()))
    client.close()


def measure(window, windows, processes):
    """Run it and return what the sandbox counted."""
    rules = Rules(history=86_400, cache=0, window=window)
    with Sandbox(seed=1, rules=rules) as city, tempfile.TemporaryDirectory() as folder:
        keys = [f"{name}={city.keys[name]}" for name in ("limited", "second", "rival")]
        end = time.time() + window * windows + 4  # and some seconds to start
        command = [sys.executable, __file__, "--work", f"{folder}/s.sqlite", city.url]
        workers = [
            subprocess.Popen(
                [*command, str(window), str(end), *keys],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(processes)
        ]
        for worker in workers:
            worker.stdout.readline()
        for worker in workers:
            worker.stdin.write("\n")
            worker.stdin.flush()
        began = city.city.limits.calls()[0].at
        for worker in workers:
            worker.communicate()
        limits = city.city.limits
        found = {"violations": city.stats()["violations"], "calls": len(limits.calls())}
        found["owners"] = {}
        for owner in sorted({call.owner for call in limits.calls()}):
            made = [call for call in limits.calls() if call.owner == owner and call.at >= began]
            until = began + window * windows
            found["owners"][owner] = {
                "utilisation": limits.utilisation(owner, began, until),
                "most": max(sum(c.at <= other.at < c.at + window for other in made) for c in made),
                "paths": dict(Counter((call.key, call.path) for call in made).most_common()),
            }
        return found


def main():
    if sys.argv[1:2] == ["--work"]:
        file, url, window, end, *keys = sys.argv[2:]
        work(file, url, float(window), float(end), [NamedKey(*key.split("=")) for key in keys])
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--window", type=float, default=6.0)
    parser.add_argument("--windows", type=int, default=5)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--real", action="store_true")
    options = parser.parse_args()
    window = 60.0 if options.real else options.window
    windows = 4 if options.real else options.windows
    found = measure(window, windows, options.processes)
    print(f"{options.processes} processes, 100 calls in {window:g} s, {windows} windows")
    print(f"violations: {found['violations']} of {found['calls']} calls")
    for owner, one in found["owners"].items():
        print(f"owner {owner}: {one['utilisation']:.1%} used, at most {one['most']} in a window")
        total = sum(one["paths"].values())
        for (key, path), count in one["paths"].items():
            low = " (low)" if (key, path, "low") in CALLERS else ""
            print(f"  {key + ' ' + path + low:34} {count:5}  {count / total:.1%}")


if __name__ == "__main__":
    main()
