"""The client files under Microsoft's last AutoGen 0.2, in an environment of its own.

The environment lies in `.cache/autogen-0.2` and is kept between runs. It takes a minute to make, and a
package index; where none can be reached these tests are skipped, but never in CI.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

PROJECT = Path(__file__).resolve().parents[2]
HOME = PROJECT / ".cache" / "autogen-0.2"


def pinned(name):
    """The line of requirements.txt that pins a package, without its comment."""
    found = re.search(rf"^{name}==[^\s#]+", (PROJECT / "requirements.txt").read_text(), re.MULTILINE)
    assert found, f"requirements.txt pins no {name}"
    return found.group()


def pip_install(python, *arguments):
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True)


def reason_of(pip):
    """What pip complains about, in one line."""
    return "; ".join(line for line in pip.stderr.splitlines() if "ERROR" in line) or pip.stderr.strip()


@pytest.fixture(scope="session")
def old_python():
    """The Python of an environment with autogen-agentchat 0.2.40 and the kit's torch and transformers."""
    requirements = ["autogen-agentchat==0.2.40", pinned("torch"), pinned("transformers")]
    python = str(HOME / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    stamp, wanted = HOME / "made-of.txt", "\n".join([sys.version, *requirements])
    HOME.parent.mkdir(exist_ok=True)
    with FileLock(f"{HOME}.lock"):
        if stamp.is_file() and stamp.read_text() == wanted:
            return python
        shutil.rmtree(HOME, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True)
        reachable = pip_install(python, "--dry-run", "--no-deps", requirements[0])
        if reachable.returncode and not os.environ.get("CI"):
            pytest.skip(f"pip reaches no package index: {reason_of(reachable)}")
        made = pip_install(python, *requirements)
        if made.returncode:
            pytest.fail(f"pip can't make the environment of AutoGen 0.2: {reason_of(made)}")
        stamp.write_text(wanted)
    return python


@pytest.fixture
def old_chat(old_python, chat_beside):
    """Chat with a client file under the old AutoGen and return what was said."""

    def chat(client, *arguments):
        report = chat_beside([old_python], client, *arguments)
        assert report["autogen"] == "0.2.40"
        return report

    return chat


def test_the_dummy_client_chats_under_autogen_0_2(old_chat):
    chat = old_chat("dummy")
    assert chat["history"][1::2] == ["Paris.", "Rome."]
    assert chat["retrieved"] == 2
    assert chat["usage"]["dummy"]["total_tokens"] == 34
    assert chat["usage"]["dummy"]["cost"] == pytest.approx(0.079)


def test_the_hugging_face_client_chats_under_autogen_0_2(old_chat, local_model_folder):
    chat = old_chat("huggingface", local_model_folder)
    assert "Paris" in chat["history"][1]
    assert chat["retrieved"] == 2
    assert 0 < chat["usage"][local_model_folder]["completion_tokens"] <= 32


def test_the_recording_client_records_and_replays_under_autogen_0_2(old_chat):
    recorded = old_chat("recording", "record")
    assert recorded["history"][1::2] == ["Paris.", "Rome."]
    assert recorded["retrieved"] == 2
    assert recorded["usage"]["capitals"]["cost"] == 1.0
    assert old_chat("recording", "replay") == recorded
