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
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kit.models import NAME, WHEEL_REQUIREMENT, local_model, models_folder

ROOT = Path(__file__).resolve().parents[2]
ADAPTERS = "kit/adapters/requirements.txt"  # lesson 09
PINNED = ["requirements.txt", ADAPTERS]
BUILD = ["hatchling", "editables"]  # pip builds the kit itself with these
ALONE = [WHEEL_REQUIREMENT, "sphinx-revealjs==3.2.1"]  # without what they depend on: the model, the slides
CONTENTS = "gathered.json"  # written last: a folder without it is not complete
ROOM = 1_000_000_000  # bytes
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
    free = shutil.disk_usage(folder).free
    if free < ROOM and not (folder / CONTENTS).is_file():
        sys.exit(
            f"{folder} has {free / 1e9:.1f} GB free, and this takes {ROOM / 1e9:.0f} GB. Make room there."
        )
    return folder


def gather(folder: Path) -> None:
    """Fetch all wheels and the model into a folder, and pack the kit; what is there is not fetched again.

    Raises:
        subprocess.CalledProcessError: pip failed, and has said why.
        kit.models.ModelDownloadError: the model could not be fetched.
        OSError: a file can't be written, for instance because the disk is full.
    """
    _clear(folder.glob(".fetching-*"))
    if _why_not(folder):
        (folder / CONTENTS).unlink(missing_ok=True)
        _fetch_wheels(folder)
        _copy(Path(local_model()).resolve(), folder / "models" / NAME)
    _pack_kit(folder)
    (folder / "READ_ME.txt").write_text(READ_ME.format(**machine()), encoding="utf-8")
    files = {f"{name}/{file}": size for name in ("wheels", "models") for file, size in _sizes(folder / name)}
    contents = {"for": machine(), "requirements": _requirements(), "files": files}
    (folder / CONTENTS).write_text(json.dumps(contents, indent=1), encoding="utf-8")
    sizes = [size for _, size in _sizes(folder)]
    size = f"{len(sizes)} files, {sum(sizes) / 1e6:,.0f} MB"
    print(f"✔ {folder} is ready: {size}. Its READ_ME.txt says how to go on.")


def _fetch_wheels(folder: Path) -> None:
    """Let pip fetch into a folder of its own, and move each wheel when all are whole.

    Wheels that lie there already are taken before those of the index, PyTorch's CPU build for instance.
    """
    wheels = folder / "wheels"
    wheels.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as temporary:
        work = Path(temporary)
        # Without `-e .`: pip would pack all of this folder, environment and keys included.
        lines = [line for file in PINNED for line in (ROOT / file).read_text(encoding="utf-8").splitlines()]
        pinned = work / "pinned.txt"
        pinned.write_text("\n".join(line for line in lines if not line.startswith("-e")), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check"]
        command += ["--only-binary=:all:", "--find-links", str(wheels), "--dest", str(work / "wheels")]
        torch = importlib.metadata.version("torch")
        if torch.endswith("+cpu") and not list(wheels.glob(f"torch-{torch}-*")):
            if subprocess.run([*command, "--no-deps", f"torch=={torch}"]).returncode:
                raise RuntimeError(
                    f"pip finds no torch {torch}, PyTorch's CPU build, which is installed here. Put its "
                    f"wheel into {wheels}, or name the index that has it in PIP_EXTRA_INDEX_URL"
                )
            command += ["--find-links", str(work / "wheels")]
        subprocess.run([*command, "-r", str(pinned), *BUILD], check=True)  # one answer for one environment
        subprocess.run([*command, "--no-deps", *ALONE], check=True)
        for wheel in (work / "wheels").iterdir():
            os.replace(wheel, wheels / wheel.name)


def _pack_kit(folder: Path) -> None:
    """Pack the kit's own folder, but for what .gitignore names: config lists with keys, models, caches."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    ignored = [".git", *(Path(line).name for line in lines if line and not line.startswith("#"))]
    part = folder / ".fetching-kit.zip"
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for place, folders, files in os.walk(ROOT):
            kept = [name for name in (*folders, *files) if not any(fnmatch(name, what) for what in ignored)]
            folders[:] = [name for name in folders if name in kept]
            for file in sorted(set(files) & set(kept)):
                path = Path(place, file)
                archive.write(path, Path("kit") / path.relative_to(ROOT))
    os.replace(part, folder / "kit.zip")


# Setting up from what was gathered


def use(source: str) -> dict[str, str]:
    """Return pip's settings for taking everything from a gathered folder, or from its address.

    The model of a folder is copied into place. Stops the program with one line if the folder is not
    complete, or made for another kind of machine or other versions of the packages.
    """
    address = urlsplit(source)
    remote = address.scheme in ("http", "https")
    if remote:
        source = source.rstrip("/")
        try:
            with urllib.request.urlopen(f"{source}/{CONTENTS}", timeout=10) as file:
                why = _why_not_this(json.load(file))
        except (OSError, ValueError) as error:
            why = f"{CONTENTS} can't be read there ({error}). Is the address right, does the server run?"
        settings = {"PIP_FIND_LINKS": f"{source}/wheels/", "PIP_TRUSTED_HOST": address.hostname or ""}
    else:
        folder = Path(source).expanduser().resolve()
        why = _why_not(folder)
        # An address, in which blanks are %20: pip splits the value at blanks.
        settings = {"PIP_FIND_LINKS": f"{(folder / 'wheels').as_uri()}/"}
    if why:
        sys.exit(f"Can't set up from {source}: {why}")
    if not remote:
        try:
            if not (models_folder() / NAME).is_dir():  # one that is there may be in use
                _copy(folder / "models" / NAME, models_folder() / NAME)
        except OSError as error:
            sys.exit(f"Can't copy the model to {models_folder()}: {error}")
    return {"PIP_NO_INDEX": "1", **settings}


def machine() -> dict[str, str]:
    """Return what a wheel depends on."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"system": platform.system(), "processor": platform.machine(), "python": python}


def _why_not(folder: Path) -> str:
    """Return why a folder is not whole and for a machine like this one, or nothing."""
    if not folder.is_dir():
        return "there is no such folder."
    try:
        contents = json.loads((folder / CONTENTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return (
            f"it has no {CONTENTS}, which `python3 -m kit gather` writes when all is there. Name the folder "
            "that was gathered; if gathering was interrupted, run it again."
        )
    if why := _why_not_this(contents):
        return why
    there = dict(_sizes(folder))
    missing = [name for name, size in contents["files"].items() if there.get(name) != size]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        return f"{missing[0]}{more} is missing or cut short. Copy the folder again, or gather again."
    return ""


def _why_not_this(contents: dict[str, Any]) -> str:
    """Return why what was gathered, whole or not, is not for here, or nothing."""
    if contents["for"] != machine():
        there, here = (" ".join(kind.values()) for kind in (contents["for"], machine()))
        return f"it is for {there}, and this is {here}. Gather on a machine like this one."
    if contents["requirements"] != _requirements():
        return "it is for another version of the kit. Use the kit.zip in it, or gather again."
    return ""


def _requirements() -> str:
    """Return a digest of all that is installed from the folder."""
    texts = [(ROOT / file).read_text(encoding="utf-8") for file in PINNED]
    return hashlib.sha256("\n".join([*texts, *BUILD, *ALONE]).encode()).hexdigest()


# Files


def _sizes(folder: Path) -> list[tuple[str, int]]:
    """Return the files under a folder, by their path in it, and their sizes."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return sorted((file.relative_to(folder).as_posix(), file.stat().st_size) for file in files)


def _copy(source: Path, target: Path) -> None:
    """Copy a folder in one step: where the target is, it is complete."""
    if target.is_dir():
        if _sizes(target) == _sizes(source):
            return
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    _clear(target.parent.glob(".copying-*"))
    print(f"Copying {source.name} to {target.parent} ...", flush=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".copying-") as temporary:
        # Bytes alone: the file system of a stick has no rights to copy, or odd ones.
        shutil.copytree(source, Path(temporary) / source.name, copy_function=shutil.copyfile)
        os.replace(Path(temporary) / source.name, target)


def _clear(left_overs: Iterable[Path]) -> None:
    """Remove what a copy or a download that was killed has left."""
    for left_over in left_overs:
        shutil.rmtree(left_over) if left_over.is_dir() else left_over.unlink()


def main() -> None:
    folder = destination(sys.argv[1:])
    try:
        gather(folder)
    except KeyboardInterrupt:
        sys.exit("Interrupted. Run this again to go on.")
    except (subprocess.CalledProcessError, OSError, RuntimeError) as error:
        why = "pip failed, see above" if isinstance(error, subprocess.CalledProcessError) else str(error)
        sys.exit(f"✘ Gathering stopped: {why.rstrip('.')}. Fix that and run this again.")


if __name__ == "__main__":
    main()
