"""A file holds the old content or the new one, whatever happens; what can't be read is refused in words."""

import contextlib
import errno
import os
import pathlib
import subprocess
import sys

import pytest

from kit import files
from kit.files import Unreadable, read_text, replace, write_atomically

POSIX = pytest.mark.skipif(os.name == "nt", reason="file modes, links and signals of POSIX")
pytestmark = pytest.mark.usefixtures("folder")


@POSIX
@pytest.mark.parametrize(("private", "mode"), [(True, 0o600), (False, 0o644)])
def test_a_private_file_is_for_its_owner_alone_even_where_it_was_open_before(folder, private, mode):
    file = folder / "file"
    file.write_text("old")
    file.chmod(0o666)
    before = os.umask(0o022)
    write_atomically(file, "new", private=private)
    os.umask(before)
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", mode)
    assert os.listdir(folder) == ["file"]


@POSIX
def test_a_link_stays_a_link_and_its_target_is_replaced(folder):
    (folder / "target").write_text("old")
    (folder / "link").symlink_to("target")
    write_atomically(folder / "link", b"new")
    assert (folder / "link").is_symlink()
    assert (folder / "target").read_bytes() == b"new"


def test_what_can_not_be_written_leaves_the_old_file_and_nothing_else(folder):
    (folder / "file").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(folder / "file", "half a character: \ud800")
    assert (folder / "file").read_text() == "old"
    assert os.listdir(folder) == ["file"]


def test_a_file_that_another_program_looks_at_for_a_moment_is_replaced_after_it(folder, monkeypatch):
    """On Windows, where virus scanners look at what was just written."""
    refusals, pauses, os_replace = [PermissionError(errno.EACCES, "in use")] * 2, [], os.replace

    def busy(new, old):
        if refusals:
            raise refusals.pop()
        os_replace(new, old)

    monkeypatch.setattr(os, "replace", busy)
    monkeypatch.setattr(files.time, "sleep", pauses.append)
    write_atomically(folder / "file", "new")
    assert (folder / "file").read_text() == "new"
    assert pauses == [0.1, 0.2]

    refusals[:] = [PermissionError(errno.EACCES, "in use")] * 5
    with pytest.raises(PermissionError):
        replace(folder / "file", folder / "other")
    assert sum(pauses) < 2
    refusals[:] = [PermissionError(errno.EACCES, "in use")] * 5
    with contextlib.suppress(PermissionError):
        write_atomically(folder / "file", "newer")
    assert os.listdir(folder) == ["file"]


# A writer is forked for each round and killed in the middle of its work.
KILLED_WRITERS = """
import os, pathlib, random, signal, time
from kit.files import write_atomically

file, contents = pathlib.Path("file"), [name * 400_000 for name in "ab"]
write_atomically(file, contents[0])
for _ in range(200):
    reading, writing = os.pipe()
    if not (writer := os.fork()):
        for turn in range(10_000):
            write_atomically(file, contents[turn % 2])
            os.write(writing, b".")
        os._exit(1)
    os.read(reading, 1)
    time.sleep(random.uniform(0, 0.01))
    os.kill(writer, signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(writer, 0)[1]), "the writer ended before it was killed"
    os.close(reading), os.close(writing)
    assert file.read_text() in contents
print("200 rounds")
"""


@POSIX
def test_a_writer_killed_at_any_moment_leaves_the_old_file_or_the_new_one():
    done = subprocess.run([sys.executable, "-c", KILLED_WRITERS], capture_output=True, text=True)
    assert done.stdout == "200 rounds\n", done.stderr


# Printing


@pytest.mark.parametrize(("encoding", "shown"), [("ascii", "?"), ("cp1252", "?"), ("utf-8", "✔")])
def test_a_sign_that_a_console_can_not_show_ends_no_program(encoding, shown):
    program = "from kit.files import print_anywhere; print_anywhere(); print('✔ done')"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment)
    assert done.stdout.decode(encoding).strip() == f"{shown} done"
    assert done.stderr == b""


def test_without_any_console_printing_is_silent(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    files.print_anywhere()
    print("✔")


# Reading


def test_a_name_that_windows_allows_no_file_is_that_of_no_file(folder, monkeypatch):
    """There, opening it is an invalid argument: with quotes, for instance, as Explorer copies a path."""

    def invalid(*_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(pathlib.Path, "open", invalid)
    with pytest.raises(FileNotFoundError):
        read_text(folder / '"file"')


def test_a_text_is_read_as_utf_8(folder):
    (folder / "file").write_bytes("Grüße".encode())
    assert read_text(folder / "file") == "Grüße"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (".", "is a folder or a device"),
        pytest.param("/dev/zero", "is a folder or a device", marks=POSIX),
        ("large", "is 2 MB: too large"),
        ("latin", "not UTF-8 text"),
        ("utf-16", "UTF-16, not UTF-8 text"),
        ("utf-16-le", "UTF-16, not UTF-8 text"),
        ("weights", r"is a model's weights \(GGUF\), not a text"),
        ("safetensors", "is a model's weights"),
        ("zip", "is a zip archive"),
        ("zero\0byte", "can't be read"),
        ("n" * 5000, "can't be read"),
    ],
)
def test_what_is_no_text_is_refused_and_says_why(folder, name, why):
    (folder / "large").write_text("x" * 2_000_000)
    (folder / "latin").write_bytes("Grüße".encode("latin-1"))
    for encoding in ("utf-16", "utf-16-le"):
        (folder / encoding).write_bytes("Grüße".encode(encoding))
    (folder / "weights").write_bytes(b"GGUF\3\0\0\0" + b"\0" * 2_000_000)
    (folder / "safetensors").write_bytes(b'\x10\0\0\0\0\0\0\0{"a": 1}')
    (folder / "zip").write_bytes(b"PK\3\4")
    with pytest.raises(Unreadable, match=why):
        read_text(folder / name)


def test_a_file_that_is_not_there_is_pythons_own_error(folder):
    with pytest.raises(FileNotFoundError):
        read_text(folder / "nowhere")
