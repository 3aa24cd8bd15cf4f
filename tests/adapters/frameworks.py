"""The frameworks of the conformance suite: a driver for each, and one that has an environment of its own."""

import importlib
from importlib.metadata import PackageNotFoundError, version

HERE = ["classic", "autogen", "ag2", "agent_framework"]  # they live together
OLD = "autogen_0_2"  # owns the name `autogen` as classic does


def driver(framework):
    return importlib.import_module(f"drive_{framework}")


def versions(packages):
    """Return names and versions of packages as one text, or None if one of them is not installed."""
    try:
        return ", ".join(f"{name} {version(name)}" for name in packages)
    except PackageNotFoundError:
        return None
