"""Whose turn it is, before a model that reads and writes nothing."""

from types import SimpleNamespace

import pytest

from kit.classroom.line import CHUNK, OLDEST, SLICE, Line, Ticket

BLOCK = 32
WRITES = SimpleNamespace(error=None, is_finished=lambda: False)
ENDS = SimpleNamespace(error=None, is_finished=lambda: True)
FAILS = SimpleNamespace(error="out of luck", is_finished=lambda: True)


class Room(Line):
    """A line that remembers what was handed in: the lengths of prompts, or of their parts."""

    def __init__(self, slices=True):
        self.tickets, self.cancelled = [], []
        super().__init__(self.tickets.append, self.cancelled.append, 18_432, BLOCK, slices)
        self.number = 0

    @property
    def lengths(self):
        return [ticket.part for ticket in self.tickets]

    def come(self, *lengths, shared=0):
        """Let requests come whose prompts have so many tokens, the first of them the same for all."""
        tickets = []
        for length in lengths:
            self.number += 1
            tickets.append(Ticket([1] * shared + [self.number + 1] * (length - shared), 32))
            self.enter(tickets[-1])
        return tickets

    def hear(self, ticket, output=WRITES):
        self.tell(ticket, ticket.name, output)


@pytest.fixture
def room():
    return Room()


def test_one_long_prompt_is_read_at_a_time(room):
    room.come(*[2000] * 10)
    assert room.lengths == [2000]
    room.hear(room.tickets[0])
    assert room.lengths == [2000, 2000]


def test_short_prompts_are_read_together(room):
    room.come(*[40] * 30)
    assert len(room.tickets) == CHUNK // 40


def test_a_short_one_comes_before_long_ones_that_wait(room):
    first, *_ = room.come(*[2000] * 10)
    [short] = room.come(40)
    room.hear(first)
    assert room.tickets[1] is short


def test_while_somebody_has_a_short_one_a_long_one_is_read_in_slices(room):
    [short] = room.come(40)
    [long] = room.come(700)
    assert room.lengths == [40, SLICE]
    for part in range(2, 5):
        name = long.name
        room.hear(long)
        assert room.lengths[-1] == part * SLICE
        assert room.cancelled[-1] == name  # nobody wants more tokens of it
    room.hear(short, ENDS)
    room.hear(long)
    assert room.lengths[-1] == 700  # nobody else is there, so the rest is read at once
    assert long.outputs.empty()  # a slice's token is no part of the reply
    room.hear(long)
    assert long.outputs.get_nowait() is WRITES


def test_what_the_cache_does_not_keep_is_not_read_in_slices():
    room = Room(slices=False)
    [short] = room.come(40)
    room.come(700)
    room.hear(short)
    assert room.lengths == [40, 700]


def test_a_long_prompt_does_not_wait_for_ever_behind_short_ones(room):
    room.come(*[400] * 2)
    [long] = room.come(2000)
    room.come(*[400] * 50)
    for _ in range(2 * OLDEST):
        for ticket in list(room.reading):
            room.hear(ticket)
    assert long in room.tickets


def test_what_all_share_counts_once(room):
    """With AutoGen's long system message, a class would else be read one by one."""
    first, *_ = room.come(*[500] * 10, shared=480)
    assert len(room.tickets) == 1
    room.hear(first)
    assert len(room.tickets) == 10


def test_long_requests_leave_room_in_the_cache_for_short_ones(room):
    for ticket in room.come(*[2000] * 12):
        if ticket in room.reading:
            room.hear(ticket)
    assert 2000 * len(room.tickets) <= 18_432 * 3 / 4
    room.come(40)
    assert room.lengths[-1] == 40


def test_the_longest_request_fits_into_an_empty_cache_of_its_size():
    room = Room()
    room.tokens = 2048
    room.come(2016)
    assert room.lengths == [2016]


def test_who_leaves_lets_the_next_one_in(room):
    first, second, third = room.come(2000, 2000, 2000)
    room.leave(second)
    name = first.name
    room.leave(first)
    assert room.cancelled == [name]
    assert room.tickets == [first, third]
    room.tell(first, name, ENDS)  # what is told of it later changes nothing
    assert first.outputs.empty()
    room.leave(first)
    assert room.cancelled == [name]


def test_an_error_in_a_slice_reaches_its_request(room):
    room.come(40)
    [long] = room.come(700)
    room.hear(long, FAILS)
    assert long.outputs.get_nowait() is FAILS
    assert long not in room.waiting
