"""The folder stands alone, and `python -m` of it tells which frameworks are there and work."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ADAPTERS = PROJECT / "kit" / "adapters"
PACKAGES = os.pathsep.join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})


@pytest.fixture
def alone(tmp_path):
    """The folder of the adapters, copied where there is no kit, and a Python there.

    Without its `site` module (`-S`), Python reads no .pth file, so an editable kit can't be imported.
    """
    copy = shutil.copytree(ADAPTERS, tmp_path / "my_adapters", ignore=shutil.ignore_patterns("__pycache__"))

    def python(*arguments):
        environment = {**os.environ, "PYTHONPATH": PACKAGES, "PYTHONIOENCODING": "utf-8"}
        command = [sys.executable, "-S", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    return copy, python


def rows(output):
    """The table that was printed, a list of cells for each row."""
    return [re.split(r"\s{2,}", line.strip()) for line in output.splitlines()]


def pinned():
    lines = (ADAPTERS / "requirements.txt").read_text().splitlines()
    return dict(re.match(r"([\w-]+)==(\S+)", line).groups() for line in lines if "==" in line)


def test_the_folder_copied_alone_works_in_every_framework(alone):
    _, python = alone
    assert "No module named 'kit'" in python("-c", "import kit").stderr
    done = python("-m", "my_adapters")
    assert done.returncode == 0, done.stdout + done.stderr
    head, classic, autogen, ag2, agent_framework = rows(done.stdout)
    assert head == ["framework", "installed", "text", "tools", "stream"]
    assert classic == ["AutoGen classic", "autogen 0.14.1", "pass", "pass", "-"]
    for row, package in (
        (autogen, "autogen-agentchat"),
        (ag2, "ag2"),
        (agent_framework, "agent-framework-core"),
    ):
        assert row[1:] == [f"{package} {pinned()[package]}", "pass", "pass", "pass"]
    assert done.stderr == ""


def test_the_table_shows_what_a_release_broke(alone):
    copy, python = alone
    file = copy / "for_ag2.py"
    file.write_text(file.read_text().replace("ModelMessageChunk,", "ModelMessageChunks,", 1))
    (copy / "for_agent_framework.py").write_text(
        (copy / "for_agent_framework.py")
        .read_text()
        .replace('"role": "tool"', '"role": "tools", "content": ""', 1)
    )
    done = python("-m", "my_adapters")
    assert done.returncode == 1
    table = {row[0]: row[2:] for row in rows(done.stdout) if len(row) == 5}
    assert table["AG2"] == ["FAIL", "FAIL", "FAIL"] and table["Microsoft AutoGen"] == ["pass"] * 3
    assert "AG2, text: ImportError: cannot import name 'ModelMessageChunks'" in done.stdout


def test_frameworks_that_are_not_there_are_named_with_the_line_that_installs_them(old_python):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    command = [old_python, "-m", "kit.adapters"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    table = rows(done.stdout)
    assert table[1] == ["AutoGen classic", "autogen-agentchat 0.2.40", "pass", "pass", "-"]
    assert [row[1] for row in table[2:]] == [
        "not installed: pip install autogen-agentchat",
        "not installed: pip install ag2",
        "not installed: pip install agent-framework-core",
    ]
    program = "from kit.adapters import ModelClientForAG2"
    done = subprocess.run([old_python, "-c", program], env=environment, capture_output=True, text=True)
    assert "ImportError: ModelClientForAG2 needs ag2~=1.2" in done.stderr


def test_nothing_in_the_folder_needs_the_kit():
    files = list(ADAPTERS.glob("*.py"))
    assert len(files) >= 7
    for file in files:
        assert not re.search(r"^\s*(from|import) kit\b", file.read_text(), re.M), file.name
