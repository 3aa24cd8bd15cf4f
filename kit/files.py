"""Files that are never half written, texts that are read or refused in words, and words for any console."""

from __future__ import annotations

import errno
import os
import sys
import time
import uuid
from pathlib import Path

TOO_LARGE = 1_000_000  # bytes from which on a file is none that a person wrote
BEGINNINGS = {  # of files that are no text
    b"GGUF": "a model's weights (GGUF)",
    b"PK\3\4": "a zip archive, as those of PyTorch and Word are",
    b"\x1f\x8b": "a gzip archive",
    b"\x80\2": "a pickle of Python's",
    b"\x80\4": "a pickle of Python's",
    b"%PDF": "a PDF",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"SQLite": "a database",
    b"\x7fELF": "a program",
    b"MZ": "a program",
}


class Unreadable(ValueError):
    """A file can't be read as text; the message says why, and what to do."""


def read_text(path: Path) -> str:
    """Return the text of a file that a person wrote.

    Raises:
        FileNotFoundError: there is no such file.
        Unreadable: it is a folder, a device, too large, not UTF-8, or can't be opened.
    """
    try:
        if not path.is_file() and path.exists():  # a device or a pipe may never end
            raise Unreadable(f"can't be read: {str(path)!r} is a folder or a device. Name the file itself.")
        with path.open("rb") as file:
            content = file.read(TOO_LARGE + 1)
        if what := _no_text(content):
            raise Unreadable(f"{str(path)!r} is {what}, not a text. Name the right file.")
        if (size := path.stat().st_size) > TOO_LARGE:
            raise Unreadable(f"{str(path)!r} is {size / 1e6:.0f} MB: too large. Name the right file.")
        if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
            raise Unreadable("UTF-16, not UTF-8 text. Save it again with the encoding UTF-8.")
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, Unreadable):
        raise
    except UnicodeDecodeError:
        raise Unreadable("not UTF-8 text. Save it again with the encoding UTF-8.") from None
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        if getattr(error, "errno", 0) == errno.EINVAL:  # on Windows, for a name that no file has: with " or ?
            raise FileNotFoundError(f"There is no file {str(path)!r}.") from None
        raise Unreadable(f"can't be read: {getattr(error, 'strerror', error)}.") from None


def _no_text(content: bytes) -> str:
    """Return what a file's content is if it begins as no text does, else ""."""
    if content[5:10] == b'\0\0\0{"':  # behind its length, in eight bytes
        return "a model's weights (safetensors)"
    return next((what for start, what in BEGINNINGS.items() if content.startswith(start)), "")


def write_atomically(path: Path, content: str | bytes, *, private: bool = True) -> None:
    """Write to a new file, readable by its owner alone if `private`, and put it in the old one's place.

    Nobody ever sees half a file, and a link stays a link.
    """
    path, mode = path.resolve(), 0o600 if private else 0o666
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def replace(new: Path, old: Path) -> None:
    """Put a file or folder in the place of another, in one step.

    On Windows that is refused while any program has one of them open, as virus scanners and indexers do for
    a moment with what was just written: then it is tried again, for a second and a half.
    """
    for pause in (0.1, 0.2, 0.4, 0.8, 0):
        try:
            os.replace(new, old)
            return
        except PermissionError:
            if not pause:
                raise
            time.sleep(pause)


def print_anywhere() -> None:
    """Let no `print` fail: a sign that the console or the log file can't show, as ✔, becomes a question mark.

    On Windows a log that output is redirected to has the encoding of the system, with few signs.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not where there is no console at all
            stream.reconfigure(errors="replace")
