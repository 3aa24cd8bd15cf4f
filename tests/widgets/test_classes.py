"""What is known of a class without running it, and of a model without loading it."""

import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from kit.inspection import facts, kit_clients, model_clients, notebook, what_loading_takes

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
        "import sys; from kit.inspection import *\n"
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


# What loading a model takes


@pytest.fixture
def memory(monkeypatch):
    def free(amount):
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=amount))

    return free


@pytest.fixture
def model(folder):
    """A folder with two files of weights, 3 MB together, and something else."""
    (folder / "my model").mkdir()
    (folder / "my model" / "config.json").write_text("{}")
    for name, size in (("1.safetensors", 1_000_000), ("2.safetensors", 2_000_000), ("x.bin", 9_000_000)):
        (folder / "my model" / name).write_bytes(b"\0" * size)
    return "my model"


def test_a_folder_tells_its_size_and_what_is_free(model, memory):
    memory(8_000_000_000)
    assert what_loading_takes({"model": model, "device": "cpu"}) == (
        "Loading takes 0.00 GB (twice that where bfloat16 becomes float32); "
        "8.0 GB of memory are free. It runs on cpu."
    )


@pytest.mark.parametrize(("free", "fits"), [(3_000_001, True), (3_000_000, True), (2_999_999, False)])
def test_a_model_that_is_too_big_for_the_memory_is_told(model, memory, free, fits):
    memory(free)
    told = what_loading_takes({"model": model, "device": "cpu"})
    assert told.endswith("It runs on cpu.") == fits
    assert told.endswith("That may not fit: choose a smaller model.") != fits


@pytest.mark.parametrize("device", [None, "auto", ""])
def test_without_a_device_the_fastest_is_named_once_torch_is_there(model, memory, device, monkeypatch):
    memory(10**10)
    monkeypatch.setitem(sys.modules, "torch", None)
    told = what_loading_takes({"model": model, "device": device})
    assert told.endswith("It runs on the fastest device here.")
    backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: True))
    cuda = SimpleNamespace(is_available=lambda: False)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda, backends=backends))
    assert what_loading_takes({"model": model}).endswith("It runs on mps.")


def test_a_folder_without_safetensors_says_so(folder):
    (folder / "config.json").write_text("{}")
    assert what_loading_takes({"model": "."}) == "'.' has no safetensors, the only weights that are loaded."


def test_a_model_in_the_hubs_cache_is_found_without_a_network(folder, memory, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    snapshot = folder / "hub" / "models--some--model" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc")
    (snapshot / "config.json").write_text("{}")
    (snapshot / "model.safetensors").write_bytes(b"\0" * 20_000_000)
    memory(10**10)
    assert what_loading_takes({"model": "some/model"}).startswith("Loading takes 0.02 GB")
    told = what_loading_takes({"model": "some/other"})
    assert told == "'some/other' is to be fetched from the model hub first: its size is not known here."


@pytest.mark.parametrize(
    "name", ["nothing-here", "", "a/b/c", "~nobody-here", "x" * 300, "y" * 5000, "\0", 5, None, ["a"]]
)
def test_a_name_that_is_no_model_here_is_told_and_raises_nothing(name):
    assert what_loading_takes({"model": name}).endswith("is not on this machine: its size is not known here.")
    assert "not known" in what_loading_takes({})
