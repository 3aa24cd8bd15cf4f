"""The ways that compare.py times: each an AutoGen model client class, all doing exactly the same work.

Nothing heavy is imported before a way needs it, so that a fresh process pays for its own way alone.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import random
import sys
import time
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from typing import Any, ClassVar

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # or tokenizers warns whenever a process is started
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

# What the kit's entries hold beyond the model's name. All else is the client's default.
KIT: dict[str, dict[str, Any]] = {
    "kit": {},
    "kit int8": {"quantization": "int8"},
    "kit int4": {"quantization": "int4"},
    "kit float32": {"dtype": "float32"},
    "kit no prefix cache": {"prefix_cache": 0},
}


@dataclass(frozen=True)
class Setup:
    """What all ways share, and what a fresh process is told."""

    model: str  # the folder of safetensors
    gguf: str | None  # the same model for llama.cpp
    dtype: str  # what the kit picks by default on this machine
    threads: int
    tokens: int  # per reply: no fewer, no more

    def entry(self, **more: Any) -> dict[str, Any]:
        """Return an entry of a config list; each way reads from it what it understands."""
        length = {"max_new_tokens": self.tokens, "min_new_tokens": self.tokens}
        return {"model": self.model, "model_client_cls": "Timed", "device": "cpu", "params": length, **more}


@dataclass
class Call:
    """One call of `create`: how long it took and what came of it."""

    seconds: float
    prompt_tokens: int
    texts: list[str]


@dataclass
class Record:
    """The clients of one way that were made, and their calls."""

    clients: list[Any] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


class Reference:
    """AutoGen's protocol for the ways that bring none; a subclass says how to load and to answer.

    One copy of the weights serves all clients, as anyone who cares would do it.
    """

    loaded: ClassVar[dict[str, Any]] = {}

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        key = config["way"]
        if key not in self.loaded:
            self.loaded[key] = self.load()
        self.model, self.tokenizer = self.loaded[key]

    def load(self) -> tuple[Any, Any]:
        raise NotImplementedError

    def answer(
        self, messages: list[dict[str, Any]], n: int, tokens: int, temperature: float | None
    ) -> tuple[int, int, list[str]]:
        """Return how many tokens the prompt has, how many were made over all choices, and the texts."""
        raise NotImplementedError

    def create(self, params: dict[str, Any]) -> SimpleNamespace:
        settings = {**self.config, **params}
        prompt_tokens, new_tokens, texts = self.answer(
            settings["messages"],
            settings.get("n", 1),
            settings["params"]["max_new_tokens"],
            settings.get("temperature"),
        )
        return SimpleNamespace(
            id="reply",  # without one AutoGen 0.14 does not ask for message_retrieval
            model=self.config["model"],
            choices=[
                SimpleNamespace(message=SimpleNamespace(content=text, function_call=None)) for text in texts
            ],
            usage=SimpleNamespace(prompt_tokens=prompt_tokens, completion_tokens=new_tokens),
        )

    def message_retrieval(self, response: SimpleNamespace) -> list[str]:
        return [choice.message.content for choice in response.choices]

    def cost(self, response: SimpleNamespace) -> float:
        return 0

    @staticmethod
    def get_usage(response: SimpleNamespace) -> dict[str, Any]:
        return {}

    def encode(self, messages: list[dict[str, Any]]) -> Any:
        """Return the rendered prompt as tensors, for the ways that go through transformers."""
        return self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )

    def decode(self, output: Any, prompt_tokens: int) -> tuple[int, list[str]]:
        """Return how many tokens are new, over all rows, and each row's text."""
        rows = output[:, prompt_tokens:]
        return rows.numel(), self.tokenizer.batch_decode(rows, skip_special_tokens=True)


def how_long(tokens: int, temperature: float | None) -> dict[str, Any]:
    """Return the options of `generate` for exactly so many tokens, greedy without a temperature."""
    sampling = {} if temperature is None else {"do_sample": True, "temperature": temperature}
    return {"max_new_tokens": tokens, "min_new_tokens": tokens, **sampling}


class Published(Reference):
    """The published notebook's way, in our own words and fixed for today's versions.

    In float32; each agent loads a copy of the weights in its constructor; each turn computes the whole
    prompt; each choice is a `generate` of its own. Unlike there, special tokens are left out of the text.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.model, self.tokenizer = self.load()

    def load(self) -> tuple[Any, Any]:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        # transformers 4, which the notebook was written for, loads float32 unless told otherwise;
        # transformers 5 loads what is stored, here bfloat16: for that see the way "generate".
        model = AutoModelForCausalLM.from_pretrained(self.config["model"], dtype="float32")
        return model, AutoTokenizer.from_pretrained(self.config["model"])

    def answer(
        self, messages: list[dict[str, Any]], n: int, tokens: int, temperature: float | None
    ) -> tuple[int, int, list[str]]:
        prompt = self.encode(messages)
        length, made, texts = prompt["input_ids"].shape[1], 0, []
        for _ in range(n):
            # The notebook never sampled, so its n texts were all the same. With a temperature they can
            # differ, as those of the other ways do; it costs next to nothing.
            output = self.model.generate(**prompt, **how_long(tokens, temperature))
            new, (text,) = self.decode(output, length)
            made, texts = made + new, [*texts, text]
        return length, made, texts


class Generate(Reference):
    """Plain `generate` at the kit's default dtype: no prefix is kept, n choices are one batch."""

    def load(self) -> tuple[Any, Any]:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        model = AutoModelForCausalLM.from_pretrained(self.config["model"], dtype=self.config["dtype"])
        return model, AutoTokenizer.from_pretrained(self.config["model"])

    def answer(
        self, messages: list[dict[str, Any]], n: int, tokens: int, temperature: float | None
    ) -> tuple[int, int, list[str]]:
        prompt = self.encode(messages)
        length = prompt["input_ids"].shape[1]
        output = self.model.generate(**prompt, num_return_sequences=n, **how_long(tokens, temperature))
        return length, *self.decode(output, length)


class GenerateInt8(Generate):
    """Plain `generate` on the very model, quantized, that the kit uses."""

    def load(self) -> tuple[Any, Any]:
        from kit import HuggingFaceModelClient

        client = HuggingFaceModelClient({**self.config, **KIT["kit int8"], "dtype": "auto"})
        return client.model, client.tokenizer


class Smolagents(Reference):
    """smolagents' TransformersModel as its users call it. It makes one reply per call, so n are n calls."""

    def load(self) -> tuple[Any, Any]:
        from smolagents import TransformersModel

        length = self.config["params"]["max_new_tokens"]
        # "cpu" is its default too, where there is no CUDA.
        model = TransformersModel(model_id=self.config["model"], device_map="cpu", max_new_tokens=length)
        return model, model.tokenizer

    def answer(
        self, messages: list[dict[str, Any]], n: int, tokens: int, temperature: float | None
    ) -> tuple[int, int, list[str]]:
        content = [
            {"role": message["role"], "content": [{"type": "text", "text": message["content"]}]}
            for message in messages
        ]
        replies = [self.model.generate(content, **how_long(tokens, temperature)) for _ in range(n)]
        usage = [reply.token_usage for reply in replies]
        made = sum(one.output_tokens for one in usage)
        return usage[0].input_tokens, made, [reply.content for reply in replies]


class LlamaCpp(Reference):
    """llama.cpp on the 4-bit file, which reuses the prefix it has computed last.

    From the wheel xllamacpp, which needs no compiler. On Linux and Windows it uses AVX2 and nothing newer;
    one compiled for its own machine computes prompts faster.
    """

    def load(self) -> tuple[Any, Any]:
        import xllamacpp
        from transformers import AutoTokenizer

        params = xllamacpp.CommonParams()
        params.model.path = self.config["gguf"]
        params.n_ctx, params.n_parallel, params.verbosity = 4096, 1, 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = self.config["threads"]
        return xllamacpp.Server(params), AutoTokenizer.from_pretrained(self.config["model"])

    def answer(
        self, messages: list[dict[str, Any]], n: int, tokens: int, temperature: float | None
    ) -> tuple[int, int, list[str]]:
        ids = self.encode(messages)["input_ids"][0].tolist()
        wish = {"prompt": ids, "n_predict": tokens, "ignore_eos": True, "temperature": temperature or 0.0}
        replies = [self.model.handle_completions({**wish, "seed": random.getrandbits(32)}) for _ in range(n)]
        made = sum(reply["usage"]["completion_tokens"] for reply in replies)
        return len(ids), made, [reply["choices"][0]["text"] for reply in replies]


REFERENCES: dict[str, type[Reference]] = {
    "published": Published,
    "smolagents": Smolagents,
    "generate": Generate,
    "generate int8": GenerateInt8,
    "llama.cpp": LlamaCpp,
}
MADE: list[Any] = []  # all clients that hold weights
WAYS = ["published", "smolagents", "generate", "generate int8", *KIT, "llama.cpp"]


def why_not(way: str, gguf: str | None) -> str | None:
    """Return why a way can't run here, None if it can."""
    module = {"smolagents": "smolagents", "llama.cpp": "xllamacpp"}.get(way)
    if module and importlib.util.find_spec(module) is None:
        return f"the package {module} is not installed"
    if way == "llama.cpp" and not gguf:
        return "no GGUF file was named with --gguf"
    return None


def timed(way: str, setup: Setup) -> tuple[type, dict[str, Any], Record]:
    """Return a way's client class under the name `Timed`, its config entry, and a record of its calls."""
    record = Record()
    if way in KIT:
        from kit import HuggingFaceModelClient

        base, entry = HuggingFaceModelClient, setup.entry(**KIT[way])
    else:
        base, entry = REFERENCES[way], setup.entry(**asdict(setup), way=way)

    class Timed(base):
        def __init__(self, config: dict[str, Any]) -> None:
            super().__init__(config)
            record.clients.append(self)
            MADE.append(self)

        def create(self, params: dict[str, Any]) -> Any:
            start = time.perf_counter()
            response = super().create(params)
            seconds = time.perf_counter() - start
            usage, settings = response.usage, {**self.config, **params}
            wanted = settings.get("n", 1) * settings["params"]["max_new_tokens"]
            if usage.completion_tokens != wanted:
                raise RuntimeError(
                    f"{way} made {usage.completion_tokens} tokens, not {wanted}: no comparison."
                )
            texts = [choice.message.content for choice in response.choices]
            record.calls.append(Call(seconds, usage.prompt_tokens, texts))
            return response

    return Timed, entry, record


def client_of(way: str, setup: Setup) -> tuple[Any, Record]:
    """Return a client outside of any agent, and the record of its calls."""
    client_class, entry, record = timed(way, setup)
    return client_class(entry), record


def short_prompt(number: int) -> list[dict[str, str]]:
    """Return a prompt of about 30 tokens whose beginning is new for each number, so that no prefix helps."""
    mark = f"{number:04}"[::-1]
    return [
        {"role": "system", "content": f"{mark} is your number. You tell stories."},
        {"role": "user", "content": "Tell me a long story about a bear."},
    ]


def warm_up(record: Record, **options: Any) -> None:
    """Let each client answer once, on a prompt that no scenario uses, and forget that it did."""
    for number, client in enumerate(record.clients):
        client.create({"messages": short_prompt(9000 + number), **options})
    record.calls.clear()


def free() -> None:
    """Let go of all weights, so that the next way has the memory, and the caches, for itself.

    AutoGen 0.14.1 keeps the last 128 clients that answered in an `lru_cache`: they give up theirs.
    """
    for client in MADE:
        client.model = client.tokenizer = None
    MADE.clear()
    Reference.loaded.clear()
    if kit := sys.modules.get("kit.clients.huggingface_fast"):
        kit.HuggingFaceModelClient.unload()
    gc.collect()
