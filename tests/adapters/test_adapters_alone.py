"""The folder stands alone, and of the frameworks it needs only the one that is used."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ADAPTERS = PROJECT / "kit" / "adapters"
PACKAGES = os.pathsep.join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
ANSWERS = """
import asyncio

import ag2, agent_framework, autogen
from autogen_agentchat.agents import AssistantAgent
from dummy import DummyModelClient
from my_adapters import *

client = DummyModelClient({"model": "dummy"}, replies=["classic", "autogen", "ag2", "agent framework"])


async def main():
    entry = {"model": "dummy", "model_client_cls": "DummyModelClient"}
    agent = autogen.AssistantAgent("a", llm_config={"config_list": [entry]})
    agent.register_model_client(registrable(client))
    yield agent.generate_reply([{"role": "user", "content": "Hi"}])
    yield (await AssistantAgent("a", ModelClientForAutoGen(client)).run(task="Hi")).messages[-1].content
    yield (await ag2.Agent("a", config=ModelClientForAG2(client)).ask("Hi")).body
    yield (await agent_framework.Agent(ModelClientForAgentFramework(client)).run("Hi")).text


async def show():
    print([text async for text in main()])


asyncio.run(show())
"""


@pytest.fixture
def python(tmp_path):
    """Run Python beside a copy of the folder, where there is no kit, with the packages of a path.

    Without its `site` module (`-S`), Python reads no .pth file, so an editable kit can't be imported.
    """
    shutil.copytree(ADAPTERS, tmp_path / "my_adapters", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "kit" / "clients" / "dummy.py", tmp_path)

    def run(program, path):
        environment = {**os.environ, "PYTHONPATH": path}
        command = [sys.executable, "-S", "-c", program]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    return run


@pytest.mark.slow
def test_the_folder_copied_alone_works_in_every_framework(python):
    assert "No module named 'kit'" in python("import kit", PACKAGES).stderr
    done = python(ANSWERS, PACKAGES)
    assert done.stdout.splitlines()[-1:] == ["['classic', 'autogen', 'ag2', 'agent framework']"], done.stderr


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("ModelClientForAutoGen", "autogen-core"),
        ("ModelClientForAG2", "ag2"),
        ("ModelClientForAgentFramework", "agent-framework-core"),
    ],
)
def test_a_framework_that_is_not_there_is_named_with_the_line_that_installs_it(python, name, package):
    done = python(f"from my_adapters import registrable, {name}", "")
    assert f"ImportError: {name} needs {package}~=" in done.stderr
    assert f'pip install "{package}~=' in done.stderr


def test_the_frameworks_that_are_installed_are_those_that_are_pinned():
    pins = re.findall(r"^([\w-]+)==(\S+)", (ADAPTERS / "requirements.txt").read_text(), re.M)
    assert len(pins) == 4
    assert {name: version(name) for name, _ in pins} == dict(pins)


def test_nothing_in_the_folder_needs_the_kit():
    files = list(ADAPTERS.glob("*.py"))
    assert len(files) >= 7
    for file in files:
        assert not re.search(r"^\s*(from|import) kit\b", file.read_text(), re.M), file.name
