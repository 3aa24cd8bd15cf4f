"""HuggingFaceModelClient loading: from a folder, from the hub's cache, shared, passed in, or refused."""

import gc
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import weakref

import pytest
import torch

from kit.agents.inside import clients_of
from kit.clients.huggingface_fast import HuggingFaceModelClient

HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture(autouse=True)
def no_models_yet():
    """Start each test as a new process would."""
    HuggingFaceModelClient.unload()


def refusal(error=ValueError, **entry):
    """The text of the error that an entry leads to."""
    with pytest.raises(error) as caught:
        HuggingFaceModelClient(entry)
    return str(caught.value)


# One copy of the weights --------------------------------------------------------------------------


def test_agents_that_name_the_same_model_share_its_weights(agent, tiny_folder):
    entry = {"model": str(tiny_folder), "max_tokens": 3}
    one, two = (agent(HuggingFaceModelClient, entry, name=name) for name in ("one", "two"))
    assert clients_of(one)[0].model is clients_of(two)[0].model
    assert one.generate_reply(HI) == two.generate_reply(HI)


def test_other_answering_options_or_another_spelling_of_the_path_still_share(tiny_folder, monkeypatch):
    absolute = HuggingFaceModelClient({"model": str(tiny_folder), "temperature": 0.7})
    monkeypatch.chdir(tiny_folder.parent)
    assert HuggingFaceModelClient({"model": "tiny", "device": "cpu"}).model is absolute.model
    assert HuggingFaceModelClient({"model": "./tiny/../tiny/"}).tokenizer is absolute.tokenizer


def test_another_dtype_is_another_copy(tiny_folder):
    one = HuggingFaceModelClient({"model": str(tiny_folder), "dtype": "float32"})
    two = HuggingFaceModelClient({"model": str(tiny_folder), "dtype": "bfloat16"})
    assert (one.model.dtype, two.model.dtype) == (torch.float32, torch.bfloat16)


def test_unload_frees_the_weights_once_no_client_uses_them(tiny_folder):
    client = HuggingFaceModelClient({"model": str(tiny_folder)})
    weights = weakref.ref(client.model)
    HuggingFaceModelClient.unload()
    gc.collect()
    assert client.create({"messages": HI, "max_tokens": 3}).usage.completion_tokens == 3
    assert HuggingFaceModelClient({"model": str(tiny_folder)}).model is not client.model
    del client
    gc.collect()
    assert weights() is None


# Passed in at registration ------------------------------------------------------------------------


def test_a_loaded_model_is_used_as_it_is(agent, tiny):
    model, tokenizer = tiny
    bot = agent(
        HuggingFaceModelClient,
        {"model": "any name", "device": "cuda:99", "max_tokens": 3},
        loaded_model=model,
        tokenizer=tokenizer,
    )
    [client] = clients_of(bot)
    assert client.model is model and client.tokenizer is tokenizer
    assert bot.generate_reply(HI)
    assert bot.get_total_usage()["any name"]["completion_tokens"] == 3


@pytest.mark.parametrize("alone", [0, 1])
def test_a_model_and_its_tokenizer_come_together(tiny, alone):
    one = {("loaded_model", "tokenizer")[alone]: tiny[alone]}
    with pytest.raises(ValueError, match="Pass `loaded_model` and `tokenizer` together, or neither"):
        HuggingFaceModelClient({"model": "tiny"}, **one)


def test_an_unknown_keyword_is_named(agent, tiny_folder):
    with pytest.raises(
        TypeError, match="`tokenizer`, `on_text` and `on_thought` at registration, not 'device'"
    ):
        agent(HuggingFaceModelClient, {"model": str(tiny_folder)}, device="cpu")


# Device and dtype ---------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "tpu:0", 1])
def test_a_device_that_is_not_there_is_named_beside_those_that_are(tiny_folder, device):
    message = refusal(model=str(tiny_folder), device=device)
    assert f"There is no device {device!r} here, only cpu" in message
    assert "Change `device`, or leave it out." in message


@pytest.mark.parametrize("dtype", ["float64", "int4", torch.float32])
def test_an_unknown_dtype_is_answered_with_the_known_ones(tiny_folder, dtype):
    message = refusal(model=str(tiny_folder), dtype=dtype)
    assert message == f"Unknown dtype {dtype!r}. Choose one of auto, float32, bfloat16, float16."


@pytest.mark.parametrize(
    ("cpu", "dtype"), [({"avx512_bf16": True}, torch.bfloat16), ({"avx2": True}, torch.float32)]
)
def test_dtype_auto_takes_what_is_stored_where_the_cpu_is_fast_at_it(tiny_folder, monkeypatch, cpu, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: cpu)  # stored in bfloat16
    assert HuggingFaceModelClient({"model": str(tiny_folder), "device": "cpu"}).model.dtype == dtype


def test_device_map_loads_with_accelerate(tiny_folder):
    client = HuggingFaceModelClient({"model": str(tiny_folder), "device_map": "cpu", "max_tokens": 2})
    assert client.create({"messages": HI}).usage.completion_tokens == 2


def test_device_map_without_accelerate_names_the_pip_command(tiny_folder, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "accelerate" else find_spec(name, *rest),
    )
    message = refusal(ImportError, model=str(tiny_folder), device_map="auto")
    assert message == "`device_map` needs accelerate: pip install accelerate. Or name a `device`."


# Folders ------------------------------------------------------------------------------------------


def test_loading_shows_progress_on_stderr_only(tiny_folder, capfd):
    HuggingFaceModelClient({"model": str(tiny_folder)})
    out, err = capfd.readouterr()
    assert "Loading weights" in err
    assert out == ""


def test_a_folder_without_config_json_holds_no_model(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    message = refusal(model=str(tmp_path))
    assert f"The folder {str(tmp_path)!r} has no config.json, so it holds no transformers model" in message
    assert "A GGUF file has to be converted first" in message


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("model.safetensors", None, "no file named model.safetensors"),
        ("model.safetensors", b"cut short", "Error while deserializing header"),
        ("config.json", b"{", "is not a valid JSON file"),
    ],
)
def test_a_damaged_folder_is_named_with_its_fault(tiny_folder, tmp_path, file, content, told):
    folder = shutil.copytree(tiny_folder, tmp_path / "damaged")
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    message = refusal(model=str(folder))
    assert f"Can't load a language model from {str(folder)!r}" in message
    assert told in message


@pytest.mark.parametrize("name", ["models/SmolLM2/135M", "./SmolLM2", "C:\\models\\SmolLM2"])
def test_a_path_that_leads_nowhere_says_from_where_it_looked(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    message = refusal(model=name)
    assert f"{name!r} is not a folder (looked from {tmp_path.name!r})" in message
    assert "can't be a name on the model hub" in message
    assert "Check the spelling. Without a network, name the folder of a model that you have." in message


# The model hub, out of reach ----------------------------------------------------------------------

ASK_THE_HUB = """
import json, sys
from kit.clients.huggingface_fast import HuggingFaceModelClient

def window(model, **entry):
    try:
        return HuggingFaceModelClient({"model": model, **entry}).model.config.max_position_embeddings
    except ValueError as error:
        return str(error)

print(json.dumps([window("me/tiny"), window("me/tiny", revision="v2"), window("me/none"), window("none")]))
"""


@pytest.mark.parametrize("offline", [pytest.param("0", marks=pytest.mark.slow), "1"])
def test_without_a_network_the_hubs_cache_serves_and_other_names_are_refused(tiny_folder, tmp_path, offline):
    """In a process of its own, since huggingface_hub reads these variables when it is imported."""
    cached = tmp_path / "hub" / "models--me--tiny"
    (cached / "refs").mkdir(parents=True)
    for revision, commit, window in (("main", "a" * 40, 128), ("v2", "b" * 40, 256)):
        (cached / "refs" / revision).write_text(commit)
        snapshot = shutil.copytree(tiny_folder, cached / "snapshots" / commit)
        config = json.loads((snapshot / "config.json").read_text())
        (snapshot / "config.json").write_text(json.dumps({**config, "max_position_embeddings": window}))
    nowhere = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": offline}
    run = subprocess.run(
        [sys.executable, "-c", ASK_THE_HUB], env={**os.environ, **nowhere}, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    main, v2, unknown, no_folder = json.loads(run.stdout)
    assert (main, v2) == (128, 256)
    assert "Retrying" not in run.stderr  # transformers left alone retries each file for half a minute
    assert unknown.startswith("'me/none' is not a folder (looked from ")
    assert "and the model hub does not give it: " in unknown
    assert ("offline mode is enabled" in unknown) == (offline == "1")
    assert "Without a network, name the folder of a model that you have." in unknown
    assert no_folder.startswith("'none' is not a folder")
