"""Models for the tests of HuggingFaceModelClient: the real one, loaded once, and a tiny one to take apart."""

import copy
import json
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event

import pytest

HERE = Path(__file__).parent
CLIENTS = HERE.parents[1] / "kit" / "clients"


@pytest.fixture
def chat_beside(tmp_path):
    """Run chat_alone.py beside a client file, both copied into an empty folder; return its report."""

    def chat(python, client, *arguments, env=None):
        if (CLIENTS / client).is_dir():  # it stands on the plain file
            shutil.copytree(CLIENTS / client, tmp_path / client, ignore=shutil.ignore_patterns("__pycache__"))
            shutil.copy(CLIENTS / "huggingface.py", tmp_path)
        else:
            shutil.copy(CLIENTS / f"{client}.py", tmp_path)
        shutil.copy(HERE / "chat_alone.py", tmp_path)
        command = [*python, "chat_alone.py", client, *arguments]
        run = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout.splitlines()[-1])

    return chat


@pytest.fixture(scope="session")
def real(local_model_folder):
    """The real model and its tokenizer, as the client loads them."""
    from kit.clients.huggingface_fast import HuggingFaceModelClient

    client = HuggingFaceModelClient({"model": local_model_folder})
    return client.model, client.tokenizer


@pytest.fixture(scope="session")
def tiny_folder(local_model_folder, tmp_path_factory):
    """A folder with random weights, a window of 128 tokens and the real tokenizer: it loads in no time."""
    import torch
    from recorded import tiny_config
    from transformers import AutoTokenizer, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(local_model_folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(tiny_config(tokenizer, max_position_embeddings=128))
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_folder):
    """The tiny model and its tokenizer, loaded once."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype="float32")
    return model, AutoTokenizer.from_pretrained(tiny_folder)


@pytest.fixture
def tiny(tiny_model):
    """A copy of the tiny model, and its tokenizer, which all tests share: copy it to change it."""
    model, tokenizer = tiny_model
    return copy.deepcopy(model), tokenizer


@pytest.fixture
def tiny_client(tiny):
    """A function that makes a client of the tiny model; its arguments are further fields of the entry."""
    from kit.clients.huggingface_fast import HuggingFaceModelClient

    model, tokenizer = tiny

    def make(**entry):
        return HuggingFaceModelClient({"model": "tiny", **entry}, loaded_model=model, tokenizer=tokenizer)

    return make


@pytest.fixture(scope="session")
def keen_model(tiny_model):
    """The tiny model, changed so that each word of a prompt changes the reply, and its tokenizer."""
    import torch

    model, tokenizer = copy.deepcopy(tiny_model[0]), tiny_model[1]
    model.config.max_position_embeddings = 2048
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(8 if weight.dim() > 1 else 1)
    return model, tokenizer


@pytest.fixture
def keen(keen_model):
    """A function that makes a client of a copy of that model; its arguments are fields of the entry."""
    from kit.clients.huggingface_fast import HuggingFaceModelClient

    model, tokenizer = copy.deepcopy(keen_model[0]), keen_model[1]
    return lambda **entry: HuggingFaceModelClient({"model": "keen", **entry}, model, tokenizer)


@pytest.fixture
def ask_at_once(monkeypatch):
    """Call `create` in threads, all but the first call while the first is being answered.

    Returns the calls, as futures, and how many choices each `generate` has made. `fail` says by the
    number of a `generate` what it raises.
    """
    from kit.clients.huggingface_fast import HuggingFaceModelClient

    # No public name tells when a call has lined up, and the order decides what shares a batch.
    waiting = HuggingFaceModelClient._waiting
    pool = ThreadPoolExecutor(20)

    def ask(*calls, fail=None):
        model, sizes, started, go = calls[0][0].model, [], Event(), Event()
        plain = model.generate

        def generate(**inputs):
            sizes.append(len(inputs["input_ids"]) * inputs["num_return_sequences"])
            if len(sizes) == 1:
                started.set()
                go.wait(60)
            if fail and len(sizes) in fail:
                raise fail[len(sizes)]
            return plain(**inputs)

        monkeypatch.setattr(model, "generate", generate)
        futures = []
        try:
            for index, (client, params) in enumerate(calls):
                futures.append(pool.submit(client.create, params))
                assert started.wait(30)
                while len(waiting) == index:  # they line up one by one
                    time.sleep(0.001)
        finally:
            go.set()
        assert not wait(futures, 60).not_done
        assert waiting == []
        monkeypatch.setattr(model, "generate", plain)
        return futures, sizes

    yield ask
    pool.shutdown()


@pytest.fixture
def transformers_log(caplog, monkeypatch):
    """What transformers logs; it keeps that from pytest, and says some things only once."""
    from transformers.utils import logging

    monkeypatch.setattr(logging.get_logger("transformers"), "propagate", True)
    logging.warning_once.cache_clear()
    return caplog
