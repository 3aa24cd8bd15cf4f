"""A class without a network: `python -m kit gather FOLDER`, and on each laptop `start --from FOLDER`.

The folder is for a stick, or for a web server in the room. It holds wheels for one or more kinds of machines:
a wheel is made for a system, a processor and a version of Python. Options, checks and `use` run before
anything is installed, so this module imports the standard library alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import sys
import sysconfig
import urllib.request
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kit.environment import ADAPTERS, FULL, HUB, UV, text_of
from kit.files import print_anywhere, write_atomically
from kit.models import WHEEL_REQUIREMENT

ROOT = Path(__file__).resolve().parents[2]
BUILD = ["hatchling", "editables"]  # pip builds the kit itself with these
SLIDES = "sphinx-revealjs==3.2.1"  # without what it depends on, as the slides take it
CONTENTS = "gathered.json"  # written last: a folder without it is not complete
PYTHONS = [f"3.{minor}" for minor in range(11, 16)]
PYTHON = f"3.{sys.version_info.minor}"
# What `--for` takes: the newest tag of wheels for such machines, and their name for uv. llguidance needs
# glibc 2.31, torch macOS 14; torch has no wheels for Intel Macs, which get all the others.
KINDS = {
    "windows": ("win_amd64", "x86_64-pc-windows-msvc"),
    "macos": ("macosx_14_0_arm64", "aarch64-apple-darwin"),
    "macos-intel": ("macosx_13_0_x86_64", "x86_64-apple-darwin"),
    "linux": ("manylinux_2_31_x86_64", "x86_64-manylinux_2_31"),
    "linux-arm": ("manylinux_2_31_aarch64", "aarch64-manylinux_2_31"),
}
OTHER_KIT = "it is for another version of the kit. Use the kit.zip in it, or gather again."
READ_ME = """The kit and all that it needs, gathered for
{kinds}

Unpack kit.zip to where the kit will stay: "Extract all" on Windows and a double click on macOS make a folder
`kit`, on Linux it is `unzip kit.zip -d kit`. Open a terminal in that folder, and type

    python3 -m kit start --from FOLDER

where FOLDER is the folder of this file (on Windows, py -m kit start --from FOLDER). After that neither this
folder nor a network is needed: python3 -m kit start. A laptop without Python: see the folder `python`.

To hand all of it out over a local network instead, type in the folder of this file

    python3 -m http.server 8765

Then kit.zip is at http://TEACHER:8765/, and that address takes the place of FOLDER; TEACHER is the address
of this machine.
"""
INSTALLERS = """Laptops without Python need its installer. Fetch it from python.org/downloads and put it here;
x stands for the newest that is there.

Windows  python-{python}.x-amd64.exe (the 64-bit one for Intel and AMD; take it on ARM as well)
macOS    python-{python}.x-macos11.pkg (universal2)
Linux    none: install python3 and python3-venv with the system's own means
"""
ONE_TOO_HIGH = 'import sys\n\nsys.exit("You are one folder too high: type `cd kit`, and the same again.")\n'


def destination(arguments: list[str]) -> argparse.Namespace:
    """Return what is to be gathered or checked, and where; stop in words where that can't be."""
    parser = argparse.ArgumentParser(prog="python -m kit gather", allow_abbrev=False)
    parser.add_argument("folder", metavar="FOLDER", type=_folder)
    names = ",".join(KINDS)
    parser.add_argument("--for", dest="kinds", metavar="KINDS", type=_kinds, help=f"one or more of {names}")
    parser.add_argument(
        "--python", dest="pythons", metavar="3.11-3.14", type=_pythons, default=[PYTHON],
        help="one version of Python or some (this one)",
    )  # fmt: skip
    parser.add_argument("--hub", action="store_true", help="JupyterHub's packages, too")
    parser.add_argument("--check", action="store_true", help="only say whether what was gathered is whole")
    asked = parser.parse_args(arguments)
    system, processor, _ = machine()
    asked.kinds = asked.kinds or [
        name for name, (tag, _) in KINDS.items() if parts(tag)[:2] == (system, processor)
    ]
    if not asked.kinds:
        parser.error(f"there are no wheels for {system} on {processor}. Name other machines: --for {names}")
    if asked.folder.is_relative_to(ROOT):
        sys.exit(f"{asked.folder} lies within the kit. Name a folder outside of it, on a stick for instance.")
    try:
        if not asked.check:
            asked.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"Can't make the folder {asked.folder}: {error.strerror}.")
    return asked


def _kinds(text: str) -> list[str]:
    if unknown := set(text.split(",")) - KINDS.keys():
        raise argparse.ArgumentTypeError(f"{min(unknown)!r} is none of {', '.join(KINDS)}")
    return text.split(",")


def _pythons(text: str) -> list[str]:
    first, _, last = text.partition("-")
    with suppress(ValueError):
        if pythons := PYTHONS[PYTHONS.index(first) : PYTHONS.index(last or first) + 1]:
            return pythons
    raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(PYTHONS)}, nor some as in 3.11-3.14")


# Gathering


def gather(folder: Path, kinds: list[str], pythons: list[str], hub: bool = False) -> None:
    """Fetch the wheels for some kinds of machines and versions of Python, the model's too, and pack the kit.

    What was gathered here for others stays, and what is there is not fetched again.

    Raises:
        OSError: something can't be found, fetched or written, for instance because the disk is full.
    """
    there = _contents(str(folder))
    if isinstance(there, str):
        there = {"requirements": "", "hub": False, "kinds": [], "files": {}}
    old = [(kind["kind"], kind["python"]) for kind in there["kinds"]]
    wanted = list(dict.fromkeys([*old, *((kind, python) for kind in kinds for python in pythons)]))
    hub, is_new = hub or there["hub"], hub > there["hub"] or wanted != old
    gathered, files = there["kinds"], there["files"]
    if is_new or there["requirements"] != _requirements() or _wrong(folder, files):
        from kit.classroom import wheels

        found = wheels.gather(folder / "wheels", wanted, hub)
        files = {f"wheels/{wheel.name}": [wheel.size, wheel.sha256] for _, its in found for wheel in its}
        gathered = [
            {"kind": kind, "platform": tag, "python": python, "wheels": sorted(wheel.name for wheel in its)}
            for (kind, python), (tag, its) in zip(wanted, found, strict=True)
        ]
    _pack_kit(folder / "kit.zip")
    files["kit.zip"] = [(folder / "kit.zip").stat().st_size, digest(folder / "kit.zip")]
    (folder / "python").mkdir(exist_ok=True)
    (folder / "python" / "WHICH.txt").write_text(INSTALLERS.format(python=wanted[-1][1]), encoding="utf-8")
    (folder / "READ_ME.txt").write_text(READ_ME.format(kinds=_described(gathered)), encoding="utf-8")
    contents = {"requirements": _requirements(), "hub": hub, "kinds": gathered, "files": files}
    write_atomically(folder / CONTENTS, json.dumps(contents, indent=1), private=False)
    for file in (folder / "wheels").iterdir():  # of an older version of the kit, or of a run that was killed
        if f"wheels/{file.name}" not in files:
            file.unlink()
    size = sum(size for size, _ in files.values()) / 1e6
    print(f"✔ {folder} is ready: {len(files) - 1} wheels and the kit, {size:,.0f} MB, for")
    print(f"{_described(gathered)}\nIts READ_ME.txt says how to go on, python/WHICH.txt what to add.")


def check(folder: Path) -> None:
    """Say whether each file of a gathered folder is as it was gathered; stop in words if one is not."""
    contents = _contents(str(folder))
    if isinstance(contents, str):
        sys.exit(f"✘ {contents}")
    for name in (wrong := _wrong(folder, contents["files"])):
        print(f"✘ {name} is {'damaged' if (folder / name).exists() else 'missing'}.")
    if wrong:
        sys.exit("Copy what is named here again, or gather again: no more than that is fetched.")
    print(f"✔ All {len(contents['files'])} files are whole, for\n{_described(contents['kinds'])}")


def _wrong(folder: Path, files: dict[str, list[Any]]) -> list[str]:
    """Return which of some files are not there as they were gathered."""
    wrong = []
    for name, (_, sha256) in files.items():
        try:
            whole = digest(folder / name) == sha256
        except OSError:  # not there; or a stick that is worn out
            whole = False
        wrong += [] if whole else [name]
    return wrong


def digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _pack_kit(target: Path) -> None:
    """Pack the kit's own folder, but for what .gitignore names: config lists with keys, models, caches.

    Whoever unpacks it gets a folder `kit`. In the folder above, Python takes that one for the package: its
    `__main__.py`, which is in the archive alone, says so.
    """
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    ignored = [".git", *(Path(line).name for line in lines if line and not line.startswith("#"))]
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        archive.writestr("__main__.py", ONE_TOO_HIGH)
        for place, folders, files in os.walk(ROOT):
            kept = [name for name in (*folders, *files) if not any(fnmatch(name, what) for what in ignored)]
            folders[:] = [name for name in folders if name in kept]
            for file in sorted(set(files) & set(kept)):
                path = Path(place, file)
                archive.write(path, path.relative_to(ROOT))
    part.replace(target)


# Setting up from what was gathered


def use(source: str) -> dict[str, str]:
    """Return pip's settings for taking everything from a gathered folder, or from its address.

    Stops the program with one line if the folder is not complete, or made for other machines or another
    version of the kit.
    """
    contents = _contents(source)
    if why := contents if isinstance(contents, str) else _why_not(source, contents):
        sys.exit(f"Can't set up from {source}: {why}")
    if _is_address(source):
        links, host = f"{source.rstrip('/')}/wheels/", urlsplit(source).hostname or ""
        return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": links, "PIP_TRUSTED_HOST": host}
    # An address, in which blanks are %20: pip splits the value at blanks.
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": f"{(_folder(source) / 'wheels').as_uri()}/"}


def _is_address(source: str) -> bool:
    return urlsplit(source).scheme in ("http", "https")


def _folder(source: str) -> Path:
    return Path(source).expanduser().resolve()


def _contents(source: str) -> dict[str, Any] | str:
    """Return what a gathered folder, or its address, is said to hold; in words why that can't be read."""
    try:
        if _is_address(source):
            with urllib.request.urlopen(f"{source.rstrip('/')}/{CONTENTS}", timeout=10) as file:
                contents = json.load(file)
        else:
            contents = json.loads((_folder(source) / CONTENTS).read_text(encoding="utf-8"))
        return contents if "kinds" in contents else OTHER_KIT
    except (OSError, ValueError) as error:
        return (
            f"{CONTENTS} can't be read there ({error}). Name the folder that was gathered, or its address "
            "while its server runs; if gathering was interrupted, run it again."
        )


def _why_not(source: str, contents: dict[str, Any]) -> str:
    """Return in words why this machine can't be set up from what a folder holds, or nothing."""
    if contents["requirements"] != _requirements():
        return OTHER_KIT
    system, processor, version = machine()
    here, kinds = (system, processor, f"Python {PYTHON}"), contents["kinds"]
    hints = [
        "Gather with `--for`",
        "Gather with `--for`",
        "Start it with such a Python, or gather with `--python`",
    ]
    for place, hint in enumerate(hints):
        there = [(*parts(kind["platform"])[:2], f"Python {kind['python']}")[place] for kind in kinds]
        kinds = [kind for kind, what in zip(kinds, there, strict=True) if what == here[place]]
        if not kinds:
            this = " ".join(here[: place + 1]) if place < 2 else here[place]
            return f"it is for {_listed(there)}, and this is {this}. {hint}."
    if version < (least := parts(kinds[0]["platform"])[2]):
        what, has = "glibc" if system == "Linux" else system, ".".join(map(str, version)) or "none"
        return f"its wheels need {what} {least[0]}.{least[1]}, and here it is {has}. Use a newer {system}."
    for name in [] if _is_address(source) else kinds[0]["wheels"]:
        wheel = _folder(source) / "wheels" / name
        if not wheel.is_file() or wheel.stat().st_size != contents["files"][f"wheels/{name}"][0]:
            return f"{name} is missing or cut short. Copy or gather it again."
    return ""


def machine() -> tuple[str, str, tuple[int, ...]]:
    """Return system, processor, and version of macOS or glibc, as the tags of wheels name them."""
    if sys.platform == "win32":  # on ARM, Python may be one for the other processor
        return "Windows", sysconfig.get_platform().removeprefix("win-"), ()
    processor = platform.machine() if sys.maxsize > 2**32 else f"{platform.machine()} (a 32-bit Python)"
    if sys.platform == "darwin":
        return "macOS", processor, tuple(map(int, platform.mac_ver()[0].split(".")[:2]))
    library, version = platform.libc_ver()
    return "Linux", processor, tuple(map(int, version.split(".")[:2])) if library == "glibc" else ()


def parts(tag: str) -> tuple[str, str, tuple[int, ...]]:
    """Return what the tag of a wheel's platform means: system, processor, and least macOS or glibc."""
    found = re.fullmatch(r"(win|macosx|manylinux)(?:_(\d+)_(\d+))?_(\w+)", tag)
    if not found:
        return "", "", ()
    system = {"win": "Windows", "macosx": "macOS", "manylinux": "Linux"}[found[1]]
    return system, found[4], (int(found[2]), int(found[3])) if found[2] else ()


def _described(kinds: list[dict[str, Any]]) -> str:
    """Return some kinds of machines in words, a line for each."""
    lines = []
    for tag in dict.fromkeys(kind["platform"] for kind in kinds):
        system, processor, version = parts(tag)
        least = {"Linux": " with glibc {}.{} or newer", "macOS": " {}.{} or newer"}.get(system, "").format(
            *version
        )
        pythons = _listed(kind["python"] for kind in kinds if kind["platform"] == tag)
        lines.append(f"- {system}{least} ({processor}), Python {pythons}")
    return "\n".join(lines)


def _listed(words: Iterable[str]) -> str:
    return re.sub(", (?!.*,)", " and ", ", ".join(sorted(set(words))))


def _requirements() -> str:
    """Return a digest of all that is installed from the folder."""
    texts = [*map(text_of, (FULL, ADAPTERS, HUB)), *BUILD, UV, WHEEL_REQUIREMENT, SLIDES]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def main() -> None:
    print_anywhere()
    asked = destination(sys.argv[1:])
    try:
        if asked.check:
            check(asked.folder)
        else:
            gather(asked.folder, asked.kinds, asked.pythons, asked.hub)
    except KeyboardInterrupt:
        sys.exit("Interrupted. Run this again to go on.")
    except OSError as error:
        sys.exit(f"✘ Gathering stopped: {error}\nFix that and run this again: what is there is kept.")


if __name__ == "__main__":
    main()
