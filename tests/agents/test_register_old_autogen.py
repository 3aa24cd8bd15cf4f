"""register_model_clients under Microsoft's last AutoGen 0.2, in an environment of its own."""

import json
import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow  # the environment takes a minute to make
def test_it_registers_under_autogen_0_2(old_python, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    program = [old_python, str(HERE / "register_in_old_autogen.py")]
    done = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "version": "0.2.40",
        "all entries": "assistant, entry 0 (dummy): DummyModelClient ready\n"
        "assistant, entry 1 (b): DummyModelClient ready",
        "a class": "Hello!",
        "an object": "I am an object.",
        "no list": "One entry.",
        "after tools": [
            "assistant, entry 0 (dummy): DummyModelClient NOT registered: "
            "pass this class too, before the chat",
            "back",
        ],
        "group": [["chat_manager", "speaker selection"], ["cat", "ben", "ann"]],
        "refused": "No entry of 'assistant' names Selector. Its entries with a \"model_client_cls\":",
        "no model": "no entry names a model_client_cls",
    }
