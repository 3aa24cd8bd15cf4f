"""The engine of a class: the kit's own client, which computes with transformers' continuous batching.

Each request is one `create` of the client, in a thread of its own, so that the class gets what the lessons
have: tools in each model's notation, thoughts apart, schemas. They are computed together, each with a limit,
stop strings and a temperature of its own. What continuous batching can't do for one request alone (another
top_p, a seed, a schema, several choices) goes one by one beside it, with `generate` on the same weights: the
two share the processor.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import inspect
import itertools
import queue
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import torch
from transformers import (
    ContinuousBatchingConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteriaList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers.generation.continuous_batching import input_outputs

from kit.classroom.line import CHUNK, Line, Ticket
from kit.classroom.request import Refused, Rules, too_long
from kit.clients.huggingface import SAMPLING
from kit.clients.huggingface_fast import HuggingFaceModelClient
from kit.clients.huggingface_fast.batches import Request

PER_REQUEST = {"max_new_tokens", "stop_strings", "do_sample", "temperature"}  # may differ in one batch
COLD, HOT = 1e-4, 100.0  # temperatures of a batch: with the lowest, the likeliest token is the one
LOOK = 0.2  # seconds after which a thread that waits looks whether its student has gone


class GoneError(Exception):
    """Nobody waits for the reply any more."""


class Engine:
    """A model that answers a class. `start` and `stop` belong to the event loop; so does the queue.

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
        self.tokens = 0  # that it has written so far
        self._batches: Any = None
        self._line: Line | None = None

    @functools.cached_property
    def alone(self) -> Any:
        """The same model, on the same weights, for what is computed one by one.

        Continuous batching may change how its model attends (paged).
        """
        weights = itertools.chain(self.model.parameters(), self.model.buffers())
        return copy.deepcopy(self.model, {id(tensor): tensor for tensor in weights})

    def start(self) -> None:
        """Begin to compute batches, in a thread of transformers'."""
        self._loop = asyncio.get_running_loop()
        self.alone  # noqa: B018 - copied before the other one is changed
        if not self.cache:
            return
        if self.model.device.type == "cpu":
            # Where there is a GPU besides, transformers pins what it computes with, and on a Mac torch puts
            # what is pinned on the GPU, whatever device was asked for (pytorch/pytorch#181374).
            input_outputs.get_available_devices = lambda: frozenset({"cpu"})
        settings = copy.deepcopy(self.model.generation_config)
        # Without a temperature here, requests could have none; top_k and top_p would sort all logits.
        settings.update(do_sample=True, temperature=0.5, top_k=None, top_p=self.sampling["top_p"])
        settings.use_cache = False  # the batches have their own
        tokens, block = self.cache
        config = ContinuousBatchingConfig(
            page_size=block,
            num_blocks=tokens // block,
            max_batch_tokens=CHUNK,
            max_memory_percent=0.9,
            per_request_processors=True,
        )
        try:
            batches = self.model.init_continuous_batching(settings, continuous_batching_config=config)
            batches.warmup()
        except ValueError:  # layers with a state, as Mamba has them: no batches, all goes one by one
            self.cache = None
        else:
            self._batches = batches
            self._line = Line(self._hand_in, batches.cancel_request, tokens, block, self._keeps_prefixes())
            batches.start()

    def stop(self) -> None:
        if self._batches:
            self._batches.stop(timeout=5, hard_stop=True)

    def is_well(self) -> bool:
        return not self._batches or self._batches.is_running()

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return len(self._line.waiting) if self._line else 0

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
                client = _Client(self, entry, gone, functools.partial(sink, "content"))
                client.on_thought = functools.partial(sink, "reasoning_content")
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

    # In the thread of a request ---------------------------------------------------------------

    def takes(self, client: _Client, request: Request) -> bool:
        """Return whether a request can be computed in one batch with those of everybody."""

        sampled = bool(request.options.get("do_sample"))
        idle = PER_REQUEST if sampled else PER_REQUEST | SAMPLING | {"seed"}

        def shared(options: dict[str, Any]) -> dict[str, Any]:
            return {n: value for n, value in options.items() if n not in idle and value is not None}

        same = shared(request.options) == shared(client._options({"temperature": 1.0 if sampled else 0.0}))
        return bool(self._batches) and same and not request.schema and not request.inputs

    def compute(self, client: _Client, request: Request) -> list[int]:
        """Return the new tokens of a request, computed together with others."""
        ids, stops, row = request.ids, request.options.get("stop_strings", []), list[int]()
        warmth = request.options.get("temperature") or 1.0 if request.options.get("do_sample") else 0.0
        ticket = Ticket(ids, request.options["max_new_tokens"], min(max(warmth, COLD), HOT))
        line = self._line
        assert line
        if request.streamer:
            request.streamer.put(torch.tensor([ids]))
        self._loop.call_soon_threadsafe(line.enter, ticket)
        try:
            while True:
                try:
                    output = ticket.outputs.get(timeout=LOOK)
                except queue.Empty:
                    if client.gone.is_set():
                        raise GoneError from None
                    if not self.is_well():
                        raise _broken("it has stopped") from None
                    continue
                if output.error:
                    raise _broken(output.error)
                new = output.generated_tokens[len(row) :]
                row += new
                self.tokens += len(new)
                if request.streamer and new:
                    request.streamer.put(torch.tensor(new))
                if output.is_finished() or (stops and client._cut(row, stops)[1]):
                    return row
        finally:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(line.leave, ticket)

    # In the event loop ------------------------------------------------------------------------

    def _hand_in(self, ticket: Ticket) -> None:
        whole = ticket.part == len(ticket.ids)
        tell = functools.partial(self._line.tell, ticket, ticket.name)  # type: ignore[union-attr]
        self._batches.register_result_handler(ticket.name, tell)
        self._batches.add_request(
            ticket.ids[: ticket.part],
            request_id=ticket.name,
            max_new_tokens=ticket.limit if whole else 1,
            eos_token_id=self.model.generation_config.eos_token_id,
            streaming=True,
            temperature=ticket.temperature,
        )

    def _keeps_prefixes(self) -> bool:
        """Return whether transformers finds what it has read of a prompt again: not with sliding windows."""
        layers = getattr(self.model.config.get_text_config(), "layer_types", None) or ["full_attention"]
        return set(layers) == {"full_attention"}


def _broken(why: str) -> Refused:
    return Refused(500, "engine_error", f"The engine failed: {why}")


class _Client(HuggingFaceModelClient):
    """The kit's client for one request of the class."""

    def __init__(
        self, engine: Engine, entry: dict[str, Any], gone: threading.Event | None = None, on_text: Any = None
    ) -> None:
        self.engine, self.gone = engine, gone or threading.Event()
        model, tokenizer = (engine.model, engine.tokenizer) if gone else (None, None)
        super().__init__(entry, model, tokenizer, on_text=on_text)

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
        if self.engine.takes(self, request):
            return [self.engine.compute(self, request)]
        self.model = request.model = self.engine.alone

        def has_gone(ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
            return torch.full((len(ids),), self.gone.is_set(), device=ids.device)

        options = request.options
        options["stopping_criteria"] = StoppingCriteriaList([has_gone])
        if options.get("do_sample") and options.get("seed") is not None:
            options["logits_processor"] = [_Seeded(options)]
            options |= {"seed": None, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
        rows = super()._answer(request)
        self.engine.tokens += sum(map(len, rows))
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
