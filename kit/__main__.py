"""`python -m kit start` opens the lessons in JupyterLab, `python -m kit test` runs the tests.

`test --all` runs also those that are slow by nature. What follows `test` is passed on to pytest.

`serve` starts one model for a whole class. `gather FOLDER` fetches everything for a class without a network;
`start --from FOLDER` and `serve --from FOLDER` install from there.

All work on a bare Python: they make the virtual environment `.venv` beside this package and install
requirements.txt into it, for `test` also what only the tests need: once, and again only after a file changed.
"""

import argparse
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from kit.classroom.gather import ADAPTERS, destination, use
from kit.models import NAME, models_folder

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv"
FILES = dict.fromkeys(("start", "serve", "gather"), ["requirements.txt"])
FILES["test"] = [*FILES["start"], "tests/requirements.txt", ADAPTERS, "notebooks/classroom/requirements.txt"]
COMMANDS = {
    "start": ["-m", "jupyter", "lab", "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb"],
    "serve": ["-m", "kit.classroom.serve"],
    "gather": ["-m", "kit.classroom.gather"],
    # A notebook's cells belong together, and so do the tests of a file: each goes to one worker, in order.
    "test": ["-m", "pytest", "-n", "auto", "--maxprocesses=4", "--dist=loadscope", "--no-loadscope-reorder"],
}


def main() -> int:
    """Run one of the commands; whatever follows its name is passed on, but for the set-up's `--from`."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs before anything is installed
        sys.exit(f"The kit needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"Usage: python -m kit {'|'.join(COMMANDS)}")
    command, *arguments = sys.argv[1:]
    source = ""
    if command in ("start", "serve"):
        options = argparse.ArgumentParser(prog=f"python -m kit {command}", add_help=False, allow_abbrev=False)
        options.add_argument("--from", dest="source", metavar="FOLDER", default="")
        known, arguments = options.parse_known_args(arguments)
        source = known.source
    elif command == "gather":
        destination(arguments)  # stops here rather than after the set-up
    # Threads of torch that spin while they wait make a reply ten times slower beside a busy program; passive
    # ones cost up to 1.7 times on a machine that has nothing else to do (measured on 2 cores, Linux).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if command == "test":
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # the workers share the cores
        if "--all" in arguments:  # lifts the mark and the limit of pyproject.toml
            arguments.remove("--all")
            arguments += ["-m", "", "--timeout=900"]
    program = subprocess.Popen([environment(command, source), *COMMANDS[command], *arguments], cwd=ROOT)
    while True:
        try:
            return program.wait()
        except KeyboardInterrupt:  # Ctrl-C reached the program too: it ends in its own way
            continue


def environment(command: str, source: str = "") -> str:
    """Return the Python of the kit's virtual environment, made and filled for a command if need be.

    With `source`, a gathered folder or its address, everything comes from there, what lesson 09 needs and the
    model included; where all is there already, the source need not be.
    """
    python = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = {}  # what each stamp is to hold after the file that it stands for was installed
    options = []
    for file in [*FILES[command], *([ADAPTERS] if source else [])]:
        # The root is part of it: a folder that was moved or copied needs its environment anew.
        digest = hashlib.sha256((ROOT / file).read_bytes() + str(ROOT).encode()).hexdigest()
        stamp = ENVIRONMENT / f"kit-{file.removesuffix('.txt').replace('/', '-')}.sha256"
        if not (python.exists() and stamp.is_file() and stamp.read_text() == digest):
            wanted[stamp] = digest
            options += ["-r", file]
    # A test of nbval compares outputs: the first download of the model is not to be among those of lesson 00.
    fetch = not (models_folder() / NAME).is_dir() and (source or command == "test")
    if not (wanted or fetch):
        return str(python)
    try:
        settings = {**os.environ, **(use(source) if source else {})}
        if "requirements.txt" in options:
            print("Setting up .venv: about 2 GB and a few minutes, this once.", flush=True)
            subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        if wanted:
            install = [str(python), "-m", "pip", "install", *options]
            subprocess.run(install, check=True, cwd=ROOT, env=settings)
        for stamp, digest in wanted.items():
            stamp.write_text(digest)
        if fetch:
            model = [str(python), "-c", "import kit; kit.local_model()"]
            subprocess.run(model, check=bool(source), cwd=ROOT, env=settings)
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"Set-up stopped: {' '.join(map(str, error.cmd[1:4]))} failed, see above. Fix that and run this "
            "again. (If it was `venv`: on Debian and Ubuntu, `sudo apt install python3-venv`.)"
        )
    except KeyboardInterrupt:
        sys.exit("Set-up interrupted. Run this again to go on.")
    return str(python)


if __name__ == "__main__":
    sys.exit(main())
