"""Each client stands alone: copied into an empty folder, it works where there is no kit."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from kit.environment import text_of

HERE = Path(__file__).parent
CLIENTS = HERE.parents[1] / "kit" / "clients"


# What the folder adds, asked of a model of random weights: what it writes must fit a schema all the same.
ABILITIES = """
import importlib.util, json, sys
from huggingface_fast import HuggingFaceModelClient

assert importlib.util.find_spec("kit") is None
pieces = []
entry = {"model": sys.argv[1], "device": "cpu", "max_tokens": 50, "quantization": "int8"}
client = HuggingFaceModelClient(entry, on_text=pieces.append)

def ask(**options):
    said = {"messages": [{"role": "user", "content": "Hi"}], **options}
    return client.message_retrieval(client.create(said))[0]

text = ask(max_tokens=5)
yes = {"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"]}
yes["additionalProperties"] = False
tool = {"name": "decide", "description": "Decide.", "parameters": yes}
print(json.dumps({
    "streamed": "".join(pieces) == text != "",
    "called": ask(tools=[{"type": "function", "function": tool}]).tool_calls[0].function.name,
    "fits": list(json.loads(ask(response_format=yes))),
}))
"""
REFUSALS = """
import sys
from huggingface import HuggingFaceModelClient

fields = {"stream": True, "quantization": "int8", "response_format": {"type": "json_object"}}
fields |= {"tools": [{"type": "function", "function": {"name": "f"}}], "prefix_cache": 100}
client = HuggingFaceModelClient({"model": sys.argv[1], "device": "cpu"})
hi = [{"role": "user", "content": "Hi"}]
for name, value in fields.items():
    for refused in (
        lambda: HuggingFaceModelClient({**client.config, name: value}),
        lambda: client.create({"messages": hi, name: value}),
    ):
        try:
            refused()
        except ValueError as error:
            assert f"`{name}`" in str(error) and "huggingface_fast" in str(error), error
            print(name)
"""


@pytest.fixture
def alone():
    """A command that starts a Python which has the packages but no kit, and its environment.

    Without its `site` module (`-S`), Python reads no .pth file, so an editable `kit` can't be imported;
    the installed packages are named by hand. The programs themselves make sure of it.
    """
    quick = os.environ["PYTHONPATH"].partition(os.pathsep)[0]  # as tests/conftest.py has it
    packages = os.pathsep.join([quick, *{sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}])
    return [sys.executable, "-S"], {**os.environ, "PYTHONPATH": packages}


@pytest.fixture
def chat_alone(chat_beside, alone):
    """Chat with a client, copied alone into an empty folder, and return what was said."""
    python, environment = alone
    return lambda client, *arguments: chat_beside(python, client, *arguments, env=environment)


@pytest.fixture
def run_alone(tmp_path, alone):
    """Run a program of the empty folder, and return the lines that it prints."""
    python, environment = alone

    def run(program, *arguments):
        command = [*python, "-c", program, *map(str, arguments)]
        # `-c` looks for modules in the current folder, as a program does in its own
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


def test_the_dummy_client_alone_chats(chat_alone):
    chat = chat_alone("dummy")
    assert chat["history"] == [
        "What is the capital of France?",
        "Paris.",
        "What is the capital of Italy?",
        "Rome.",
    ]
    assert chat["retrieved"] == 2
    # 11 and 18 words in; "Paris." twice, "Rome." and "or Roma" out
    used = {"cost": pytest.approx(0.079), "prompt_tokens": 29, "completion_tokens": 5, "total_tokens": 34}
    assert chat["usage"]["dummy"] == used


@pytest.mark.slow
@pytest.mark.parametrize("client", ["huggingface", "huggingface_fast"])
def test_the_hugging_face_client_alone_chats(chat_alone, local_model_folder, client):
    chat = chat_alone(client, local_model_folder)
    assert "Paris" in chat["history"][1]
    assert len(chat["history"]) == 4 and chat["history"][3]
    assert chat["retrieved"] == 2
    assert 0 < chat["usage"][local_model_folder]["completion_tokens"] <= 32


def test_the_folder_beside_the_plain_file_streams_calls_a_tool_and_fits_a_schema(
    run_alone, tmp_path, tiny_folder
):
    shutil.copy(CLIENTS / "huggingface.py", tmp_path)
    shutil.copytree(CLIENTS / "huggingface_fast", tmp_path / "huggingface_fast")
    able = json.loads(run_alone(ABILITIES, tiny_folder)[-1])
    assert able == {"streamed": True, "called": "decide", "fits": ["yes"]}


def test_the_plain_file_alone_refuses_what_it_lacks_and_names_the_folder(run_alone, tmp_path, tiny_folder):
    shutil.copy(CLIENTS / "huggingface.py", tmp_path)
    names = run_alone(REFUSALS, tiny_folder)
    lacks = ["stream", "quantization", "response_format", "tools", "prefix_cache"]
    assert names == [name for name in lacks for _ in ("in the entry", "in a call")]


@pytest.mark.slow
def test_the_recording_client_alone_records_and_replays(chat_alone, tmp_path):
    recorded = chat_alone("recording", "record")
    assert recorded["history"][1::2] == ["Paris.", "Rome."]
    assert recorded["retrieved"] == 2
    used = {"cost": 1.0, "prompt_tokens": 8, "completion_tokens": 2, "total_tokens": 10}
    assert recorded["usage"]["capitals"] == used
    text = (tmp_path / "talk.jsonl").read_text(encoding="utf-8")
    assert len(text.splitlines()) == 2 and "sk-never" not in text
    assert chat_alone("recording", "replay") == recorded
    assert (tmp_path / "talk.jsonl").read_text(encoding="utf-8") == text


README = (HERE.parents[1] / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(
    r"^```python\n(.*?)^```", README.split("## In your own project")[1].split("\n## ")[0], re.M | re.S
)


def test_the_program_that_the_readme_prints_runs_beside_the_copied_file(tmp_path, local_model_folder):
    hub_name = '"HuggingFaceTB/SmolLM2-1.7B-Instruct"'
    assert hub_name in PROGRAMS[0]
    (tmp_path / "program.py").write_text(PROGRAMS[0].replace(hub_name, repr(local_model_folder)))
    shutil.copy(CLIENTS / "huggingface.py", tmp_path)
    run = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True)
    assert "Paris" in run.stdout, run.stderr


# In the place of a model that would take its time: it calls the tool that it is offered, once.
QUICK_MODEL = """
from dummy import DummyModelClient, tool_call

class HuggingFaceModelClient(DummyModelClient):
    def _answers(self, messages, n):
        asked = self.calls[-1].get("tools") and messages[-1]["role"] == "user"
        return [tool_call("temperature", city="Paris") if asked else "Paris."] * n
"""


def test_what_the_readme_adds_for_groups_tools_and_a_check_goes_on_from_that_program(tmp_path):
    (tmp_path / "program.py").write_text("\n".join(PROGRAMS))
    (tmp_path / "huggingface.py").write_text(QUICK_MODEL)
    shutil.copy(CLIENTS / "dummy.py", tmp_path)
    run = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "Next speaker: assistant" in run.stdout and "Next speaker: critic" in run.stdout
    assert "Output:\n21 degrees" in run.stdout
    assert "✔" in run.stdout and "✘" not in run.stdout, run.stdout


def test_the_versions_that_the_readme_prints_are_those_of_the_requirements():
    pinned = text_of("requirements.txt")
    named = set(re.findall(r"[a-z]+(?:\[openai\])?==[\d.]+", README))
    assert len(named) > 4
    for requirement in named:
        assert re.search(rf"^{re.escape(requirement)}[\s;]", pinned, re.M), requirement
