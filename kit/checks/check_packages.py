"""What keeps the packages from working together."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

from kit.checks.catalogue import found
from kit.checks.names import version_of
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
