"""Lay out the root folder of the image: Python, the program, and the libraries that they load.

    /opt/tcdatalogger/bin/python docker/root.py FOLDER

It runs in the first stage of docker/Dockerfile, in the environment that becomes the image's. It
works with Debian's Python in /usr and with that of the official images in /usr/local.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

UID: Final = 10001

NOT_LOADED: Final = (
    # Of Arrow: its tests, its headers, and the formats and services that the program never asks.
    "pyarrow/tests",
    "pyarrow/include",
    "pyarrow/src",
    *(f"pyarrow/**/*.{kind}" for kind in ("pxi", "pyx", "pxd", "pyi", "h", "lib")),
    *(f"pyarrow/libarrow_{part}*" for part in ("flight", "s3", "python_flight")),
    "pyarrow/libarrow_python_parquet_encryption*",
    *(
        f"pyarrow/_{part}.*"
        for part in (
            *("flight", "s3fs", "gcsfs", "azurefs", "hdfs", "substrait", "orc", "feather"),
            *("parquet_encryption", "dataset_parquet_encryption", "dataset_orc"),
        )
    ),
    # BigQuery is asked by REST; nothing on a terminal is a program or Markdown; C is not parsed.
    *("grpc", "grpc_status", "grpcio*-info"),
    *(
        f"{name}{part}"
        for name in ("pygments", "markdown_it", "markdown_it_py", "mdurl", "pycparser")
        for part in ("", "-*")
    ),
    "pydantic/v1",
    "duckdb/experimental",
    "**/*.pyi",
    "psutil/tests",
)
"""Files below site-packages that the program does not load. It was run without them."""

NO_STDLIB: Final = (
    *("test", "idlelib", "turtledemo", "tkinter", "ensurepip", "lib2to3", "pydoc_data"),
    *("config-*", "site-packages", "dist-packages", "__pycache__", "LICENSE.txt", "turtle.py"),
    *("_tkinter*", "_test*", "_ctypes_test*", "_xxtestfuzz*", "xxlimited*", "EXTERNALLY-MANAGED"),
    *("_dbm*", "_gdbm*", "_curses*", "readline*"),
)
"""Parts of Python's own library that no program on a server loads."""


def size(folder: Path) -> float:
    """Megabytes of a folder."""
    files = (file for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    return sum(file.stat().st_size for file in files) / 1e6


def remove(place: Path) -> None:
    """Remove a file or a folder."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def slim(packages: Path) -> None:
    """Remove what is not loaded, and libraries that are there under several names."""
    for pattern in NOT_LOADED:
        for place in list(packages.glob(pattern)):
            remove(place)
    by_name: dict[tuple[str, int], list[Path]] = {}
    for file in (packages / "pyarrow").glob("libarrow*.so*"):
        by_name.setdefault((file.name.partition(".so")[0], file.stat().st_size), []).append(file)
    wanted = needed(packages / "pyarrow")
    for copies in by_name.values():
        for file in copies:
            if len(copies) > 1 and file.name not in wanted:
                file.unlink()


def strip(packages: Path) -> None:
    """Remove the names of functions that only a debugger reads.

    Libraries that a wheel has brought along from a system (`….libs`) were changed after they had
    been linked, and stay as they are.
    """
    for file in packages.rglob("*.so*"):
        if not file.is_symlink() and not file.parent.name.endswith(".libs"):
            subprocess.run(["strip", "--strip-unneeded", str(file)], check=True)


def needed(folder: Path) -> set[str]:
    """The names of the libraries that those of a folder load."""
    return {name for file in folder.glob("*.so*") for name, _ in loaded(file)}


def loaded(file: Path) -> Iterator[tuple[str, Path]]:
    """The libraries that a program or a library loads, by the name it asks for."""
    done = subprocess.run(["ldd", str(file)], check=False, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        name, arrow, place = line.strip().partition(" => ")
        found = place.split(" (")[0] if arrow else name.split(" (")[0]
        if found.startswith("/"):
            yield Path(name.split(" (")[0]).name, Path(found)


def copy(place: Path, root: Path) -> None:
    """Copy a file to the same place below `root`; links on the way become what they lead to."""
    target = root / place.parent.resolve().relative_to("/") / place.name
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy2(place, target)


def python(root: Path) -> None:
    """Copy the interpreter and its library; the environment gets a link to it."""
    interpreter = Path(sys.executable).resolve()
    copy(interpreter, root)
    library = Path(sysconfig.get_path("stdlib")).resolve()
    shutil.copytree(
        library,
        root / library.relative_to("/"),
        ignore=shutil.ignore_patterns(*NO_STDLIB),
        ignore_dangling_symlinks=True,
    )
    environment = Path(sys.prefix)
    shutil.copytree(environment, root / environment.relative_to("/"), symlinks=True)
    folder = root / environment.relative_to("/") / "bin"
    for file in folder.iterdir():
        if file.name.startswith(("python", "activate", "Activate")):
            file.unlink()
    for name in ("python", "python3", f"python{sys.version_info[0]}.{sys.version_info[1]}"):
        (folder / name).symlink_to(interpreter)


def libraries(root: Path) -> None:
    """Copy what Python and all packages load of the system."""
    programs = [Path("/", file.relative_to(root)) for file in root.rglob("*.so*")]
    programs.append(Path(sys.executable).resolve())
    found = {place for program in programs for _, place in loaded(program)}
    for place in sorted(found):
        if not place.is_relative_to(sys.prefix):
            copy(place, root)
    for place in list(found):  # glibc loads it when a thread ends
        for other in place.parent.glob("libgcc_s.so.1"):
            copy(other, root)
    for name in ("lib", "lib64", "bin", "sbin"):
        if Path("/", name).is_symlink() and not (root / name).exists():
            (root / name).symlink_to(Path("/", name).readlink())
    for place in (Path("/etc/ld.so.conf"), *Path("/etc/ld.so.conf.d").glob("*.conf")):
        copy(place, root)
    subprocess.run(["ldconfig", "-X", "-r", str(root)], check=True)


def system(root: Path) -> None:
    """Write users, folders, certificates and time zones."""
    etc = root / "etc"
    user = f"tcdatalogger:x:{UID}:{UID}:TCdatalogger:/data:/nonexistent\n"
    (etc / "passwd").write_text(f"root:x:0:0:root:/root:/nonexistent\n{user}")
    (etc / "group").write_text(f"root:x:0:\ntcdatalogger:x:{UID}:\n")
    (etc / "nsswitch.conf").write_text("hosts: files dns\npasswd: files\ngroup: files\n")
    copy(Path("/etc/os-release").resolve(), root)
    copy(Path("/etc/ssl/certs/ca-certificates.crt"), root)
    zones = Path("/usr/share/zoneinfo")
    shutil.copytree(
        zones,
        root / zones.relative_to("/"),
        symlinks=True,
        ignore=shutil.ignore_patterns("right", "posix", "leap*", "tzdata.zi"),
    )
    for name, mode in (("data", 0o700), ("tmp", 0o1777), ("run", 0o755), ("proc", 0o555),
                       ("sys", 0o555), ("dev", 0o755)):  # fmt: skip
        (root / name).mkdir(exist_ok=True)
        (root / name).chmod(mode)
    os.chown(root / "data", UID, UID)


def main() -> None:
    root = Path(sys.argv[1])
    packages = Path(sysconfig.get_path("purelib"))
    before = size(packages)
    slim(packages)
    strip(packages)
    print(f"packages: {before:.0f} MB, {size(packages):.0f} MB of them stay")
    python(root)
    libraries(root)
    system(root)
    # Nothing can be written there later, and no time of a file says more than its content.
    compileall.compile_dir(
        root,
        quiet=1,
        stripdir=str(root),
        prependdir="/",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    for folder in sorted(root.iterdir()):
        if not folder.is_symlink():
            print(f"{size(folder):7.1f} MB  /{folder.name}")


if __name__ == "__main__":
    main()
