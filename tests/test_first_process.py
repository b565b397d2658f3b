"""The first process of a container passes signals on, reaps orphans and ends as its child does."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="containers are Linux")

FRAME = """
import os, signal, subprocess, sys, time
from tcdatalogger import first_process
WORK
raise SystemExit(first_process.run(work))
"""
SUBREAPER = """
import ctypes
PR_SET_CHILD_SUBREAPER = 36  # orphans come to this process, as to process 1
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
"""


def begun(work, before=""):
    program = before + FRAME.replace("WORK", work)
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)


def ended(process):
    out, _ = process.communicate(timeout=60)
    return process.returncode, out


def test_it_ends_with_the_exit_code_of_the_work():
    assert ended(begun("def work(): return 78")) == (78, "")


def test_a_child_that_a_signal_ended_is_told_as_shells_tell_it():
    work = "def work(): os.kill(os.getpid(), signal.SIGKILL)"
    assert ended(begun(work))[0] == 128 + signal.SIGKILL


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_reaches_the_work_once(name):
    work = f"""
came = []
def work():
    signal.signal(signal.{name}, lambda *_: came.append(1))
    print("ready", flush=True)
    while not came:
        time.sleep(0.01)
    return 40 + len(came)
"""
    process = begun(work)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(getattr(signal, name))
    assert ended(process) == (41, "")


def test_an_orphan_does_not_stay_a_zombie():
    work = """
def work():
    orphan = "import subprocess as s; print(s.Popen(['true']).pid)"
    pid = subprocess.run([sys.executable, "-c", orphan], capture_output=True, text=True).stdout
    for _ in range(1000):
        if not os.path.exists(f"/proc/{pid.strip()}"):
            return 0
        time.sleep(0.01)
    return 1
"""
    assert ended(begun(work, SUBREAPER)) == (0, "")


def namespace():
    """What makes a process the first one of a namespace, None where this is not allowed."""
    tool = shutil.which("unshare")
    words = [tool, "--user", "--map-root-user", "--pid", "--fork"]
    if os.getuid() == 0:
        words = [tool, "--pid", "--fork"]
    if (
        tool is None
        or subprocess.run([*words, "true"], check=False, capture_output=True).returncode
    ):
        return None
    return words


def test_the_program_as_process_1_answers_as_ever():
    if (words := namespace()) is None:
        pytest.skip("this machine gives no namespace of processes")
    for said, code in (("--version", 0), ("no-such-command", 2)):
        done = subprocess.run(
            [*words, sys.executable, "-m", "tcdatalogger", said],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
