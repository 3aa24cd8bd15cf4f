"""What is known of a class without running it, and of a model without loading it."""

import subprocess
import sys

import pytest

from kit.checks.protocol import model_clients
from kit.widgets.classes import facts, kit_clients, notebook

pytestmark = pytest.mark.usefixtures("folder")
METHODS = """
    def message_retrieval(self, response):
        return [choice.message.content for choice in response.choices]

    def cost(self, response):
        return 0

    @staticmethod
    def get_usage(response):
        return {}
"""


@pytest.fixture
def run(cells):
    """Run cells as a notebook does, and return its variables; METHODS stands for what each class needs."""
    return lambda *texts: cells(*(text.replace("    METHODS\n", METHODS) for text in texts))


MINE = """
class Mine:
    def __init__(self, config, folder, depth=3, *, loader=None, **options):
        self.config = config
        self.device = config.get("device", "cpu")
        self.length = config["params"]["max_length"]

    def create(self, params):
        return params["messages"], params.get("colour", "blue"), self.config.get("room")

    METHODS
"""


def test_a_class_of_a_notebook_tells_arguments_and_fields_with_their_defaults(run):
    known = facts("Mine", run(MINE))
    assert known.arguments == {"folder": "", "depth": "3", "loader": "None"}
    assert known.fields == {
        ("device",): "'cpu'",
        ("params", "max_length"): "",
        ("colour",): "'blue'",
        ("room",): "",
    }


def test_a_cell_that_is_run_again_counts_as_it_is_now(run):
    run(MINE)
    assert "dtype" not in {path[0] for path in facts("Mine", run(MINE)).fields}
    assert ("dtype",) in facts("Mine", run(MINE.replace('"device"', '"dtype"'))).fields


def reads(run, *lines, method="__init__(self, config)"):
    """Return the fields that a class reads whose method has these lines."""
    body = "\n".join(f"        {line}" for line in lines)
    return facts("Reads", run(f"class Reads:\n    def {method}:\n{body}\n    METHODS\n")).fields


@pytest.mark.parametrize(
    ("lines", "fields"),
    [
        (['config["a"]'], {("a",): ""}),
        (['config.get("a")'], {("a",): ""}),
        (['config.get("a", [1, 2])'], {("a",): "[1, 2]"}),
        (['config["a"]["b"].get("c", 5)'], {("a", "b", "c"): "5"}),
        (['config.get("a", {}).get("b", 1)'], {("a", "b"): "1"}),
        (['(config.get("a") or {}).get("b", 1)'], {("a", "b"): "1"}),
        (['options = config["a"]', 'options["b"]'], {("a", "b"): ""}),
        (['options = config.get("a") or {}', 'x = options.get("b", 2)'], {("a", "b"): "2"}),
        (["options = config", 'options["a"]'], {("a",): ""}),
        (["self.config = config", 'self.config["a"]'], {("a",): ""}),
        (["self._config = config", 'self._config.get("a", 0)'], {("a",): "0"}),
        (['config["a"]', 'config.get("a", 7)'], {("a",): "7"}),
        (['config["model_client_cls"]', 'config["tools"]'], {}),
        (["config[name]", "config.get(name)", "config.items()", 'other["a"]', "config.get()"], {}),
        (['if config.get("a"):', '    return config["b"]'], {("a",): "", ("b",): ""}),
    ],
)
def test_what_is_read_of_an_entry_is_found_however_it_is_written(run, lines, fields):
    assert reads(run, *lines) == fields


def test_in_create_the_second_argument_holds_the_entrys_fields_and_elsewhere_it_does_not(run):
    assert reads(run, 'params["a"]', 'params["messages"]', method="create(self, params)") == {("a",): ""}
    assert reads(run, 'response["a"]', method="helper(self, response)") == {}


def test_a_class_inherits_arguments_and_fields_of_a_class_in_the_notebook(run):
    names = run(
        MINE,
        "class Child(Mine):\n    def cost(self, response):\n        return self.config['price2']\n",
        "class Grown(Child):\n    def __init__(self, config, own):\n        self.a = config['own_field']\n",
    )
    child = facts("Child", names)
    assert child.arguments == facts("Mine", names).arguments
    assert child.fields == {**facts("Mine", names).fields, ("price2",): ""}
    grown = facts("Grown", names)
    assert grown.arguments == {"own": ""}
    assert grown.fields == {**child.fields, ("own_field",): ""}


def test_a_class_inherits_from_the_kit(run):
    names = run(
        "from kit import DummyModelClient\n"
        "class Child(DummyModelClient):\n    def cost(self, response):\n        return self.config['fee']\n"
    )
    assert facts("Child", names).arguments == {"replies": "None", "delay": "0", "on_text": "None"}
    assert {("params", "replies"), ("fee",)} <= set(facts("Child", names).fields)


def test_a_base_that_is_no_model_client_by_itself_counts(run):
    names = run(
        "class Base:\n    def __init__(self, config, folder):\n        self.config = config['based']\n"
        "class Child(Base):\n    def create(self, params):\n        pass\n    METHODS\n"
    )
    assert facts("Child", names).arguments == {"folder": ""}
    assert ("based",) in facts("Child", names).fields


def test_a_base_is_found_by_an_alias(run):
    names = run(MINE, "Alias = Mine\nclass Child(Alias):\n    def cost(self, response):\n        return 1\n")
    assert facts("Child", names).arguments == facts("Mine", names).arguments


def test_a_class_without_methods_of_its_own_has_those_of_its_base(run):
    names = run(MINE, "class Child(Mine):\n    pass\n")
    assert facts("Child", names) == facts("Mine", names)


def test_classes_that_name_each_other_after_a_cell_was_run_again_come_to_an_end(run):
    method = "    def cost(self, response):\n        return self.config['x']\n"
    names = run(MINE, f"class Child(Mine):\n{method}", f"class Mine(Child):\n{method}")
    assert ("x",) in facts("Mine", names).fields


def test_a_class_that_has_the_name_of_its_base_comes_to_an_end(run):
    run("from kit import DummyModelClient")
    names = run(
        "class DummyModelClient(DummyModelClient):\n"
        "    def cost(self, response):\n        return self.config['x']\n"
    )
    assert ("x",) in facts("DummyModelClient", names).fields


def test_a_cell_with_a_magic_in_it_is_read_all_the_same(run):
    names = run(f"%who_ls\n{MINE}")
    assert facts("Mine", names).arguments == {"folder": "", "depth": "3", "loader": "None"}


def test_a_class_whose_text_is_nowhere_is_known_and_takes_nothing_that_is_known():
    made = type("Made", (), {name: lambda self, *_: None for name in ("create", "cost")})
    known = facts("Made", {"Made": made})
    assert (known.arguments, known.fields) == ({}, {})


@pytest.mark.parametrize("name", ["Nobody", "", "int", "diagnose", "__builtins__"])
def test_a_name_that_is_no_class_here_is_unknown(name):
    assert facts(name, {"number": 5, "__builtins__": __builtins__}) is None


def test_only_complete_classes_are_offered(run):
    half = "class Half:\n    def create(self, params):\n        pass\n"
    names = run(MINE, f"{half}_Hidden = Mine\nmade = Mine({{'params': {{'max_length': 1}}}}, 'folder')\n")
    assert list(model_clients(names)) == ["Mine"]


def test_reading_runs_nothing(run):
    names = run(MINE)
    names["Trap"] = type("Trap", (), {"__init__": lambda self: 1 / 0, "create": 5})
    assert "Trap" not in model_clients(names)
    assert facts("Trap", names).fields == {}


def test_outside_of_a_notebook_there_are_no_variables():
    assert notebook() == {}


# The classes of the kit


def test_the_kits_classes_are_read_without_torch_autogen_or_transformers():
    program = (
        "import sys; from kit.widgets.classes import *\n"
        "print({name: facts(name, {}) for name in kit_clients()})\n"
        "print({'torch', 'transformers', 'autogen', 'openai'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "set()"
    assert "HuggingFaceModelClient" in done.stdout


def test_what_the_kits_classes_take_is_what_they_take():
    assert kit_clients() == ["DummyModelClient", "HuggingFaceModelClient", "RecordingModelClient"]
    dummy = facts("DummyModelClient", {})
    assert dummy.arguments == {"replies": "None", "delay": "0", "on_text": "None"}
    assert facts("RecordingModelClient", {}).arguments == {"path": "", "client": "None"}
    assert dummy.fields[("params", "replies")] == "'This is a dummy reply.'"
    hugging_face = facts("HuggingFaceModelClient", {})
    assert {("device",), ("dtype",), ("quantization",), ("prefix_cache",)} <= set(hugging_face.fields)
