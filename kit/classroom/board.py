"""The teacher's view of a class: who is there, how much, how fast; nobody's words."""

from __future__ import annotations

import html
import time
from collections import deque
from dataclasses import dataclass

WINDOW = 10  # seconds over which the speed is taken
SHOWN = 40  # characters of a name
MOST = 500  # students that are remembered

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="3"><title>The class</title>
<style>
:root {{ color-scheme: light dark; font: 18px system-ui, sans-serif }}
body {{ max-width: 50em; margin: 2em auto; padding: 0 1em }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: right; padding: .3em .6em; border-bottom: 1px solid #8884 }}
th:first-child, td:first-child {{ text-align: left }}
</style></head><body><main><h1>The class</h1>
<p>{line}</p>
<table><thead><tr><th scope="col">student</th><th scope="col">requests</th><th scope="col">under way</th>
<th scope="col">errors</th><th scope="col">last seen</th></tr></thead><tbody>
{rows}
</tbody></table></main></body></html>
"""


@dataclass
class Student:
    """What the board knows of one student; `seen` is a time of `time.monotonic`."""

    requests: int = 0
    waiting: int = 0
    errors: int = 0
    seen: float = 0.0


class Board:
    """Counts what comes and goes. `key` opens its page; `tokens` is what the engine has written so far."""

    def __init__(self, key: str) -> None:
        self.key = key
        self._students: dict[str, Student] = {}
        self._written: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def student(self, who: object) -> Student:
        """Return who has just been heard of: by the `user` of their entry, else by their address."""
        name = str(who)[:SHOWN]
        if name not in self._students and len(self._students) >= MOST:
            name = "others"
        student = self._students.setdefault(name, Student())
        student.seen = time.monotonic()
        return student

    def measure(self, tokens: int) -> None:
        """Note how many tokens the engine has written so far."""
        now = time.monotonic()
        self._written.append((now, tokens))
        while len(self._written) > 2 and now - self._written[1][0] > WINDOW:
            self._written.popleft()

    @property
    def requests(self) -> int:
        return sum(student.requests for student in self._students.values())

    def line(self, waiting: int) -> str:
        """Return all of it in one line, for the terminal."""
        (start, before), (end, after) = self._written[0], self._written[-1]
        speed = (after - before) / max(end - start, 1)
        students = self._students.values()
        asking, errors = sum(one.waiting for one in students), sum(one.errors for one in students)
        under_way = f"{asking} under way" + (f", {waiting} of them waiting" if waiting else "")
        counts = f"{len(students)} students, {self.requests} requests, {under_way}"
        return f"{counts}, {speed:.0f} tokens/s, {errors} errors"

    def page(self, waiting: int) -> str:
        """Return a page that shows itself anew every three seconds."""
        now = time.monotonic()
        rows = [
            f"<tr><td>{html.escape(name)}</td><td>{one.requests}</td><td>{one.waiting}</td>"
            f"<td>{one.errors}</td><td>{now - one.seen:.0f} s ago</td></tr>"
            for name, one in sorted(self._students.items())
        ]
        return PAGE.format(line=self.line(waiting), rows="\n".join(rows))
