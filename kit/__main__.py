"""`python -m kit start` opens the lessons in JupyterLab, `python -m kit test` runs every test.

Both work on a bare Python: they make the virtual environment `.venv` beside this package and install
requirements.txt into it, once, and again only after that file changed.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv"
COMMANDS = {
    "start": ["-m", "jupyter", "lab", "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb"],
    "test": ["-m", "pytest"],
}


def main() -> int:
    """Run one of the commands; whatever follows its name is passed on to JupyterLab or pytest."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file runs before anything is installed
        sys.exit(f"The kit needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"Usage: python -m kit {'|'.join(COMMANDS)}")
    program = subprocess.Popen([environment(), *COMMANDS[sys.argv[1]], *sys.argv[2:]], cwd=ROOT)
    while True:
        try:
            return program.wait()
        except KeyboardInterrupt:  # Ctrl-C reached the program too: it ends in its own way
            continue


def environment() -> str:
    """Return the Python of the kit's virtual environment, made and filled if need be."""
    python = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    requirements = ROOT / "requirements.txt"
    # The root is part of it: a folder that was moved or copied needs its environment anew.
    wanted = hashlib.sha256(requirements.read_bytes() + str(ROOT).encode()).hexdigest()
    stamp = ENVIRONMENT / "kit-requirements.sha256"
    if stamp.is_file() and stamp.read_text() == wanted and python.exists():
        return str(python)
    print("Setting up .venv: about 2 GB and a few minutes, this once.", flush=True)
    try:
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-r", str(requirements)], check=True, cwd=ROOT)
    except subprocess.CalledProcessError as error:
        sys.exit(
            f"Set-up stopped: {' '.join(map(str, error.cmd[1:4]))} failed, see above. Mend that and run this "
            "again. (If it was `venv`: on Debian and Ubuntu, `sudo apt install python3-venv`.)"
        )
    except KeyboardInterrupt:
        sys.exit("Set-up interrupted. Run this again to go on.")
    stamp.write_text(wanted)
    return str(python)


if __name__ == "__main__":
    sys.exit(main())
