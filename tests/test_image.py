"""What `make image` keeps is looked at before it is used, and a machine that cannot is told so.

That the image itself is right only the script can say: it builds and runs it, in CI.
"""

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import image
import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "image.py"


def archive(file, name="./usr/bin/python3.13"):
    with tarfile.open(file, "w") as tar:
        tar.addfile(tarfile.TarInfo(name), io.BytesIO())


@pytest.fixture
def made():
    """How often a base was made."""
    return []


@pytest.fixture
def make(made):
    def maker(file):
        made.append(file)
        archive(file)

    return maker


def test_a_base_is_made_once(tmp_path, make, made):
    kept = image.base(tmp_path, make)
    assert image.base(tmp_path, make) == kept
    assert len(made) == 1
    assert [file.name for file in tmp_path.iterdir()] == [kept.name]


@pytest.mark.parametrize(
    "leave",
    [
        lambda place: (place / "usr/bin").mkdir(parents=True),
        lambda place: place.write_bytes(b""),
        lambda place: place.write_bytes(b"half an archive"),
        lambda place: place.symlink_to(place.parent / "nowhere"),
        lambda place: place.symlink_to(place.parent),
        lambda place: archive(place, "./usr/bin/python3.11"),
    ],
    ids=["a_folder", "nothing", "a_half", "a_dangling_link", "a_link_to_a_folder", "another_base"],
)
def test_whatever_an_earlier_try_left_in_its_place_is_replaced(tmp_path, make, made, leave):
    place = image.base(tmp_path, make)
    place.unlink()
    leave(place)
    assert image.base(tmp_path, make) == place
    assert image.is_base(place)
    assert len(made) == 2


def test_the_base_of_another_recipe_and_what_a_killed_try_left_are_removed(tmp_path, make):
    archive(tmp_path / "base-0123456789ab.tar")
    (tmp_path / "base.tar" / "usr").mkdir(parents=True)
    (tmp_path / "base.tar.new").mkdir()
    (tmp_path / "making-killed").mkdir()
    kept = image.base(tmp_path, make)
    assert [file.name for file in tmp_path.iterdir()] == [kept.name]


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda _file: None])
def test_what_is_no_archive_never_gets_the_name(tmp_path, make):
    """As where mmdebstrap makes a folder, because it does not know the ending of the name."""
    with pytest.raises(image.Cannot):
        image.base(tmp_path, make)
    assert list(tmp_path.iterdir()) == []


def test_mmdebstrap_is_told_what_to_make(tmp_path, monkeypatch):
    """By its name alone it would make a folder of what does not end in `.tar`."""
    said = []
    monkeypatch.setattr(image, "call", lambda words, **_: said.extend(words) or done())
    image.bootstrap(tmp_path / "a")
    assert "--format=tar" in said
    assert said[-1] == str(tmp_path / "a")


def done():
    return subprocess.CompletedProcess((), 0, "", "")


def test_where_the_tools_are_not_here_it_says_how_to_get_them_and_ends_with_75(tmp_path):
    found = subprocess.run(
        [sys.executable, str(SCRIPT)],
        env={**os.environ, "PATH": str(tmp_path)}, cwd=tmp_path,
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert (found.returncode, found.stderr) == (image.CANNOT, "")
    assert "The image was neither built nor run" in found.stdout
    assert "apt-get install --no-install-recommends buildah podman crun mmdebstrap" in found.stdout


def test_ci_builds_the_image_and_goes_on_where_a_machine_cannot():
    script = (SCRIPT.parents[1] / ".ci" / "run").read_text()
    [command] = [line for line in script.splitlines() if "scripts/image.py" in line]
    assert command.startswith("may_lack ")
    shell = shutil.which("bash")
    begin, end = script.index("timed() {"), script.index("may_lack() {")
    body = script[begin : script.index("\n}\n", end) + 3]
    for code, ended in ((0, 0), (image.CANNOT, 0), (1, 1), (137, 137)):
        ran = subprocess.run(
            [shell, "-euo", "pipefail", "-c", f"{body}\nmay_lack sh -c 'exit {code}'"],
            check=False, capture_output=True,
        )  # fmt: skip
        assert ran.returncode == ended
