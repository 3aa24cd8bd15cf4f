"""What keeps the packages from working together, and which of them brings a name."""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path

from kit.checks.catalogue import found
from kit.checks.report import Finding

USED = {"autogen", "openai", "transformers", "torch", "kit"}
# Names of modules that some packages install, too, by mistake.
NOBODYS = {"test", "tests", "docs", "examples", "scripts", "tools", "utils"}


def packages() -> Iterator[Finding]:
    """Yield what keeps the packages from working together."""
    modules = importlib.metadata.packages_distributions()
    for file in [*Path().glob("*.py"), *Path().glob("*/__init__.py")]:
        name = file.stem if file.parent == Path() else file.parent.name
        ours = Path(__file__).resolve().parents[1] == file.resolve().parent
        if not ours and (
            name in USED or name not in NOBODYS and _elsewhere(name, modules.get(name, []), file)
        ):
            yield found("shadowed", file=f"{file} in this folder", name=name)
    owners = sorted(set(modules.get("autogen", [])))
    if len(owners) > 1:
        named = " and ".join(f"{name} {importlib.metadata.version(name)}" for name in owners)
        yield found("two-autogens", owners=named, names=" ".join(owners))
    elif not owners:
        others = [name for name in ("autogen-agentchat", "autogen-core", "ag2") if version_of(name)]
        yield found("no-autogen", but="".join(f" {name} {version_of(name)} has none." for name in others))
    if not version_of("openai"):
        yield found("no-openai")
    for name in ("autogen", "openai", "transformers"):
        yield from _clashes(name)


def _elsewhere(name: str, owners: list[str], file: Path) -> bool:
    """Return whether one of some distributions has a module of a name that is another file than this."""
    roots = [Path(str(importlib.metadata.distribution(owner).locate_file(""))) for owner in owners]
    there = [root / part for root in roots for part in (f"{name}.py", f"{name}/__init__.py")]
    return any(one.is_file() and not one.samefile(file) for one in there)


def _clashes(name: str) -> Iterator[Finding]:
    """Yield the packages that a distribution needs in another version than the one that is there."""
    from packaging.requirements import Requirement

    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for text in importlib.metadata.requires(name) or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                there = version_of(needed.name)
                if there and not needed.specifier.contains(there, prereleases=True):
                    facts = {"needed": f"{needed.name}{needed.specifier}", "there": there}
                    yield found("versions-clash", name=name, version=version_of(name), **facts)


def extra_of(text: str) -> str:
    """Return the extra of AutoGen that brings a package which a text names and which isn't there, or ""."""
    known = importlib.metadata.requires("autogen") if version_of("autogen") else []
    parts = [re.match(r"([\w.-]+).*extra == ['\"]([\w-]+)", line) for line in known or []]
    quoted = [name.replace("_", "-") for name in re.findall(r"[`'\"]([\w.-]+)[`'\"]", text)]
    named = [name for name in quoted if not version_of(name)]  # else a file of that name hides it
    extras = {part[2] for part in parts if part and part[1] in named}
    told = [name for name in re.findall(r"\[([\w-]+)\]", text) if name in extras]  # AutoGen often says which
    return next(iter(told), min(extras - {"dev", "docs", "test", "types"}, key=len, default=""))


def modules_of(distribution: str) -> str:
    """Return what the modules of an installed distribution are called, if not as itself, else ""."""
    if distribution == "pyautogen":  # of which only the names are left: it is autogen
        return "autogen"
    named = _normalized(distribution)
    found = importlib.metadata.packages_distributions().items()
    modules = {module for module, owners in found if named in map(_normalized, owners)}
    return "" if distribution in modules else ", ".join(sorted(one for one in modules if one[0] != "_"))


def _normalized(distribution: str) -> str:
    """Return the name of a distribution in the form in which names are compared (PEP 503)."""
    return re.sub("[-_.]+", "-", distribution).lower()


def version_of(distribution: str) -> str:
    """Return the version of a distribution, "" if it is not installed."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(distribution)
    return ""
