"""The engine of a class: the kit's own client, which computes with transformers' continuous batching.

Each request is one `create` of the client, in a thread of its own, so that the class gets what the lessons
have: tools in each model's notation, thoughts apart, schemas. They are computed together (batches.py), each
with a limit, stop strings and a temperature of its own. What continuous batching can't do for one request
alone (another top_p, a seed, a schema, several choices) goes one by one beside it, with `generate`; the two
share the processor.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from kit.classroom.batches import Batches, GoneError, can_join
from kit.classroom.request import Rules, too_long
from kit.clients.huggingface_fast import HuggingFaceModelClient
from kit.clients.huggingface_fast.batches import Request


class Engine:
    """A model that answers a class. `start` and `stop` belong to the event loop.

    Args:
        folder: the model's folder.
        device, dtype: as in an entry of the client.
        sampling: temperature and top_p of everybody who names no other.
        rules: of the class; the engine keeps those on the length of prompts.
        cache: None, or the size of the batches' KV cache in tokens and in tokens per block.

    Raises:
        ValueError: the model can't be loaded.
    """

    def __init__(
        self,
        folder: Path,
        device: str,
        dtype: str,
        sampling: dict[str, float],
        rules: Rules,
        cache: tuple[int, int] | None,
    ) -> None:
        self.sampling, self.rules, self.cache = sampling, rules, cache
        entry = {"model": str(folder), "device": device, "dtype": dtype}
        first = _Client(self, entry)
        self.model, self.tokenizer = first.model, first.processor or first.tokenizer
        self._alone = 0  # tokens that were written one by one
        self._batches: dict[bool, Batches] = {}  # those that draw, and those that don't
        self._making = threading.Lock()

    def start(self) -> None:
        """Begin to compute batches."""
        self._loop = asyncio.get_running_loop()
        try:
            self._batches_for(self.sampling["temperature"] > 0)
        except ValueError:  # there are no batches of such a model: all goes one by one
            self.cache = None

    def stop(self) -> None:
        for batches in self._batches.values():
            batches.stop()
        self._batches = {}

    def is_well(self) -> bool:
        return all(batches.is_well() for batches in self._batches.values())

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return sum(len(batches.line.waiting) for batches in self._batches.values())

    @property
    def tokens(self) -> int:
        """How many tokens have been written so far."""
        return self._alone + sum(batches.written for batches in self._batches.values())

    def _batches_for(self, sampled: bool) -> Batches | None:
        """Return what computes requests that draw, or those that don't, made when the first one comes."""
        with self._making:
            if self.cache and sampled not in self._batches:
                top_p = self.sampling["top_p"]
                self._batches[sampled] = Batches(self.model, sampled, top_p, *self.cache, self._loop)
            return self._batches.get(sampled)

    async def ask(self, name: str, fields: dict[str, Any]) -> AsyncIterator[tuple[str, Any]]:
        """Yield the pieces of a reply, each with its field, then ("response", ...) with a ChatCompletion.

        Args:
            name: the name of the model in the response.
            fields: what `create` takes: messages and options.

        Raises:
            ValueError, ImportError: what the client or the chat template refuses.
            Refused: the prompt is too long, or the batches are broken.
        """
        items: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        gone = threading.Event()

        def put(kind: str, item: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
                self._loop.call_soon_threadsafe(items.put_nowait, (kind, item))

        def sink(kind: str, piece: str) -> None:
            if gone.is_set():
                raise GoneError
            put(kind, piece)

        def work() -> None:
            try:
                entry = {"model": name, "prefix_cache": 0, **self.sampling}
                kinds = {"on_text": "content", "on_thought": "reasoning_content"}
                sinks = {name: functools.partial(sink, kind) for name, kind in kinds.items()}
                client = _Client(self, entry, gone, **sinks)
                put("response", client.create(fields))
            except BaseException as error:
                put("error", error)

        threading.Thread(target=work, daemon=True).start()
        try:
            while True:
                kind, item = await items.get()
                if kind == "error":
                    raise item
                yield kind, item
                if kind == "response":
                    return
        finally:
            gone.set()

    def answer(self, client: _Client, request: Request) -> list[list[int]] | None:
        """Return the new tokens of a request that can be computed with others, else None."""
        sampled = bool(request.options.get("do_sample"))
        batches = self._batches_for(sampled) if can_join(client, request) else None
        return [batches.compute(client, request)] if batches else None

    def wrote(self, tokens: int) -> None:
        """Count what was written one by one."""
        self._alone += tokens


class _Client(HuggingFaceModelClient):
    """The kit's client for one request of the class."""

    _loaded: ClassVar[dict[str, tuple[Any, Any]]] = {}  # the others' are prepared for `generate`

    def __init__(
        self, engine: Engine, entry: dict[str, Any], gone: threading.Event | None = None, **sinks: Any
    ) -> None:
        self.engine, self.gone = engine, gone or threading.Event()
        model, tokenizer = (engine.model, engine.tokenizer) if gone else (None, None)
        super().__init__(entry, model, tokenizer, **sinks)

    def _prepare(self, model: Any, device: str | None) -> None:
        """Leave the model as it is: what makes `generate` fast is nothing for batches."""

    def _read(self, settings: dict[str, Any]) -> Any:
        ours = inspect.signature(self.tokenizer.apply_chat_template).parameters  # `tokenize`, say
        for name in settings.get("chat_template_kwargs") or {}:
            if name in ours or name not in str(self.tokenizer.chat_template):
                raise ValueError(f"The model's chat template knows no {name!r}.")
        try:
            return super()._read(settings)
        except ValueError:
            raise
        except Exception as error:  # the template is code of whoever made the model
            raise ValueError(f"The chat template can't take these messages: {error}") from None

    def _room(self, prompt_tokens: int, max_new_tokens: int) -> int:
        if prompt_tokens > self.engine.rules.max_prompt_tokens:
            raise too_long(f"{prompt_tokens:,}", self.engine.rules)
        return super()._room(prompt_tokens, max_new_tokens)

    def _answer(self, request: Request) -> list[list[int]]:
        if rows := self.engine.answer(self, request):
            return rows

        def has_gone(ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
            return torch.full((len(ids),), self.gone.is_set(), device=ids.device)

        options = request.options
        options["stopping_criteria"] = StoppingCriteriaList([has_gone])
        if options.get("do_sample") and options.get("seed") is not None:
            options["logits_processor"] = [_Seeded(options)]
            options |= {"seed": None, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
        rows = super()._answer(request)
        self.engine.wrote(sum(map(len, rows)))
        return rows


class _Seeded(LogitsProcessor):
    """Draws tokens with a generator of its own, and leaves no other than the one that was drawn.

    The generator that `generate` would take is torch's, from which the batches draw as well. Noise of
    Gumbel's distribution on logits draws as softmax does: https://arxiv.org/abs/1611.01144
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self.generator = torch.Generator().manual_seed(options["seed"])
        kinds = {"temperature": TemperatureLogitsWarper, "top_k": TopKLogitsWarper, "top_p": TopPLogitsWarper}
        self.warpers = LogitsProcessorList(
            kind(options[name]) for name, kind in kinds.items() if options.get(name)
        )

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        noise = torch.rand(scores.shape, generator=self.generator).to(scores.device)  # (rows, vocabulary)
        drawn = self.warpers(input_ids, scores.float()) - torch.log(-torch.log(noise))
        one = torch.full_like(scores, -torch.inf)
        return one.scatter_(1, drawn.argmax(1, keepdim=True), 0.0)
