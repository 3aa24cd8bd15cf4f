"""What is wrong with a config list: where, what, and how to fix it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from kit.config_list.secrets import masked


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a config list: where (`entry` index, `field`), what, and how to fix it."""

    message: str
    entry: int | None = None
    field: str | None = None
    warning: bool = False  # AutoGen takes it, but it is probably a mistake
    only_here: bool = False  # a variable or a package that this machine lacks: the list itself may be right
    # Name and value that would take the field's place; not for the eye: it may be a key.
    fix: tuple[str, Any] | None = dataclasses.field(default=None, repr=False)

    def __str__(self) -> str:
        if self.entry is None:
            return self.message
        field = f", {masked(self.field)!r}" if self.field else ""
        return f"entry {self.entry}{field}: {self.message}"


class ConfigListError(ValueError):
    """A config list can't be used; `problems` says where, what, and how to fix it."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__(f"{source}: " + "\n".join(map(str, problems)))


class ConfigListConflict(ConfigListError):
    """The file holds something that this list was not loaded from."""
