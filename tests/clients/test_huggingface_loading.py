"""HuggingFaceModelClient loading: from a folder, from the hub's cache, shared, passed in, or refused."""

import gc
import json
import os
import shutil
import subprocess
import sys
import weakref

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BartConfig,
    BertConfig,
    CLIPConfig,
    LlamaConfig,
    T5Config,
)

from kit.agents.inside import clients_of
from kit.clients.huggingface import HuggingFaceModelClient as Plain
from kit.clients.huggingface_fast import HuggingFaceModelClient

HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture(autouse=True)
def no_models_yet():
    """Start each test as a new process would."""
    HuggingFaceModelClient.unload()


def refusal(client_class=HuggingFaceModelClient, **entry):
    """The text of the error that an entry leads to."""
    with pytest.raises(ValueError) as caught:
        client_class(entry)
    return str(caught.value)


@pytest.fixture
def broken(tiny_folder, tmp_path):
    """A function that copies the tiny model's folder, calls a function to change it, and returns its name."""

    def copy(change):
        folder = shutil.copytree(tiny_folder, tmp_path / "broken")
        change(folder)
        return str(folder)

    return copy


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
    monkeypatch.setattr("transformers.integrations.accelerate.is_accelerate_available", lambda: False)
    assert "pip install accelerate" in refusal(model=str(tiny_folder), device_map="auto")


# Folders ------------------------------------------------------------------------------------------


def test_loading_shows_progress_on_stderr_only(tiny_folder, capfd):
    HuggingFaceModelClient({"model": str(tiny_folder)})
    out, err = capfd.readouterr()
    assert "Loading weights" in err
    assert out == ""


@pytest.mark.parametrize("client_class", [HuggingFaceModelClient, Plain])
@pytest.mark.parametrize("name", ["", "model.gguf"])
def test_a_gguf_file_or_a_folder_of_it_has_to_be_converted(tmp_path, name, client_class):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    message = refusal(client_class, model=str(tmp_path / name))
    assert "it has no config.json" in message
    assert "A GGUF file has to be converted first" in message


def test_no_model_named_is_said_so():
    assert "Can't load a language model from None" in refusal(device="cpu")


@pytest.mark.parametrize("client_class", [HuggingFaceModelClient, Plain])
def test_a_weight_that_is_missing_in_the_files_is_named(broken, client_class):
    def leave_one_out(folder):
        weights = load_file(folder / "model.safetensors")
        del weights["model.layers.0.self_attn.q_proj.weight"]
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    message = refusal(client_class, model=broken(leave_one_out))
    assert "its files lack 1 of its weights (model.layers.0.self_attn.q_proj.weight" in message


def test_a_head_that_is_tied_to_the_embeddings_is_not_missing(tiny_folder, tmp_path):
    config = AutoConfig.from_pretrained(tiny_folder, tie_word_embeddings=True)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_folder).save_pretrained(tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    client = HuggingFaceModelClient({"model": str(tmp_path), "max_tokens": 2})
    assert client.create({"messages": HI}).usage.completion_tokens == 2


def test_a_model_in_shards_loads_unless_one_is_missing(tiny_model, tmp_path):
    for part in tiny_model:
        part.save_pretrained(tmp_path, max_shard_size="4MB")
    assert HuggingFaceModelClient({"model": str(tmp_path)}).model
    HuggingFaceModelClient.unload()
    shard = sorted(tmp_path.glob("model-*.safetensors"))[1]
    shard.unlink()
    assert shard.name in refusal(model=str(tmp_path))


SMALL = {"vocab_size": 100, "hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2}
OTHERS = {
    "BertForMaskedLM": BertConfig(**SMALL, num_hidden_layers=1),  # transformers would let it write
    "BertModel": BertConfig(**SMALL, num_hidden_layers=1),
    "LlamaForSequenceClassification": LlamaConfig(**SMALL, num_hidden_layers=1),
    "T5ForConditionalGeneration": T5Config(
        vocab_size=100, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2
    ),
    "BartForConditionalGeneration": BartConfig(
        vocab_size=100,
        d_model=8,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
    ),
    "CLIPModel": CLIPConfig(),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_model_that_does_not_continue_a_text_is_refused(tiny_model, tmp_path, kind):
    tiny_model[1].save_pretrained(tmp_path)
    if kind == "CLIPModel":  # its configuration is enough, and its weights are large
        OTHERS[kind].architectures = [kind]
        OTHERS[kind].save_pretrained(tmp_path)
    else:
        getattr(transformers, kind)(OTHERS[kind]).save_pretrained(tmp_path)
    message = refusal(model=str(tmp_path))
    assert f"it holds a {kind}, and this client needs a model that continues a text" in message
    assert "\n" not in message


RAN = "open('ran', 'w')"


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_that_comes_with_a_model_is_not_run_and_nobody_is_asked(broken, file, monkeypatch, folder):
    def bring_code(model):
        (model / "code.py").write_text(RAN)
        own = {"model_type": "own", "tokenizer_class": "Own", "auto_map": {"AutoConfig": "code.Own"}}
        own["auto_map"] |= {"AutoModelForCausalLM": "code.Own", "AutoTokenizer": ["code.Own", None]}
        (model / file).write_text(json.dumps({**json.loads((model / file).read_text()), **own}))

    monkeypatch.setattr("builtins.input", None)
    message = refusal(model=broken(bring_code))
    assert "it needs Python code of its own, which this client does not run" in message
    assert "register with loaded_model= and tokenizer=" in message
    assert not (folder / "ran").exists()


def test_pickled_weights_are_refused(broken):
    def pickle(model):
        torch.save(load_file(model / "model.safetensors"), model / "pytorch_model.bin")
        (model / "model.safetensors").unlink()

    assert "its weights are pickled (.bin)" in refusal(model=broken(pickle))


def test_a_folder_without_a_tokenizer_is_refused(broken):
    def forget(model):
        for path in model.glob("token*"):
            path.unlink()

    assert "it has no tokenizer: copy tokenizer.json and" in refusal(model=broken(forget))


# Adapters -----------------------------------------------------------------------------------------


def adapter(folder, base):
    """Write what tells transformers and peft that a folder holds an adapter."""
    content = {"base_model_name_or_path": base, "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4}
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({**content, "target_modules": ["q_proj"]}))
    return str(folder)


def test_an_adapter_without_peft_names_the_pip_command(tiny_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("kit.clients.huggingface_fast.loading.is_peft_available", lambda: False)
    assert "pip install peft" in refusal(model=adapter(tmp_path, str(tiny_folder)))


def test_an_adapter_beside_a_model_is_not_left_out_in_silence(broken, tiny_folder):
    both = broken(lambda folder: adapter(folder, str(tiny_folder)))
    assert "it holds both a model and an adapter" in refusal(model=both)
    assert "it holds an adapter, which the client in the folder huggingface_fast can load" in refusal(
        Plain, model=both
    )


@pytest.mark.parametrize(("base", "told"), [(None, "names no base_model"), ("./nowhere", "isn't a folder")])
def test_an_adapter_without_its_base_is_refused(tmp_path, monkeypatch, base, told):
    monkeypatch.setattr("kit.clients.huggingface_fast.loading.is_peft_available", lambda: True)
    assert told in refusal(model=adapter(tmp_path, base))


@pytest.mark.parametrize("entry", [{}, {"quantization": "int8"}])
def test_an_adapter_loads_into_the_weights_of_its_base(tiny_folder, tmp_path, entry):
    peft = pytest.importorskip("peft")
    base = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype="float32")
    options = {"target_modules": ["v_proj", "down_proj"], "lora_alpha": 400, "init_lora_weights": False}
    lora = peft.LoraConfig(task_type="CAUSAL_LM", r=4, **options)
    adapted = peft.get_peft_model(base, lora)
    adapted.peft_config["default"].base_model_name_or_path = str(tiny_folder)
    adapted.save_pretrained(tmp_path)
    client = HuggingFaceModelClient({"model": str(tmp_path), "dtype": "float32", "max_tokens": 2, **entry})
    ids = torch.arange(20)[None]
    with torch.inference_mode():
        logits, expected = client.model(ids).logits, adapted(ids).logits
        with adapted.disable_adapter():
            plain = adapted(ids).logits
    assert (logits - expected).abs().max() < (plain - expected).abs().max() / 10
    assert type(client.model) is type(base)
    assert client.create({"messages": HI}).usage.completion_tokens == 2


# Damaged ------------------------------------------------------------------------------------------


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
    assert f"from {name!r}: it isn't a folder (looked from {tmp_path.name!r})" in message
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
    assert "from 'me/none': it isn't a folder (looked from " in unknown
    assert "and the model hub doesn't give it: " in unknown
    assert ("offline mode is enabled" in unknown) == (offline == "1")
    assert "Without a network, name the folder of a model that you have." in unknown
    assert "from 'none': it isn't a folder" in no_folder


# An older transformers ----------------------------------------------------------------------------

OLD = """
import sys, types
import transformers.utils
transformers.__version__ = "4.57.6"
sys.modules["transformers.utils.chat_parsing"] = None  # where what is new can't be imported
sys.modules["transformers.utils.peft_utils"] = None
"""


@pytest.mark.parametrize("module", ["huggingface", "huggingface_fast"])
def test_an_older_transformers_is_refused_with_the_pip_command(module):
    program = f"{OLD}\nimport kit.clients.{module}"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    last = run.stderr.splitlines()[-1]
    assert last == "ImportError: This needs transformers 5.20, not 4.57.6: pip install -U transformers"
