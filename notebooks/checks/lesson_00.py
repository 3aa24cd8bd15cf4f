"""Checks of lesson 00: start here."""

import importlib.metadata
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement

from checks.exercise import exercise, prediction
from kit.models import NoModelHere

HERE = Path(__file__).resolve().parent
SHOWN = ("autogen", "transformers", "torch", "jupyterlab", "ipywidgets")  # the packages to name


def check_machine():
    """Print a line for each thing that the lessons need, with what to do where it is missing."""
    _line(sys.version_info >= (3, 11), "Python 3.11 or newer", f"this is {sys.version.split()[0]}")
    light = find_spec("torch") is None
    files = ["kit/requirements.txt", *([] if light else ["requirements.txt"])]
    lines = [line for file in files for line in (HERE.parents[1] / file).read_text("utf-8").splitlines()]
    for pin in (Requirement(line.partition("#")[0]) for line in lines if "==" in line.partition("#")[0]):
        if pin.name in SHOWN and (pin.marker is None or pin.marker.evaluate()):
            try:
                found = importlib.metadata.version(pin.name).split("+")[0]
            except importlib.metadata.PackageNotFoundError:
                found = "not installed"
            fix = f"found {found}: close this and run the README's Start command again"
            _line(str(pin.specifier) == f"=={found}", f"{pin.name} {str(pin.specifier)[2:]}", fix)
    if light:
        print(f"▲ {NoModelHere()}")
    free = shutil.disk_usage(HERE).free / 1e9
    _line(
        free > 1,
        "1 GB of free disk for the model (the packages are in)",
        f"only {free:.1f} GB: make room first",
    )


def _line(good, what, fix):
    print(f"✔ {what}" if good else f"✘ {what}: {fix}")


predicted_0_capital = prediction(
    "a",
    a="a fact that is told so often is in a small model too. Rare facts and reasoning mostly are not.",
    b="on harder questions that is what happens: a small model is wrong as fluently as it is right.",
    c="a model holds what it learned in its own numbers; it looks nothing up, with or without a network.",
)


@exercise("0a")
def check_0a(order):
    if isinstance(order, (list, tuple)) and len(order) == 1 and "," in str(order[0]):
        order = order[0]  # ["class, config, register"]
    if isinstance(order, str):
        order = re.findall(r"\w+", order)
    if isinstance(order, (set, frozenset)):
        return "a set { } has no order: write a list, with [ ]."
    if not isinstance(order, (list, tuple)):
        return 'write a list of the three words: ["...", "...", "..."].'
    words = [... if word in (..., "...") else str(word).strip().lower() for word in order]
    if words and all(word is ... for word in words):
        return ...
    if sorted(map(str, words)) != ["class", "config", "register"]:
        return 'write a list that has each of "class", "config" and "register" once.'
    if words[-1] != "register":
        return "registering brings a class and a config entry together, so both must be there before."
    if words[0] == "config":
        return "it would work, but the comments say: the class is step 1, the entry that names it step 2."
    return None


@exercise("0b")
def check_0b(choice):
    letter = re.fullmatch(r"\W*([abc])\W*", str(choice).lower())
    return {
        "a": "no base class is needed: AutoGen only calls methods by their names.",
        "b": None,
        "c": "a server is one way, and then no custom client is needed at all. Here, Python answers.",
    }.get(letter and letter[1], 'answer with "a", "b" or "c".')
