"""Requests that are computed together, by transformers' continuous batching."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import itertools
import queue
from typing import Any

import torch
from transformers import ContinuousBatchingConfig
from transformers.generation.continuous_batching import input_outputs

from kit.classroom.line import CHUNK, Line, Ticket
from kit.classroom.request import Refused
from kit.clients.huggingface import SAMPLING
from kit.clients.huggingface_fast import HuggingFaceModelClient
from kit.clients.huggingface_fast.batches import Request

PER_REQUEST = {"max_new_tokens", "stop_strings", "do_sample", "temperature"}  # may differ in one batch
COLDEST, HOTTEST = 1e-2, 100.0  # temperatures of sampled requests: with others, a number may become infinite
LOOK = 0.2  # seconds after which a thread that waits looks whether its student has gone


class GoneError(Exception):
    """Nobody waits for the reply any more."""


class Batches:
    """A model that computes requests together, in a thread of transformers'.

    Either all take the likeliest token, or all draw, each with a temperature of its own: one batch for both
    would draw between two tokens that are equally likely, and in bfloat16 there often are two.

    Args:
        model: is copied, but for its weights: continuous batching may change how it attends.
        sampled: whether the requests draw.
        top_p: of those that do.
        tokens, block: the size of the KV cache, and of its blocks.
        loop: where the requests come from.

    Raises:
        ValueError: it has layers of which there are no batches, such as Mamba's.
    """

    def __init__(
        self,
        model: Any,
        sampled: bool,
        top_p: float,
        tokens: int,
        block: int,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.model, self.sampled, self.loop = on_the_same_weights(model), sampled, loop
        self.written = 0  # tokens
        if model.device.type == "cpu":
            # Where there is a GPU besides, transformers pins what it computes with, and on a Mac torch puts
            # what is pinned on the GPU, whatever device was asked for (pytorch/pytorch#181374).
            input_outputs.get_available_devices = lambda: frozenset({"cpu"})
        settings = copy.deepcopy(model.generation_config)
        settings.do_sample, settings.use_cache = sampled, False  # the batches have their own cache
        if sampled:
            # transformers has what one request may have only where all of them do; top_k would sort logits.
            settings.update(temperature=0.5, top_k=None, top_p=top_p)
        config = ContinuousBatchingConfig(
            page_size=block,
            num_blocks=tokens // block,
            max_batch_tokens=CHUNK,
            max_memory_percent=0.9,
            per_request_processors=sampled,
        )
        self.manager: Any = self.model.init_continuous_batching(settings, continuous_batching_config=config)
        self.manager.warmup()
        layers = getattr(model.config.get_text_config(), "layer_types", None) or ["full_attention"]
        keeps = set(layers) == {"full_attention"}  # what was read of a prompt; not with sliding windows
        self.line = Line(self._hand_in, self.manager.cancel_request, tokens, block, keeps)
        self.manager.start()

    def stop(self) -> None:
        self.manager.stop(timeout=5, hard_stop=True)

    def is_well(self) -> bool:
        return self.manager.is_running()

    def compute(self, client: Any, request: Request) -> list[int]:
        """Return the new tokens of a request; its streamer gets them while they come.

        Raises:
            GoneError: nobody waits any more.
            Refused: the batches are broken.
        """
        ids, stops, row = request.ids, request.options.get("stop_strings", []), list[int]()
        warmth = request.options.get("temperature") or 1.0
        ticket = Ticket(ids, request.options["max_new_tokens"], min(max(warmth, COLDEST), HOTTEST))
        if request.streamer:
            request.streamer.put(torch.tensor([ids]))
        self.loop.call_soon_threadsafe(self.line.enter, ticket)
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
                self.written += len(new)
                if request.streamer and new:
                    request.streamer.put(torch.tensor(new))
                if output.is_finished() or (stops and client._cut(row, stops)[1]):
                    return row
        finally:
            with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
                self.loop.call_soon_threadsafe(self.line.leave, ticket)

    def _hand_in(self, ticket: Ticket) -> None:
        tell = functools.partial(self.line.tell, ticket, ticket.name)
        whole = ticket.part == len(ticket.ids)
        self.manager.register_result_handler(ticket.name, tell)
        self.manager.add_request(
            ticket.ids[: ticket.part],
            request_id=ticket.name,
            max_new_tokens=ticket.limit if whole else 2,  # what ends with its first token isn't kept
            eos_token_id=self.model.generation_config.eos_token_id if whole else -1,
            streaming=True,
            **({"temperature": ticket.temperature} if self.sampled else {}),
        )


def can_join(client: HuggingFaceModelClient, request: Request) -> bool:
    """Return whether a request can be computed together with others of its kind."""
    sampled = bool(request.options.get("do_sample"))
    idle = PER_REQUEST if sampled else PER_REQUEST | SAMPLING | {"seed"}

    def shared(options: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in options.items() if name not in idle and value is not None}

    others = client._options({"temperature": 1.0 if sampled else 0.0})
    return shared(request.options) == shared(others) and not request.schema and not request.inputs


def on_the_same_weights(model: Any) -> Any:
    """Return a copy of a model that shares its weights."""
    weights = itertools.chain(model.parameters(), model.buffers())
    return copy.deepcopy(model, {id(tensor): tensor for tensor in weights})


def _broken(why: str) -> Refused:
    return Refused(500, "engine_error", f"The engine failed: {why}")
