"""What something costs, in what no other process on the machine can change."""

import sys
import tracemalloc


def calls(function):
    """How many functions it calls, those written in C included."""
    count = 0

    def note(_frame, event, _argument):
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


def memory(function):
    """How many bytes it holds at once."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
