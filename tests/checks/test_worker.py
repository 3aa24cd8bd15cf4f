"""A worker runs calls that may fail, or never end, in one thread of its own."""

import asyncio
import contextlib
import contextvars
import threading
import time

from kit.checks.worker import Worker


def working():
    return contextlib.closing(Worker())


def test_a_result_an_exception_and_a_call_that_takes_too_long():
    with working() as worker:
        assert worker.run(lambda: "Paris", timeout=10) == (True, "Paris")
        fine, error = worker.run(lambda: 1 / 0, timeout=10)
        assert not fine and isinstance(error, ZeroDivisionError)
        fine, error = worker.run(lambda: exit(3), timeout=10)
        assert not fine and isinstance(error, SystemExit)
        assert worker.run(lambda: time.sleep(10), timeout=0.05) is None


def test_all_calls_run_in_one_thread_which_is_not_the_callers():
    with working() as worker:
        threads = {worker.run(threading.get_ident, timeout=10) for _ in range(3)}
    assert len(threads) == 1
    assert (True, threading.get_ident()) not in threads


def test_the_callers_context_is_there():
    name = contextvars.ContextVar("name", default="nobody")
    name.set("Ada")
    with working() as worker:
        assert worker.run(name.get, timeout=10) == (True, "Ada")


def test_there_is_an_event_loop_where_the_caller_has_one():
    async def in_a_notebook():
        with working() as worker:
            return worker.run(lambda: asyncio.get_running_loop().is_running(), timeout=10)

    assert asyncio.run(in_a_notebook()) == (True, True)
    with working() as worker:
        fine, error = worker.run(asyncio.get_running_loop, timeout=10)
    assert not fine and isinstance(error, RuntimeError)
