"""Checks of lesson 00: start here."""

import importlib.metadata
import re
import shutil
import sys
from pathlib import Path

from checks.exercise import exercise

HERE = Path(__file__).resolve().parent


def check_machine():
    """Print a line for each thing that the lessons need, with what to do where it is missing."""
    _line(sys.version_info >= (3, 11), "Python 3.11 or newer", f"this is {sys.version.split()[0]}")
    pins = re.findall(
        r"^([\w-]+)(?:\[\w+])?==(\S+)", (HERE.parents[1] / "requirements.txt").read_text(), re.M
    )
    for name, wanted in pins:
        if name in ("autogen", "transformers", "torch", "jupyterlab", "ipywidgets"):
            try:
                found = importlib.metadata.version(name).split("+")[0]
            except importlib.metadata.PackageNotFoundError:
                found = "not installed"
            mend = f"found {found}: close this and run the README's Start command again"
            _line(found == wanted, f"{name} {wanted}", mend)
    free = shutil.disk_usage(HERE).free / 1e9
    _line(free > 1, "1 GB of free disk for the model", f"only {free:.1f} GB: make room first")


def _line(good, what, mend):
    print(f"✔ {what}" if good else f"✘ {what}: {mend}")


@exercise("0a")
def check_0a(order):
    if not isinstance(order, (list, tuple)) or sorted(order) != ["class", "config", "register"]:
        return 'write a list that has each of "class", "config" and "register" once.'
    if order[-1] != "register":
        return "registering brings a class and a config entry together, so both must be there before."
    if order[0] == "config":
        return "that would work too, but an entry names a class: the blog writes the class first."
    return None


@exercise("0b")
def check_0b(choice):
    return {
        "a": "no base class is needed: AutoGen only calls methods by their names.",
        "b": None,
        "c": "a server is one way, and then no custom client is needed at all. Here, Python answers.",
    }.get(str(choice).strip().lower(), 'answer with "a", "b" or "c".')
