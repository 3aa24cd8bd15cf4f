"""The program that the builder shows: the blog's three steps for the list in the form, ready to run."""

import subprocess
import sys

import pytest

from kit.editor import ConfigListEditor
from kit.fields import FIELDS

pytestmark = pytest.mark.usefixtures("folder")
CLASS = next(field for field in FIELDS if field.name == "model_client_cls")


@pytest.fixture
def editor():
    editor = ConfigListEditor()
    editor.add("Dummy (no model)")
    return editor


def answer(program):
    """Run the program as a learner does and return the last line that it prints (AutoGen logs above)."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_the_program_for_the_dummy_runs(editor):
    assert answer(editor.python()) == "Hello from the dummy!"


@pytest.mark.usefixtures("local_model_folder")
def test_the_program_for_the_local_model_runs():
    editor = ConfigListEditor()
    editor.add("Local Hugging Face model")
    assert "Paris" in answer(editor.python())


def test_two_entries_of_one_class_are_registered_twice_and_imported_once(editor, capsys):
    editor.duplicate()
    program = editor.python()
    assert program.count("agent.register_model_client(DummyModelClient)\n") == 2
    assert program.count("from kit import DummyModelClient\n") == 1
    exec(program, {})
    assert capsys.readouterr().out.endswith("Hello from the dummy!\n")


def test_a_class_of_ones_own_is_left_to_define(editor):
    editor.set_text(CLASS, "MyClient")
    program = editor.python()
    assert "# MyClient is your own: define it here, or import it\n" in program
    assert "agent.register_model_client(MyClient)\n" in program


def test_a_class_name_that_is_none_never_becomes_a_line_of_the_program(editor):
    editor.set_text(CLASS, "X)\nimport os; os.abort(")
    assert "\nimport os" not in editor.python()


def test_a_secret_is_read_from_the_environment(monkeypatch):
    editor = ConfigListEditor()
    editor.add("OpenAI-compatible server")
    assert "import os" not in editor.python()
    editor.set_extra_text('{"api_key": "sk-typed"}')
    program = editor.python()
    assert """'api_key': os.environ["OPENAI_API_KEY"]""" in program
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    made = {}
    exec(program.split("question =")[0], made)
    assert made["agent"].llm_config["config_list"][0]["api_key"] == "sk-from-the-environment"
