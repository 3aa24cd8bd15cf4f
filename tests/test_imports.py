"""Imports point one way: what a learner copies stands alone, and no room needs one above it."""

import ast
from pathlib import Path

import pytest

import kit

KIT = Path(kit.__file__).parent
# What each room may import of the kit, wherever in a file the import stands.
ALLOWED = {
    "files": set(),
    "models": {"files"},
    "clients": set(),  # these two are copied into other projects
    "adapters": set(),
    "config_list": {"files", "models"},
    "lessons": {"models", "clients", "config_list"},
    "agents": {"files", "models", "config_list"},
    "checks": {"files", "models", "config_list", "agents"},
    "templates": {"files"},
    "widgets": {"files", "models", "config_list", "agents", "checks", "templates", "kit"},
    "environment": {"models"},
    "classroom": {"files", "models", "environment", "config_list", "clients"},
    "__main__": {"environment", "classroom"},
    "__init__": {"models", "checks"},  # the public names are imported by their modules' names, as text
}


def room_of(path):
    return path.relative_to(KIT).parts[0].removesuffix(".py")


def imported_rooms(path):
    """Return the rooms that a file imports from; `import kit` itself counts as "kit"."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        parts = [name.split(".") for name in names if name.split(".")[0] == "kit"]
        rooms |= {"kit" if len(part) == 1 or part[1] in kit.__all__ else part[1] for part in parts}
    return rooms - {room_of(path)}


FILES = sorted(KIT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(KIT).as_posix())
def test_a_file_imports_only_from_rooms_below_its_own(path):
    assert imported_rooms(path) <= ALLOWED[room_of(path)]


def test_the_look_at_imports_finds_them():
    found = {room: set() for room in ALLOWED}
    for path in FILES:
        found[room_of(path)] |= imported_rooms(path)
    assert {"agents", "checks", "config_list"} <= found["widgets"]
    assert found["templates"] == {"files"}
    assert "environment" in found["__main__"]


def test_every_room_is_known_and_says_what_it_holds():
    assert {room_of(path) for path in FILES} == ALLOWED.keys()
    for path in KIT.glob("*/__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
