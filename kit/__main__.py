"""`python -m kit start` opens the lessons in JupyterLab, `python -m kit test` runs the tests.

`test --all` runs also those that are slow by nature. What follows `test` is passed on to pytest.

`serve` starts one model for a whole class. `gather FOLDER` fetches everything for a class without a network;
`start --from FOLDER` and `serve --from FOLDER` install from there. `start --light` leaves torch out, and
`start --full` adds it.

All work on a bare Python: kit/environment.py makes the virtual environment `.venv` beside this package.
"""

import sys

# This file is valid in every Python from 3.6 on: those are refused here, before anything else is read.
if not (3, 11) <= sys.version_info[:2] <= (3, 15):
    sys.exit(
        f"The kit needs Python 3.11 to 3.15; this is {sys.version.split()[0]}. If you have one of those, "
        "name it: `python3.13 -m kit start`, on Windows `py -3.13 -m kit start`. Else see python.org."
    )

import argparse  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import subprocess  # noqa: E402
from functools import partial  # noqa: E402

from kit.classroom.gather import destination, use  # noqa: E402
from kit.environment import ROOT, environment  # noqa: E402

COMMANDS = {
    "start": ["-m", "jupyter", "lab", "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb"],
    "serve": ["-m", "kit.classroom.serve"],
    "gather": ["-m", "kit.classroom.gather"],
    # A notebook's cells belong together, and so do the tests of a file: each goes to one worker, in order.
    "test": ["-m", "pytest", "-n", "auto", "--maxprocesses=4", "--dist=loadscope", "--no-loadscope-reorder"],
}


def main() -> int:
    """Run one of the commands; whatever follows its name is passed on, but for the options of the set-up."""
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"Usage: python -m kit {'|'.join(COMMANDS)}")
    command, *arguments = sys.argv[1:]
    source, light = None, None
    if command in ("start", "serve"):
        options = argparse.ArgumentParser(prog=f"python -m kit {command}", add_help=False, allow_abbrev=False)
        options.add_argument("--from", dest="source", metavar="FOLDER")
        if command == "start":
            options.add_argument("--light", action="store_true", default=None)
            options.add_argument("--full", action="store_false", dest="light")
        known, arguments = options.parse_known_args(arguments)
        source, light = known.source and partial(use, known.source), getattr(known, "light", None)
    elif command == "gather":
        destination(arguments)  # stops here rather than after the set-up
    # Threads of torch that spin while they wait make a reply ten times slower beside a busy program; passive
    # ones cost up to 1.7 times on a machine that has nothing else to do (measured on 2 cores, Linux).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("PYTHONUTF8", "1")  # files that learners open are UTF-8 on Windows, too
    if command == "test":
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # the workers share the cores
        if "--all" in arguments:  # lifts the mark and the limit of pyproject.toml
            arguments.remove("--all")
            arguments += ["-m", "", "--timeout=900"]
    python = environment(command, source, light)
    program = subprocess.Popen([python, *COMMANDS[command], *arguments], cwd=ROOT)
    signal.signal(signal.SIGTERM, lambda *_: program.terminate())  # whoever ends this ends the program, too
    while True:
        try:
            return program.wait()
        except KeyboardInterrupt:  # Ctrl-C reached the program too: it ends in its own way
            continue


if __name__ == "__main__":
    sys.exit(main())
