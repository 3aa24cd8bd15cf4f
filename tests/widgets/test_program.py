"""The program that the builder shows: the blog's three steps for the list in the form, ready to run."""

import re
import subprocess
import sys

import pytest

from kit.config_list.fields import FIELDS, presets
from kit.widgets.editor import ConfigListEditor

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


def output(capsys, program):
    """Run the program here, where AutoGen is loaded already, and return the last line that it prints."""
    capsys.readouterr()
    exec(program, {"__name__": "__main__"})
    return capsys.readouterr().out.splitlines()[-1]


def test_the_program_for_the_dummy_runs(editor, capsys):
    assert output(capsys, editor.python()) == "Hello from the dummy!"


@pytest.mark.usefixtures("local_model_folder")
def test_the_program_for_the_local_model_runs(capsys):
    editor = ConfigListEditor()
    editor.add("Local Hugging Face model")
    assert "Paris" in output(capsys, editor.python())


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


def test_a_class_name_with_code_in_it_never_becomes_a_line_of_the_program(editor):
    editor.set_text(CLASS, "X)\nimport os; os.abort(")
    assert "\nimport os" not in editor.python()


def test_a_secret_is_read_from_the_environment(monkeypatch):
    editor = ConfigListEditor()
    editor.add("OpenAI-compatible server")
    assert "import os" not in editor.python()
    editor.set(api_key="sk-in-the-list")
    program = editor.python()
    assert """'api_key': os.environ["LOCALHOST_8000_API_KEY"]""" in program
    monkeypatch.setenv("LOCALHOST_8000_API_KEY", "sk-from-the-environment")
    made = {}
    exec(program.split("question =")[0], made)
    assert made["agent"].llm_config["config_list"][0]["api_key"] == "sk-from-the-environment"


# Each preset: OpenAI's and Azure's own addresses are out of reach, so a server on this machine stands in

HOSTED = {
    "OpenAI": ("gpt-4o-mini", "/v1/chat/completions", "from-the-environment"),
    "Azure OpenAI": (
        "name-of-the-deployment",
        "/openai/deployments/name-of-the-deployment/chat/completions?api-version=2024-10-21",
        "from-the-environment",
    ),
    "OpenAI-compatible server": ("name-of-the-served-model", "/v1/chat/completions", "not-needed"),
    "One model for the class": ("class-model", "/v1/chat/completions", "from-the-environment"),
    "Ollama": ("llama3.2", "/v1/chat/completions", "not-needed"),
}
LOCAL = ["Dummy (no model)", "Local Hugging Face model", "A class of your own"]  # tested above and below


def test_the_program_of_every_preset_is_run_by_a_test():
    assert {*HOSTED, *LOCAL} == set(presets())


@pytest.mark.parametrize("preset", HOSTED)
def test_the_program_for_a_server_runs_and_its_key_comes_from_the_environment(
    preset, server, monkeypatch, capsys
):
    model, path, key = HOSTED[preset]
    editor = ConfigListEditor(namespace={})
    editor.add(preset)
    monkeypatch.setenv("OPENAI_BASE_URL", server.address)
    monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "from-the-environment")
    monkeypatch.setenv("CLASS_KEY", "from-the-environment")
    if "base_url" in editor.entry:
        editor.set(base_url=server.address.removesuffix("/v1" if preset == "Azure OpenAI" else ""))
    assert output(capsys, editor.python()) == "The capital of France is Paris."
    assert [(request.path, request.key) for request in server.seen] == [(path, key)]
    assert server.seen[0].body["model"] == model
    assert server.seen[0].body["messages"][-1]["content"] == "What is the capital of France?"


def test_the_program_says_which_variable_is_missing(server):
    editor = ConfigListEditor(namespace={})
    editor.add("OpenAI-compatible server")
    editor.set(base_url=server.address, api_key="${NOT_SET_HERE_KEY}")
    done = subprocess.run([sys.executable, "-c", editor.python()], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "KeyError: 'NOT_SET_HERE_KEY'"
    assert server.seen == []


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"azure_ad_token": "${MY_AD_TOKEN}"}, """'azure_ad_token': os.environ["MY_AD_TOKEN"]"""),
        (
            {"default_headers": {"Authorization": "${MY_OTHER_KEY}", "X-Room": "12"}},
            """'default_headers': {'Authorization': os.environ["MY_OTHER_KEY"], 'X-Room': '12'}""",
        ),
        ({"stop": "'**********'"}, """'stop': "'**********'"}"""),
        ({"stop": "${NO_NAME}"}, """'stop': '${NO_NAME}'"""),
        ({"organization": "${MY_ORG_SECRET}"}, """'organization': os.environ["MY_ORG_SECRET"]"""),
        (
            {"default_headers": {"Authorization": "Bearer ${MY_OTHER_KEY}"}},
            """{'Authorization': 'Bearer ' + os.environ["MY_OTHER_KEY"]}""",
        ),
        (
            {"base_url": "https://me:${IT}@host/v1?key=${ID}&a=1"},
            """'https://me:' + os.environ["IT"] + '@host/v1?key=' + os.environ["ID"] + '&a=1'""",
        ),
    ],
)
def test_references_are_read_from_the_environment_wherever_they_stand(fields, line):
    editor = ConfigListEditor(namespace={})
    editor.add("Ollama")
    editor.set(**fields)
    compile(editor.python(), "program", "exec")
    assert line in editor.python()


def test_each_secret_of_the_list_has_a_variable_of_its_own():
    """Secrets that stand in a file are shown as variables, too: no two share one, nor one referred to."""
    editor = ConfigListEditor(namespace={})
    for key in ("${OPENAI_API_KEY}", "sk-one-of-mine", "sk-two-of-mine", "sk-one-of-mine"):
        editor.add("OpenAI")
        editor.set(api_key=key, default_headers={"X-Token": "hunter2"})
    editor.add("Ollama")
    editor.set(api_key="sk-one-of-mine")
    named = re.findall(r"""'(?:api_key|X-Token)': os.environ\["(\w+)"\]""", editor.python())
    openai = ["OPENAI_API_KEY", "OPENAI_API_KEY_2", "OPENAI_API_KEY_3", "OPENAI_API_KEY_2"]
    assert named[:-1:2] == openai
    assert {*named[1::2]} == {"OPENAI_X_TOKEN"}
    assert named[-1] == "LOCALHOST_11434_API_KEY"


def test_the_cell_of_a_class_is_shown_without_its_keys(cells):
    editor = ConfigListEditor(namespace=cells(f'MY_KEY = "sk-recognisable"\n{OWN}'))
    editor.add("A class of your own")
    editor.set_text(CLASS, "Mine")
    assert "class Mine(Base)" in editor.python()
    assert "recognisable" not in editor.python()


# A class of one's own

OWN = """
import json as js
from types import SimpleNamespace as Box


def shout(text):
    return text.upper() + mark()


def mark():
    return "!"


class Base:
    def __init__(self, config, greeting, times=1):
        self.config, self.text = config, " ".join([greeting] * times)


class Mine(Base):
    \"\"\"A client of one's own.\"\"\"

    def create(self, params):
        message = Box(content=shout(js.loads(js.dumps(self.text))), function_call=None, tool_calls=None)
        return Box(id="1", choices=[Box(message=message)], model=self.config["model"])

    def message_retrieval(self, response):
        return [choice.message.content for choice in response.choices]

    def cost(self, response):
        return 0

    @staticmethod
    def get_usage(response):
        return {}
"""


@pytest.fixture
def own(cells):
    """An editor with an entry whose class is defined in a notebook."""
    editor = ConfigListEditor(namespace=cells(OWN))
    editor.add("A class of your own")
    editor.set_text(CLASS, "Mine")
    editor.set_argument("greeting", "'ahoy'")
    return editor


def test_the_program_for_a_class_of_a_notebook_has_the_cell_that_defines_it_and_runs(own, capsys):
    program = own.python()
    assert "agent.register_model_client(Mine, greeting='ahoy')\n" in program
    assert output(capsys, program) == "AHOY!"
    own.set_argument("times", "2")
    assert "agent.register_model_client(Mine, greeting='ahoy', times=2)\n" in own.python()
    assert output(capsys, own.python()) == "AHOY AHOY!"


def test_an_argument_that_is_refused_or_removed_is_not_in_the_program(own):
    own.set_argument("times", "import os")
    assert "Mine, greeting='ahoy')\n" in own.python()
    own.set_argument("greeting", "")
    assert "agent.register_model_client(Mine)\n" in own.python()


def test_a_class_that_two_entries_name_is_written_once(own, capsys):
    own.duplicate()
    assert own.python().count("class Mine(Base):") == 1
    assert own.python().count("class Base:") == 1
    assert output(capsys, own.python()) == "AHOY!"


def test_a_class_that_is_run_again_is_written_as_it_is_now(own, cells, capsys):
    cells(OWN.replace('return "!"', 'return "?"'))
    assert output(capsys, own.python()) == "AHOY?"


def test_a_class_that_inherits_from_the_kit_runs(own, cells, capsys):
    cells(
        "from kit import DummyModelClient\n"
        "class Loud(DummyModelClient):\n"
        "    def message_retrieval(self, response):\n"
        "        return [text.upper() for text in super().message_retrieval(response)]\n"
    )
    own.set(model_client_cls="Loud")
    own.set_argument("replies", "'quiet'")
    assert output(capsys, own.python()) == "QUIET"


def test_a_class_in_a_file_of_ones_own_is_imported_from_there(own, cells, folder, monkeypatch, capsys):
    (folder / "my_module_for_the_program.py").write_text(OWN.replace("class Mine", "class Filed"))
    monkeypatch.syspath_prepend(folder)
    cells("from my_module_for_the_program import Filed")
    own.set(model_client_cls="Filed")
    own.set_argument("greeting", "'filed'")
    assert output(capsys, own.python()) == "FILED!"


def test_what_is_ipythons_alone_is_no_part_of_the_program(own, cells, capsys):
    cells(f"%pwd\n!true\n{OWN}")
    assert output(capsys, own.python()) == "AHOY!"


def test_a_class_of_which_there_is_no_cell_is_left_to_define(own):
    own.set(model_client_cls="Elsewhere")
    assert "# Elsewhere is your own: define it here, or import it\n" in own.python()


@pytest.mark.usefixtures("own")
def test_the_program_needs_no_file_beside_it(own, folder):
    assert list(folder.iterdir()) == []
    assert answer(own.python()) == "AHOY!"


def test_entries_of_several_kinds_make_one_program(own, server, capsys):
    own.add("Dummy (no model)")
    own.add("Ollama")
    own.set(base_url=server.address)
    own.move(-1)
    own.move(-1)
    assert output(capsys, own.python()) == "The capital of France is Paris."
