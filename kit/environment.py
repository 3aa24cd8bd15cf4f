"""The virtual environment `.venv` beside this package: made once, filled from the requirement files.

Everything here runs on a bare Python, before anything is installed, so it imports the standard library alone.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kit.models import NAME, START, models_folder, no_torch

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv"
FULL, LIGHT = "requirements.txt", "kit/requirements.txt"  # with a model on this machine, and without
ADAPTERS = "kit/adapters/requirements.txt"  # lesson 09
HUB = "notebooks/classroom/requirements.txt"  # JupyterHub
FOR_TESTS = ["tests/requirements.txt", ADAPTERS, HUB]
SIZES = {FULL: "about 2 GB", LIGHT: "0.3 GB, without torch"}
UV = "uv==0.13.9"  # it installs several times as fast as pip
LONGEST = 170  # characters of the longest path in site-packages, a licence deep inside of torch
WITHOUT_TORCH = """This set-up has no torch: {why}
Lessons 01, 02, 03 and 05 need none, and 06 to 10 can ask a class's model.{how}"""


def environment(
    command: str, source: Callable[[], dict[str, str]] | None = None, light: bool | None = None
) -> str:
    """Return the Python of the kit's virtual environment, made and filled for a command if need be.

    With `source`, which returns pip's settings for a gathered folder, everything comes from there, what
    lesson 09 needs and the model included; it is called where something is missing. `light` leaves torch out;
    None keeps to what is there, and takes torch where it has wheels for this machine.

    Raises:
        SystemExit: the set-up was interrupted, or failed; one line says why, and names the log.
    """
    python = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    why = no_torch()
    if why and command in ("serve", "test"):
        sys.exit(f"`kit {command}` needs torch for a model on this machine: {why}")
    if light is None:
        chosen = command == "start" and _is_done(LIGHT) and not _is_done(FULL)
        light = bool(why) or command == "gather" or chosen
    files = [LIGHT if light else FULL, *(FOR_TESTS if command == "test" else [ADAPTERS] if source else [])]
    wanted = [file for file in files if not (python.exists() and _is_done(file))]
    # A test of nbval compares outputs: the first download of the model is not to be among those of lesson 00.
    fetch = not (light or (models_folder() / NAME).is_dir()) and (bool(source) or command == "test")
    if wanted or fetch:
        _refuse_long_paths()
        try:
            _fill(python, wanted, source() if source else {}, fetch)
        except KeyboardInterrupt:
            sys.exit("\nSet-up interrupted. Run this again to go on.")
    if light and command == "start":
        how = "" if why else f" `{START} --full` adds it: about 2 GB."
        print(WITHOUT_TORCH.format(why=why or "it was started with --light.", how=how))
    return str(python)


def _refuse_long_paths() -> None:
    """Stop where the paths of an environment would be too long for Windows, before anything is installed."""
    length = len(str(ENVIRONMENT / "Lib/site-packages")) + 1 + LONGEST
    if os.name == "nt" and length >= 260 and not _takes_long_paths():
        sys.exit(
            f"The folder of the kit is too deep: with it, paths get {length} characters long, and Windows "
            "takes 259. Move it near the top of a drive, for example to C:\\kit."
        )


def _takes_long_paths() -> bool:
    import winreg

    try:
        name = r"SYSTEM\CurrentControlSet\Control\FileSystem"
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, name) as key:  # type: ignore[attr-defined]
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])  # type: ignore[attr-defined]
    except OSError:
        return False


# What is installed ----------------------------------------------------------------------------


def text_of(file: str) -> str:
    """Return the text of a requirement file, with those that it reads."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    return "\n".join(text_of(line[3:].strip()) if line.startswith("-r ") else line for line in lines)


def _stamp(file: str) -> Path:
    return ENVIRONMENT / f"kit-{file.removesuffix('.txt').replace('/', '-')}.sha256"


def _digest(file: str) -> str:
    # The root is part of it: a folder that was moved or copied needs its environment anew.
    return hashlib.sha256((text_of(file) + str(ROOT)).encode()).hexdigest()


def _is_done(file: str) -> bool:
    return _stamp(file).is_file() and _stamp(file).read_text() == _digest(file)


def _fill(python: Path, files: list[str], settings: dict[str, str], fetch: bool) -> None:
    """Make the environment and install what some requirement files name, and fetch the model."""
    log = ENVIRONMENT / "setup.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("", encoding="utf-8")
    env = {**os.environ, **settings}
    if not python.exists() or FULL in files or LIGHT in files:
        what = "Making .venv"
        if not _run(what, [sys.executable, "-m", "venv", str(ENVIRONMENT)], log, env):
            _stop(log, what, "On Debian and Ubuntu, `sudo apt install python3-venv`.")
    if files:
        what = f"Installing {next((size for file, size in SIZES.items() if file in files), ', '.join(files))}"
        options = [option for file in files for option in ("-r", file)]
        commands = [*_with_uv(python, FULL in files, log, env), [str(python), "-m", "pip", "install"]]
        if not any(_run(what, [*command, *options], log, env) for command in commands):
            _stop(log, what, "Without a network, see `--from` in notebooks/INSTRUCTOR.md.")
    for file in [*files, *([LIGHT] if FULL in files else [])]:
        _stamp(file).write_text(_digest(file))
    if fetch:
        model = [str(python), "-c", "import kit; kit.local_model()"]
        done = subprocess.run(model, check=False, cwd=ROOT, env=env)
        # From a stick nothing is fetched later; without one, the lessons tell.
        if settings and done.returncode:
            sys.exit("Set-up stopped: the model can't be had from there, see above. Then run this again.")


def _with_uv(python: Path, torch: bool, log: Path, env: dict[str, str]) -> list[list[str]]:
    """Return the commands by which uv installs, none where it can't be had.

    With `torch`, the first of them takes the build for this machine from PyTorch's own index: without an
    NVIDIA card, the plain wheel of Linux brings gigabytes of CUDA along. Where that index can't be reached,
    the second one is left.
    """
    if not _run("Fetching uv", [str(python), "-m", "pip", "install", UV], log, env):
        return []
    install = [str(python), "-m", "uv", "pip", "install", "--python", str(python)]
    env.update(as_uv_has_it(python, env))
    if env.get("UV_NO_INDEX"):  # uv has it as an option alone
        install.append("--no-index")
    if torch and sys.platform == "linux" and not {"UV_NO_INDEX", "UV_FIND_LINKS"} & env.keys():
        return [[*install, "--torch-backend", "auto"], install]
    return [install]


def as_uv_has_it(python: Path, env: dict[str, str]) -> dict[str, str]:
    """Return where packages come from, by pip's files and the environment, as settings of uv."""
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "find-links": "UV_FIND_LINKS",
        "no-index": "UV_NO_INDEX",
        "trusted-host": "UV_INSECURE_HOST",
        "constraint": "UV_CONSTRAINT",
        "cert": "SSL_CERT_FILE",
        "proxy": "ALL_PROXY",
    }
    command = [str(python), "-m", "pip", "config", "list"]
    listed = subprocess.run(command, env=env, capture_output=True, encoding="utf-8", errors="replace")
    # As pip: the newest of all indexes, and the certificates of this machine.
    found = {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_SYSTEM_CERTS": "1"}
    for line in listed.stdout.splitlines():  # global.find-links='/opt/wheels'; those of the environment first
        place, _, value = line.partition("=")
        name = names.get(place.rpartition(".")[2])
        if name and name not in env:
            found.setdefault(name, value.strip("'"))
    return found


# Showing it -----------------------------------------------------------------------------------


def _run(what: str, command: list[str], log: Path, env: dict[str, str]) -> bool:
    """Run a command, its output into a log, while one line tells the time; return whether it worked."""
    began, shows = time.monotonic(), sys.stdout.isatty()
    with log.open("a", encoding="utf-8") as file:
        print("$", *command, file=file, flush=True)
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, env=env)
        try:
            print(f"{what} ...", end="" if shows else "\n", flush=True)
            while process.poll() is None:
                time.sleep(0.2)
                if shows:
                    print(f"\r{what} ... {time.monotonic() - began:.0f} s ", end="", flush=True)
        finally:
            process.kill()
            process.wait()
    print(f"{what}: {time.monotonic() - began:.0f} s" if not shows else "", flush=True)
    return process.returncode == 0


def _stop(log: Path, what: str, hint: str) -> None:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    why = f"Set-up stopped: {what} failed; {log} has all of it. {hint} Then run this again."
    sys.exit("\n".join([*lines[-3:], why]))
