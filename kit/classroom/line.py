"""Whose turn it is: the line before the batches of a class. It knows no model, and runs in the event loop.

transformers computes what it gets in the order in which it came, each prompt as a whole. Thirty long ones
would keep a short question waiting for minutes, so a few are handed in at a time, short ones first; and while
somebody has a short one, a long one is read in slices, between which others have their turn.
"""

from __future__ import annotations

import itertools
import queue
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

CHUNK = 512  # prompt tokens in one batch: with more, long prompts took longer and 0.4 GB besides; a prompt
# that has more of them to read is a long one
SLICE = 64  # tokens of a long prompt that are read at once while somebody has a short one
OLDEST = 4  # every so many turns are the one's that waits longest; the others are the shortest one's
FORGET = 20_000  # prefixes of prompts


@dataclass(eq=False)
class Ticket:
    """A request in the line; `outputs` gets what transformers tells of it."""

    ids: list[int]  # the prompt
    limit: int  # new tokens
    temperature: float = 1.0
    outputs: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)
    long: bool = False
    name: str = ""  # of the part that was handed in last
    part: int = 0  # how many tokens of the prompt that is
    came: int = 0
    prefixes: list[int] = field(
        default_factory=list
    )  # a hash for each block that it fills, and all before it


class Line:
    """Hands in requests.

    Args:
        hand_in: called with a ticket whose `part` of the prompt is to be read, and if that is all of it, the
            reply to be written.
        cancel: called with the name of what nobody waits for any more.
        tokens, block: the size of the KV cache, and of its blocks.
        slices: whether what was read of a prompt stays in the cache for the next part.
    """

    def __init__(
        self,
        hand_in: Callable[[Ticket], None],
        cancel: Callable[[str], None],
        tokens: int,
        block: int,
        slices: bool,
    ) -> None:
        self.hand_in, self.cancel = hand_in, cancel
        self.tokens, self.block, self.slices = tokens, block, slices
        self.waiting: list[Ticket] = []
        self.running: set[Ticket] = set()
        self.reading: dict[Ticket, int] = {}  # whose prompt is read, and how many tokens of it
        self._seen: set[int] = set()  # prefixes of prompts, block by block, that the cache has held
        self._turn, self._came = itertools.count(1), itertools.count()

    def enter(self, ticket: Ticket) -> None:
        ids, ends = ticket.ids, range(self.block, len(ticket.ids) + 1, self.block)
        blocks = (hash(tuple(ids[end - self.block : end])) for end in ends)
        ticket.prefixes = list(itertools.accumulate(blocks, lambda before, block: hash((before, block))))
        ticket.came, ticket.long = next(self._came), self._unread(ticket) > CHUNK
        self.waiting.append(ticket)
        self._move()

    def leave(self, ticket: Ticket) -> None:
        """Forget a ticket, wherever it is."""
        if ticket in self.waiting:
            self.waiting.remove(ticket)
        elif ticket in self.running:
            self.cancel(ticket.name)
            self.running.remove(ticket)
            self.reading.pop(ticket, None)
            self._move()

    def tell(self, ticket: Ticket, name: str, output: Any) -> None:
        """Take what transformers tells of the part that was handed in under a name."""
        if ticket not in self.running or name != ticket.name:
            return  # it has left
        read = self.reading.pop(ticket, None) is not None
        if read and not output.error:
            if len(self._seen) > FORGET:
                self._seen.clear()
            self._seen.update(ticket.prefixes[: ticket.part // self.block])
        over = output.is_finished()
        if ticket.part == len(ticket.ids) or output.error:
            ticket.outputs.put(output)
        else:  # of a slice, the first token is of no use, and tells that it is in the cache
            over = True
            self.cancel(name)
            self.waiting = sorted([*self.waiting, ticket], key=lambda one: one.came)
        if over:
            self.running.remove(ticket)
        if read or over:
            self._move()

    def _move(self) -> None:
        """Hand in those whose turn it is."""
        while fitting := [ticket for ticket in self.waiting if self._fits(ticket)]:
            oldest = next(self._turn) % OLDEST == 0
            ticket = fitting[0] if oldest else min(fitting, key=self._unread)
            ticket.name, ticket.part = uuid.uuid4().hex, self._part(ticket)
            self.waiting.remove(ticket)
            self.running.add(ticket)
            self.reading[ticket] = self._unread(ticket) - (len(ticket.ids) - ticket.part)
            self.hand_in(ticket)

    def _fits(self, ticket: Ticket) -> bool:
        """Return whether there is room in the next batch and, for long ones, in the cache.

        One of them is read at a time, and a quarter of the cache is for the others.
        """
        if ticket.long:
            sizes = [len(other.ids) + other.limit for other in self.running if other.long]
            full = sizes and sum(sizes) + len(ticket.ids) + ticket.limit > self.tokens * 3 / 4
            if full or any(other.long for other in self.reading):
                return False
        to_read = self._unread(ticket) - (len(ticket.ids) - self._part(ticket))
        return not self.reading or sum(self.reading.values()) + to_read <= CHUNK

    def _part(self, ticket: Ticket) -> int:
        """Return how many tokens of a prompt are to be read now, from its beginning."""
        others = any(not other.long for other in (*self.running, *self.waiting))
        if not (ticket.long and self.slices and others):
            return len(ticket.ids)
        return min(len(ticket.ids), len(ticket.ids) - self._unread(ticket) + SLICE)

    def _unread(self, ticket: Ticket) -> int:
        """Return the tokens of a prompt that are not in the cache, as far as one can tell from here."""
        known = sum(1 for _ in itertools.takewhile(self._seen.__contains__, ticket.prefixes))
        return len(ticket.ids) - known * self.block
