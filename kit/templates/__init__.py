"""templates(): whole programs to copy, each beside the client files and folders that it needs.

A template is a file of this folder, and says all there is to know about it: the first line of its docstring
is its title, then comes what it is for, and last the files and packages that it needs; a name that ends in
a slash is a folder's.
"""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass
from pathlib import Path

from kit.files import write_atomically

HERE = Path(__file__).parent
CLIENTS = HERE.parent / "clients"
NAMES = (  # in the order in which they are shown
    "dummy_model",
    "hugging_face_model",
    "loaded_model",
    "openai_server",
    "group_chat",
    "tools",
    "tools_local",
    "test_agent",
    "own_client",
)


@dataclass(frozen=True)
class Template:
    """A program, with what it is for and what it needs.

    Args:
        name: what it is called here; its file is that with .py.
        title: what it is, in a few words.
        purpose: what it is for, in a sentence or two.
        text: the program.
        files: the files and folders of `kit/clients` that have to lie beside it; a folder ends in a slash.
        install: the command that installs the packages it needs.
    """

    name: str
    title: str
    purpose: str
    text: str
    files: tuple[str, ...]
    install: str

    @property
    def facts(self) -> str:
        """What it is for and what it needs, in three lines."""
        files = " and ".join(self.files) or "no other file"
        return f"{self.purpose}\nNeeds beside it: {files}\nNeeds installed: {self.install}"

    def save(self, folder: str | Path = ".", overwrite: bool = False) -> list[Path]:
        """Write the program and the client files into a folder, which is made if need be.

        Files that are there already and hold the same stay as they are.

        Returns:
            Where they all are, the program first.

        Raises:
            FileExistsError: a file there holds something else; nothing was written. `overwrite=True`
                replaces it.
            OSError: the folder can't be made or written to.
            ValueError: no folder is named.
        """
        if not str(folder).strip():
            raise ValueError("Name a folder to save to, for example my_project.")
        target = Path(folder).expanduser()
        sources = [path for name in self.files for path in _files(CLIENTS / name)]
        contents = {target / path.relative_to(CLIENTS): path.read_bytes() for path in sources}
        contents[target / f"{self.name}.py"] = (HERE / f"{self.name}.py").read_bytes()
        missing = {
            path: content
            for path, content in contents.items()
            if not (path.is_file() and path.read_bytes() == content)
        }
        there = [str(path) for path in missing if os.path.lexists(path)]
        if there and not overwrite:
            raise FileExistsError(
                f"Nothing was written: there is something else already in {' and '.join(there)}. Choose "
                "another folder, or replace what is there (overwrite=True)."
            )
        folders = dict.fromkeys([target, *(path.parent for path in contents)])
        for folder in folders:
            if folder.exists() and not folder.is_dir():
                raise NotADirectoryError(f"{folder} is a file, and no folder to save to.")
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        for path, content in missing.items():  # the program comes last: when it is there, all is
            write_atomically(path, content, private=False)
        return list(reversed(contents))

    def __repr__(self) -> str:
        return f"{self.title} ({self.name}.py)\n{self.facts}"


class Templates(dict[str, Template]):
    """The templates by name."""

    def __missing__(self, name: str) -> Template:
        raise KeyError(f"There is no template {name!r}; there are {', '.join(self)}.")

    def __repr__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{name:{width}}  {template.title}" for name, template in self.items())


def templates() -> Templates:
    """Return all templates: `print(templates()["tools"].text)`, `templates()["tools"].save("my_project")`."""
    return Templates((name, _read(name)) for name in NAMES)


def _files(path: Path) -> list[Path]:
    """Return a file, or the files of a folder."""
    return sorted(path.glob("*.py")) if path.is_dir() else [path]


def _read(name: str) -> Template:
    """Return a template as its docstring describes it."""
    text = (HERE / f"{name}.py").read_text(encoding="utf-8")
    title, purpose, needs = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")
    lines = dict(line.split(": ", 1) for line in needs.splitlines())
    return Template(
        name,
        title.rstrip("."),
        " ".join(purpose.split()),
        text,
        tuple(lines.get("Files", "").split()),
        lines["Install"],
    )
