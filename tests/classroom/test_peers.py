"""Clients that people bring, in a scripted conversation with the real server: peers.py has what they say."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from class_server import class_server

from kit.classroom.paste import MODEL_INFO, entry, lines

PEERS = Path(__file__).with_name("peers.py")
# The frameworks with their own OpenAI clients, and the newest openai package; the kit needs none of them.
PINNED = [
    "autogen-agentchat==0.7.5",
    "autogen-ext[openai]==0.7.5",
    "agent-framework-core==1.23.0",
    "agent-framework-openai==1.17.0",
    "ag2[openai]==1.2.1",
    "openai==3.57.0",
]
SAID = {
    "text": "The capital of Japan is Tokyo.",
    "second": "The capital of Germany is Berlin.",
    "streamed": "The capital of Japan is Tokyo.",
    "usage": 35,
    "finish": "stop",
    "tool": ["5"],
}


@pytest.fixture(scope="session")
def peers_python(python_with):
    return python_with("peers", PINNED)


def talk(python, peer, server):
    given = json.dumps({**server.entry, "model_info": MODEL_INFO})
    elsewhere = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [python, str(PEERS), peer, given]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=elsewhere, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def check_openai(said):
    assert said["models"] == [said["model"]] == ["class-model"] == [said["answers as"]]
    assert said.items() >= {name: SAID[name] for name in ("text", "second", "streamed", "finish")}.items()
    assert said["usage"] == 35
    assert said["stream's usage"] == [35]
    assert said["stream's finish"] == ["stop"]
    assert (said["call"], said["after the call"]) == ("add", "stop")
    assert said["json"] == ["n"]
    assert (said["seeded"], said["choices"], said["stopped"]) == (1, 2, "The capital of")
    refused = {"logprobs": [400, "unsupported_parameter"], "model": [404, "model_not_found"]}
    assert said["refused"] == refused


def test_the_openai_package_gets_all_that_it_asks_for(server):
    check_openai(talk(sys.executable, "openai", server))


def test_classic_agents_talk_stream_and_call_tools(server):
    said = talk(sys.executable, "classic", server)
    assert said == {**{name: SAID[name] for name in SAID if name != "finish"}, "stream's usage": [35]}


@pytest.mark.slow
def test_the_newest_openai_package_gets_all_that_it_asks_for(server, peers_python):
    check_openai(talk(peers_python, "openai", server))


@pytest.mark.slow
def test_agents_of_autogen_0_2_talk_stream_and_call_tools(server, old_python):
    said = talk(old_python, "classic", server)
    assert said.items() >= {name: SAID[name] for name in ("text", "second", "streamed", "tool")}.items()


@pytest.mark.slow
@pytest.mark.parametrize("peer", ["autogen", "agent_framework", "ag2"])
def test_agents_of_other_frameworks_talk_stream_and_call_tools(peer, server, peers_python):
    said = talk(peers_python, peer, server)
    counted = said.pop("stream's usage")
    assert said == SAID
    assert all(tokens >= 35 for tokens in counted) and len(counted) == 1


@pytest.mark.slow
def test_the_lines_that_the_server_prints_make_each_client(peers_python):
    pasted = lines(entry("class-model", "http://192.0.2.7:8000/v1", "class-1", 256))
    code = [line.removeprefix("    ") for line in pasted.splitlines() if line.startswith("    ")]
    program = "\n".join(["import openai", *code, "print('made')"])
    assert subprocess.check_output([peers_python, "-c", program], encoding="utf-8") == "made\n"


@pytest.mark.slow
@pytest.mark.parametrize("version", ["5.20.0", "5.24.0"])
def test_older_and_newer_transformers_serve_as_well(version, python_with, local_model_folder):
    """The kit pins one; its clients take all from 5.20 on."""
    pins = (PEERS.parents[2] / "requirements.txt").read_text(encoding="utf-8")
    pins += (PEERS.parents[2] / "kit" / "requirements.txt").read_text(encoding="utf-8")
    needed = (
        "torch safetensors accelerate gguf llguidance starlette uvicorn openai httpx psutil filelock tqdm"
    )
    pinned = [re.search(rf"^{name}==[^\s#;]+", pins, re.MULTILINE)[0] for name in needed.split()]
    python = python_with(f"transformers-{version}", [f"transformers=={version}", *pinned])
    with class_server(python=python, PYTHONPATH=str(PEERS.parents[2])) as server:
        check_openai(talk(sys.executable, "openai", server))
