"""What is known of a model client class: what it takes, and whether its model is loaded here."""

import inspect
import subprocess
import sys

import pytest

import kit
from kit.checks.protocol import model_clients
from kit.widgets.classes import arguments_of, is_loaded_here, kit_clients, notebook

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
MINE = f"""
class Mine:
    def __init__(self, config, folder, depth=3, *, loader=None, **options):
        self.config = config

    def create(self, params):
        return params["messages"]
{METHODS}
"""
MINE_TAKES = {"folder": "", "depth": "3", "loader": "None"}
DUMMY_TAKES = {"replies": "None", "delay": "0", "on_text": "None"}


# Arguments


@pytest.mark.parametrize(
    ("signature", "arguments"),
    [
        ("self, config", {}),
        ("self, config, **kwargs", {}),
        ("self, config, folder, depth=3, *, loader=None, **options", MINE_TAKES),
        ("self, config, text='a', /, other=(1, 'b')", {"other": "(1, 'b')"}),  # AutoGen passes by name
        ("self, *args, loader", {"loader": ""}),
        ("self, *, config", {"config": ""}),
        ("self", {}),
    ],
)
def test_what_comes_after_the_entry_is_an_argument_with_its_default(cells, signature, arguments):
    names = cells(f"class Takes:\n    def __init__({signature}):\n        pass\n")
    assert arguments_of("Takes", names) == arguments


@pytest.mark.parametrize(
    ("texts", "name", "arguments"),
    [
        ([MINE, "class Child(Mine):\n    pass\n"], "Child", MINE_TAKES),
        ([MINE, "Alias = Mine\nclass Child(Alias):\n    pass\n"], "Child", MINE_TAKES),
        ([MINE, "class Child(Mine):\n    def __init__(self, config, own): ..."], "Child", {"own": ""}),
        ([MINE, MINE.replace("folder", "place")], "Mine", {"place": "", "depth": "3", "loader": "None"}),
        ([f"%who_ls\n{MINE}"], "Mine", MINE_TAKES),
        (["from kit import DummyModelClient as D\nclass Child(D):\n    pass\n"], "Child", DUMMY_TAKES),
        (["class DummyModelClient:\n    def __init__(self, config, own=1): ..."], "DummyModelClient",
         {"own": "1"}),
    ],
    ids=["inherited", "by alias", "its own", "run again", "with a magic", "of the kit", "like the kit's"],
)  # fmt: skip
def test_the_class_is_the_notebooks_as_it_is_now(cells, texts, name, arguments):
    assert arguments_of(name, cells(*texts)) == arguments


@pytest.mark.parametrize(
    "default", ["'sk-recognisable'", "os.environ['MY_OWN_KEY']", "{'token': 'recognisable'}"]
)
@pytest.mark.parametrize("name", ["own", "api_key"])
def test_a_key_in_a_default_is_not_shown(cells, monkeypatch, default, name):
    monkeypatch.setenv("MY_OWN_KEY", "hunter2-recognisable")
    names = cells(f"import os\nclass Takes:\n    def __init__(self, config, {name}={default}): ...")
    shown = arguments_of("Takes", names)[name]
    assert "**********" in shown
    assert "recognisable" not in shown


@pytest.mark.parametrize("name", ["Nobody", "", "int", "diagnose", "Report", "__builtins__", "number"])
def test_of_a_name_that_is_not_a_client_here_nothing_is_known(name):
    names = {"number": 5, "__builtins__": __builtins__}
    assert arguments_of(name, names) == {}
    assert not is_loaded_here(name, names)


def test_a_class_that_can_not_be_inspected_takes_nothing_that_is_known():
    class Meta(type):
        @property
        def __signature__(cls):
            raise RuntimeError("no")

    assert arguments_of("Odd", {"Odd": Meta("Odd", (), {})}) == {}
    assert arguments_of("Made", {"Made": type("Made", (), {})}) == {}


def test_asking_runs_nothing_of_a_class(cells):
    names = cells("class Trap:\n    def __init__(self, config, own=1):\n        raise SystemExit\n")
    assert arguments_of("Trap", names) == {"own": "1"}


# The classes of the kit


@pytest.mark.parametrize("name", kit_clients())
def test_what_the_kits_classes_take_is_what_their_constructors_take(name):
    parameters = [*inspect.signature(getattr(kit, name)).parameters.values()][1:]
    written = {p.name: "" if p.default is p.empty else repr(p.default) for p in parameters}
    written.pop("kwargs", None)
    assert arguments_of(name, {}) == written != {}


def test_the_hugging_face_client_is_known_without_torch():
    program = (
        "import sys; from kit.widgets.classes import *\n"
        "print([arguments_of(name, {}) for name in kit_clients()])\n"
        "print(is_loaded_here('HuggingFaceModelClient', {}))\n"
        "print({'torch', 'transformers', 'autogen'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == ""
    arguments, is_here, loaded = done.stdout.splitlines()
    assert "loaded_model" in arguments
    assert (is_here, loaded) == ("True", "set()")


# Where its model is


def test_a_model_is_loaded_here_by_the_hugging_face_client_and_what_is_made_from_it(cells):
    names = cells(
        "from kit import DummyModelClient\nclass HuggingFaceModelClient:\n    pass\n"  # a copied file's
        "class Child(HuggingFaceModelClient):\n    pass\n"
        "class Grandchild(Child):\n    pass\n"
    )
    for name in ("HuggingFaceModelClient", "Child", "Grandchild"):
        assert is_loaded_here(name, names)
    assert is_loaded_here("HuggingFaceModelClient", {})
    for name in ("DummyModelClient", "RecordingModelClient", "Nobody", ""):
        assert not is_loaded_here(name, names)


# The notebook


def test_only_complete_classes_are_offered(cells):
    half = "class Half:\n    def create(self, params):\n        pass\n"
    names = cells(MINE, f"{half}_Hidden = Mine\nmade = Mine({{}}, 'folder')\n")
    names["Trap"] = type("Trap", (), {"__init__": lambda self: 1 / 0, "create": 5})
    assert list(model_clients(names)) == ["Mine"]


def test_outside_of_a_notebook_there_are_no_variables():
    assert notebook() == {}
