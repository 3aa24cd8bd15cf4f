"""Each client file stands alone: copied into an empty folder, it works where there is no kit."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CLIENTS = HERE.parents[1] / "kit" / "clients"


@pytest.fixture
def chat_alone(chat_beside):
    """Chat with a client file, copied alone into an empty folder, and return what was said.

    Without its `site` module (`-S`), Python reads no .pth file, so an editable `kit` can't be imported;
    the installed packages are named by hand. The program itself makes sure of it.
    """
    quick = os.environ["PYTHONPATH"].partition(os.pathsep)[0]  # as tests/conftest.py has it
    packages = os.pathsep.join([quick, *{sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}])

    def chat(client, *arguments):
        environment = {**os.environ, "PYTHONPATH": packages}
        return chat_beside([sys.executable, "-S"], client, *arguments, env=environment)

    return chat


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
def test_the_hugging_face_client_alone_chats(chat_alone, local_model_folder):
    chat = chat_alone("huggingface", local_model_folder)
    assert "Paris" in chat["history"][1]
    assert len(chat["history"]) == 4 and chat["history"][3]
    assert chat["retrieved"] == 2
    assert 0 < chat["usage"][local_model_folder]["completion_tokens"] <= 32


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


def test_the_program_that_the_readme_prints_runs_beside_the_copied_file(tmp_path, local_model_folder):
    readme = (HERE.parents[1] / "README.md").read_text(encoding="utf-8")
    program = re.search(r"^```python\n(.*?)^```", readme, re.M | re.S)[1]
    hub_name = '"HuggingFaceTB/SmolLM2-1.7B-Instruct"'
    assert hub_name in program
    (tmp_path / "program.py").write_text(program.replace(hub_name, repr(local_model_folder)))
    shutil.copy(CLIENTS / "huggingface.py", tmp_path)
    run = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True)
    assert "Paris" in run.stdout, run.stderr
