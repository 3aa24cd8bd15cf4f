"""Where a config list's text is: in an environment variable or a file; and what else may be meant."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from kit.config_list.looks import kind_of
from kit.config_list.problems import ConfigListError, Problem
from kit.files import Unreadable, read_text

MOST_FOLDERS = 200  # that are looked into for a file of the same name


def read_source(env_or_file: str | Path) -> tuple[str, str, Path | None]:
    """Return the text, a name for it in messages, and its path if it came from a file.

    Raises:
        ConfigListError: there is no such text, or what is there can't be a config list.
    """
    if not isinstance(env_or_file, (str, os.PathLike)):
        what = f"{kind_of(env_or_file)} instead of the name of a file or variable."
        message = f"{what} To check entries that are here already, call check_config_list."
        raise ConfigListError("config list", [Problem(message)])
    name = str(env_or_file)
    if not name.strip():
        message = "can't be read: the name is empty. Write that of the file, or of the variable."
        raise ConfigListError("config list", [Problem(message)])
    if name.lstrip()[:1] in ("[", "{") and not os.path.exists(name):
        message = "this is the text of a list, not the name of one. To read a text, call parse_config_list."
        raise ConfigListError("config list", [Problem(message)])
    value = os.environ.get(name)
    if value and not os.path.exists(value):
        if not _is_list(value):
            raise ConfigListError(f"environment variable {name}", [Problem(_no_source(value))])
        return value, f"environment variable {name}", None
    path = Path(value or name)
    try:
        return read_text(path), str(path), path
    except FileNotFoundError:
        message = _no_file(name)
    except Unreadable as error:
        inside = _similar(path, "OAI_CONFIG_LIST") if os.path.isdir(path) else []
        message = f"{error} Is {os.path.join(path, inside[0])!r} meant?" if inside else str(error)
    raise ConfigListError(str(path), [Problem(message)])


def _is_list(value: str) -> bool:
    return value.lstrip()[:1] in tuple("[{(")


def _no_source(value: str) -> str:
    """Return why what a variable holds is neither a list nor a path. It may be a key: it isn't shown."""
    if meant := _meant(value):
        return f"{meant[1]} Set it {'without' if _is_list(meant[0]) else f'to {meant[0]!r}'}."
    if re.match(r"https?://", value):
        return "holds an address. Save what is there as a file, and set the variable to its path."
    message = "holds neither a JSON list nor the path of a file that exists."
    others = list(islice(_elsewhere(Path(value)), 1)) if re.search(r"[/\\.]|(?i:config)", value) else []
    return f"{message} Is {others[0]!r} meant?" if others else message


def _no_file(name: str) -> str:
    """Return where a file of this name was looked for, and what is probably meant."""
    if meant := _meant(name):
        return f"no such file: the name {meant[1]} Write {meant[0]!r}."
    path = Path(name)
    folder = path.absolute().parent
    where = f"looked in {str(folder)!r}" + ("" if os.path.isdir(folder) else ", which is not there")
    message = f"neither an environment variable nor a file of this name ({where})."
    if others := list(islice(_elsewhere(path), 1)):
        return f"{message} Is {others[0]!r} meant?"
    variables = [variable for variable in os.environ if variable != name]
    if near := difflib.get_close_matches(name, variables, 1, 0.85):
        return f"{message} Is the variable {near[0]!r} meant?"
    return message


def _meant(value: str) -> tuple[str, str] | None:
    """Return the list or path that a value holds with more around it, and what that is, if there is one."""
    changes = []
    for what, change in (
        ("a space or a line break around it", str.strip),
        ("quotes around it", _unquoted),
        ("~ in it, which is not filled in", os.path.expanduser),
        ("a variable in it, which is not filled in", os.path.expandvars),
    ):
        if (changed := change(value)) != value:
            value = changed
            changes.append(what)
    if not changes or not (_is_list(value) or os.path.isfile(value)):
        return None
    return value, f"has {' and '.join(changes)}."


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1].strip() if quoted else text


def _elsewhere(path: Path) -> Iterator[str]:
    """Yield files that may be meant by the path of one that isn't there, the likeliest first."""
    try:
        folder = path.absolute().parent
        for name in _similar(folder, path.name):
            yield str(path.with_name(name))
        parents = [*folder.parents][:3]
        around = [folder, *parents[:1]]
        inside = (Path(entry.path) for one in around if one.is_dir() for entry in _folders(one))
        for other in (*parents, *islice(inside, MOST_FOLDERS)):
            for name in (path.name, f"{path.name}.json", f"{path.name}.txt", path.stem):
                if other != folder and (other / name).is_file():
                    yield os.path.relpath(other / name)
    except (OSError, ValueError):  # a folder that can't be listed; a name with a zero byte
        return


def _folders(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        found = (entry for entry in islice(entries, 10 * MOST_FOLDERS) if not entry.name.startswith("."))
        return sorted((entry for entry in found if entry.is_dir()), key=lambda entry: entry.name)


def _similar(folder: Path, name: str) -> list[str]:
    """Return the files of a folder whose names are nearly this one, or differ in their ending."""
    if not os.path.isdir(folder):
        return []
    files = [entry.name for entry in os.scandir(folder) if entry.name != name and entry.is_file()]
    same = [file for file in files if Path(file).stem.lower() == Path(name).stem.lower()]
    usual = ("", ".json", ".txt")
    same.sort(key=lambda file: (Path(file).suffix.lower() not in usual, file))
    return same or difflib.get_close_matches(name, files, 1, 0.7)
