"""How does one model server carry a class? `python -m kit serve` under load, with and without batching.

    python tests/benchmarks/classroom.py --students 1 4 16 30

Each student is a real AssistantAgent in a thread, and all begin at the same moment: a chat of three turns,
with streaming, so that the first token can be timed. Students and servers share this machine's cores, which
a class on its own laptops does not. The two servers take turns, case by case. Prints tables and what is
required of them, and writes results.json and results.png. Run it while nothing else runs.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.metadata
import itertools
import json
import logging
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import openai
import psutil

from kit.classroom.serve import model_folder

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "classroom"))
from class_server import ClassServer, class_server  # noqa: E402

SHORT = "You are a helpful assistant."
MESSAGES = {"short": SHORT, "default": None}  # None: AssistantAgent's own, 471 tokens
MODES = {"batching": (), "one by one": ("--one-by-one",)}
TOPICS = [
    *("Paris", "rivers", "bread", "the moon", "bees", "trains", "glass", "tea", "maps", "snow"),
    *("bridges", "salt", "wool", "clocks", "paper", "ships", "gold", "corn", "music", "chess"),
    *("horses", "rain", "soap", "stone", "wheels", "milk", "ink", "sand", "kites", "lamps"),
]
TURNS = ["Tell me about {}.", "Where does one find that?", "Give me an example."]


@dataclass
class Turn:
    """One turn of one student: seconds from the question, and the tokens of the reply."""

    first_token: float
    reply: float
    tokens: int


@dataclass
class Student:
    turns: list[Turn] = field(default_factory=list)
    error: str = ""


@dataclass
class Case:
    """What one class with one server measured."""

    message: str
    students: int
    mode: str
    seconds: float
    chats: list[Student]

    @property
    def turns(self) -> list[Turn]:
        return [turn for chat in self.chats for turn in chat.turns]

    @property
    def tokens_per_second(self) -> float:
        return sum(turn.tokens for turn in self.turns) / self.seconds

    @property
    def last_first_reply(self) -> float:
        return max((chat.turns[0].reply for chat in self.chats if chat.turns), default=float("nan"))

    @property
    def failures(self) -> int:
        return sum(bool(chat.error) for chat in self.chats)

    def percentile(self, name: str, percent: int) -> float:
        values = sorted(getattr(turn, name) for turn in self.turns) or [float("nan")]
        return (
            statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if values[1:] else values[0]
        )


@dataclass
class Crowd:
    """Seconds that short questions waited for their replies while others had long prompts, and those."""

    mode: str
    students: int
    short: list[float] = field(default_factory=list)
    long: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        waited = f"{statistics.median(self.short):.1f} / {max(self.short):.1f}"
        return (
            f"{self.mode}, {self.students} long prompts: a short question waits {waited} s (median / longest "
            f"of {len(self.short)}), the last long one {max(self.long):.0f} s, {len(self.errors)} failures"
        )


def measure(server: ClassServer, mode: str, message: str, students: int, tokens: int) -> Case:
    """Let a class chat with a server, all at once."""
    agents = [_agent(server, MESSAGES[message], tokens) for _ in range(students)]
    chats = [Student() for _ in agents]
    ready = threading.Barrier(students + 1)

    def chat(number: int) -> None:
        ready.wait()
        try:
            _chat(agents[number], TOPICS[number % len(TOPICS)], chats[number])
        except Exception as error:
            chats[number].error = f"{type(error).__name__}: {error}"

    threads = [threading.Thread(target=chat, args=(number,)) for number in range(students)]
    for thread in threads:
        thread.start()
    ready.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    return Case(message, students, mode, time.perf_counter() - start, chats)


def crowd(server: ClassServer, mode: str, long: int = 30, words: int = 900) -> Crowd:
    """Let many ask with long prompts that share nothing, and somebody with short ones, again and again."""
    result, over = Crowd(mode, long), threading.Event()
    client = openai.OpenAI(base_url=server.base_url, api_key=server.key, timeout=900, max_retries=0)

    def ask(text: str, tokens: int) -> float:
        start = time.perf_counter()
        message: Any = {"role": "user", "content": text}
        try:
            client.chat.completions.create(model=server.entry["model"], messages=[message], max_tokens=tokens)
        except openai.OpenAIError as error:
            result.errors.append(f"{type(error).__name__}: {error}")
        return time.perf_counter() - start

    def short() -> None:
        for topic in itertools.cycle(TOPICS):
            if over.wait(1):
                return
            result.short.append(ask(f"Tell me about {topic}.", 32))

    asking = threading.Thread(target=short)
    with ThreadPoolExecutor(long) as pool:
        texts = [f"{number}: " + f"{TOPICS[number % len(TOPICS)]} " * words for number in range(long)]
        replies = [pool.submit(ask, text, 32) for text in texts]
        asking.start()
        result.long = [reply.result() for reply in replies]
        over.set()
    asking.join()
    return result


def _agent(server: ClassServer, message: str | None, tokens: int) -> Any:
    from autogen import AssistantAgent, LLMConfig

    entry = {**server.entry, "max_tokens": tokens, "stream": True, "timeout": 600, "max_retries": 0}
    own = {} if message is None else {"system_message": message}
    return AssistantAgent("student", llm_config=LLMConfig(entry, cache_seed=None), **own)


def _chat(agent: Any, topic: str, student: Student) -> None:
    from autogen.io.base import IOStream

    heard: list[float] = []

    class Watch:
        """AutoGen sends each piece of a streamed reply to an object like this."""

        def send(self, event: Any) -> None:
            heard.append(time.perf_counter())

        def print(self, *objects: Any, **how: Any) -> None:
            pass

        def input(self, *prompt: Any, **how: Any) -> str:
            return ""

    history = []
    with IOStream.set_default(Watch()):
        for question in TURNS:
            history.append({"role": "user", "content": question.format(topic)})
            heard.clear()
            start = time.perf_counter()
            reply = agent.generate_reply(messages=history)
            end = time.perf_counter()
            text = reply if isinstance(reply, str) else reply["content"]
            history.append({"role": "assistant", "content": text})
            student.turns.append(Turn(heard[0] - start, end - start, _tokens(text)))


def _tokens(text: str) -> int:
    return len(_tokenizer().encode(text, add_special_tokens=False).ids)


@functools.cache
def _tokenizer() -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(model_folder(None) / "tokenizer.json"))


def table(cases: list[Case]) -> str:
    """Return the figures as a Markdown table."""
    heads = ["system message", "students", "server", "tokens/s", "first token, s: median / p95"]
    heads += ["reply, s: median / p95", "last first reply, s", "failures"]
    lines = [" | ".join(heads), " | ".join(["---"] + ["---:"] * (len(heads) - 1))]
    for case in cases:
        first, reply = (
            f"{case.percentile(name, 50):.1f} / {case.percentile(name, 95):.1f}"
            for name in ("first_token", "reply")
        )
        cells = [case.message, case.students, case.mode, f"{case.tokens_per_second:.0f}", first, reply]
        lines.append(" | ".join(map(str, [*cells, f"{case.last_first_reply:.1f}", case.failures])))
    return "\n".join(f"| {line} |" for line in lines)


def required(cases: list[Case], crowds: list[Crowd]) -> list[dict[str, Any]]:
    """Return what a class may expect, as far as it was measured."""
    found: list[dict[str, Any]] = []

    def expect(what: str, value: float, bound: float, at_least: bool) -> None:
        met = value >= bound if at_least else value <= bound
        sign = ">=" if at_least else "<="
        found.append({"what": what, "bound": f"{sign} {bound:g}", "measured": round(value, 2), "met": met})

    def speed(message: str, students: int, mode: str) -> list[float]:
        same = [
            case for case in cases if (case.message, case.students, case.mode) == (message, students, mode)
        ]
        return [case.tokens_per_second for case in same]

    for case in cases:
        if (case.message, case.students, case.mode) == ("short", 30, "batching"):
            expect("short, 30 students: failed chats", case.failures, 0, False)
            expect("short, 30 students: last first reply, s", case.last_first_reply, 10, False)
    for crowd in crowds:
        expect(f"{crowd.students} long prompts: failures", len(crowd.errors), 0, False)
        expect(f"{crowd.students} long prompts: a short question waits, s", max(crowd.short), 15, False)
    for message, students, bound in [("short", 30, 4), ("default", 16, 2.5)]:
        for batched, alone in zip(
            speed(message, students, "batching"), speed(message, students, "one by one"), strict=False
        ):
            expect(
                f"{message}, {students} students: tokens/s, batching / one by one",
                batched / alone,
                bound,
                True,
            )
        for batched, alone in zip(
            speed(message, students, "batching"), speed(message, 1, "batching"), strict=False
        ):
            expect(f"{message}: tokens/s, {students} students / one student", batched / alone, bound, True)
    return found


def draw(cases: list[Case], file: Path) -> None:
    """Draw tokens per second and the wait for the first reply over the number of students."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(12, 5), layout="constrained")
    drawn = {
        "tokens per second": "tokens_per_second",
        "seconds until everybody has a first reply": "last_first_reply",
    }
    for axis, (title, name) in zip(axes, drawn.items(), strict=True):
        for message, style in (("short", "-"), ("default", "--")):
            for mode, marker in (("batching", "o"), ("one by one", "s")):
                same = [case for case in cases if (case.message, case.mode) == (message, mode)]
                if same:
                    values = [getattr(case, name) for case in same]
                    students = [case.students for case in same]
                    axis.plot(
                        students, values, linestyle=style, marker=marker, label=f"{mode}, {message} message"
                    )
        axis.set(title=title, xlabel="students at once", ylim=(0, None))
    axes[0].legend()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def machine() -> dict[str, Any]:
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "load before the start": load,
        "versions": {name: importlib.metadata.version(name) for name in ("transformers", "torch", "autogen")},
    }


def arguments() -> argparse.Namespace:
    style = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("--students", type=int, nargs="+", default=[1, 4, 16, 30], help="at once (1 4 16 30)")
    parser.add_argument(
        "--messages", nargs="+", choices=MESSAGES, default=list(MESSAGES), help="system messages"
    )
    parser.add_argument("--long", type=int, default=30, help="who ask with long prompts, 0 for none (30)")
    parser.add_argument("--tokens", type=int, default=32, help="the most that a reply may have (32)")
    parser.add_argument("--serve", default="", help='further options of the batching server: "--threads 2"')
    parser.add_argument("--out", type=Path, help="folder for results.json and results.png (a temporary one)")
    return parser.parse_args()


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    options = arguments()
    folder = options.out or Path(tempfile.mkdtemp(prefix="classroom-"))
    folder.mkdir(parents=True, exist_ok=True)
    told = machine()
    print("\n".join(f"- {name}: {value}" for name, value in told.items()), flush=True)
    cases: list[Case] = []
    with contextlib.ExitStack() as running:
        servers = {
            mode: running.enter_context(class_server(*own, *options.serve.split()))
            for mode, own in MODES.items()
        }
        for message in options.messages:
            for students in options.students:
                for mode, server in servers.items():
                    cases.append(measure(server, mode, message, students, options.tokens))
                    print(f"{message}, {students}, {mode}: {cases[-1].seconds:.0f} s", file=sys.stderr)
        crowds = [crowd(servers["batching"], "batching", options.long)] if options.long else []
        memory = {mode: psutil.Process(s.process.pid).memory_info().rss >> 20 for mode, s in servers.items()}
    print(f"\n{table(cases)}\n\nmemory of each server, MiB: {memory}\n")
    print("\n".join(map(str, crowds)))
    found = required(cases, crowds)
    for one in found:
        print(f"{'✔' if one['met'] else '✘'} {one['what']}: {one['measured']} ({one['bound']})")
    failed = {chat.error for case in cases for chat in case.chats if chat.error}
    for error in sorted(failed.union(*(crowd.errors for crowd in crowds))):
        print(f"✘ {error}")
    results = {
        "machine": told,
        "memory": memory,
        "required": found,
        "cases": [asdict(case) for case in cases],
        "crowds": [asdict(crowd) for crowd in crowds],
    }
    (folder / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    draw(cases, folder / "results.png")
    print(f"\nresults.json and results.png are in {folder}")


if __name__ == "__main__":
    main()
