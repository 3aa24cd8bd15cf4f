"""Starts the real server of a class, for tests and for the load test."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class ClassServer:
    """`python -m kit.classroom.serve` in a process of its own; `lines` is what it has printed so far."""

    def __init__(
        self,
        *options: str,
        port: int | None = None,
        timeout: float = 180,
        python: str = sys.executable,
        **variables: str,
    ) -> None:
        self.port = port or free_port()
        command = [python, "-m", "kit.classroom.serve", "--port", str(self.port), *options]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", **variables},
        )
        self.lines: list[str] = []
        self.hold = threading.Event()  # cleared: what it prints stays in the pipe
        self.hold.set()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        end = time.monotonic() + timeout
        while not (found := re.search(r"^\[(\{.*\})\]$", self.text, re.M)):
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                raise RuntimeError(f"The server did not start:\n{self.text}")
            time.sleep(0.05)
        self.entry: dict[str, Any] = json.loads(found[1])
        self.base_url, self.key = self.entry["base_url"], self.entry["api_key"]

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)
            self.hold.wait()

    def stop(self, how: int = signal.SIGINT) -> int:
        """Send a signal, wait for the end and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        status = self.process.wait(30)
        self._reader.join(5)
        return status


@contextlib.contextmanager
def class_server(*options: str, **settings: Any) -> Iterator[ClassServer]:
    server = ClassServer(*options, **settings)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
