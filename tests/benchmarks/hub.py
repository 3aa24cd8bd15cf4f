"""How does one machine carry a class in JupyterHub? Real hub, real log-ins, lesson 01 in a kernel for each.

    python tests/benchmarks/hub.py --students 20

All students log in at the same moment, or one every few seconds (--every). Each opens lesson 01 and runs all
of it without a pause, which no class does: the figures are on the safe side. Seconds count from the student's
own log-in. Prints tables and, with --out, writes results.json. Run it while nothing else runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "notebooks" / "classroom"))
from class_hub import Hub, class_hub, install_proxy  # noqa: E402

MIB = 2**20


@dataclass
class Times:
    """Of one student: seconds from the log-in to the server, the first cell's reply, the lesson's end."""

    server: float = 0.0
    first_reply: float = 0.0
    lesson: float = 0.0
    error: str = ""


@dataclass
class Memory:
    """MiB of each kind of process: what it has alone, and its share of what several have (PSS)."""

    servers: list[float]
    kernels: list[float]
    hub: float
    proxy: float


def measure(hub: Hub, names: list[str], every: float) -> tuple[list[Times], Memory]:
    """Let the students log in and run lesson 01; measure the memory while all their kernels are there."""
    done, leave = threading.Barrier(len(names) + 1), threading.Event()

    def student(number: int) -> Times:
        time.sleep(number * every)
        times, start = Times(), time.perf_counter()

        def wait() -> None:
            times.lesson = time.perf_counter() - start
            done.wait()
            leave.wait()

        try:
            browser = hub.student(names[number])
            browser.start()
            times.server = time.perf_counter() - start
            ran = browser.run(then=wait)
            times.first_reply = times.server + ran.first_reply
            times.error = "; ".join(ran.failed)
        except Exception as error:
            times.error = f"{type(error).__name__}: {error}"
            if not times.lesson:
                done.wait()
        return times

    with ThreadPoolExecutor(len(names)) as pool:
        class_ = [pool.submit(student, number) for number in range(len(names))]
        done.wait()
        try:
            memory = weigh(hub)
        finally:
            leave.set()
    return [student.result() for student in class_], memory


def weigh(hub: Hub) -> Memory:
    sizes: dict[str, list[float]] = {"jupyterhub.singleuser": [], "ipykernel_launcher": [], "-proxy": []}
    first, *others = hub.processes()
    for process in others:
        command = " ".join(process.cmdline()[:4])
        for name in sizes:
            if name in command:
                sizes[name].append(process.memory_full_info().pss / MIB)
    servers, kernels, proxies = sizes.values()
    return Memory(servers, kernels, first.memory_full_info().pss / MIB, sum(proxies))


def tables(times: list[Times], memory: Memory, stop: float) -> str:
    """Return the figures as two Markdown tables."""

    def both(values: list[float]) -> str:
        return f"{median(values):.1f} ({max(values):.1f})" if values else "-"

    good = [student for student in times if not student.error]
    seconds = [
        both([getattr(student, name) for student in good]) for name in ("server", "first_reply", "lesson")
    ]
    server, kernel = median(memory.servers or [0]), median(memory.kernels or [0])
    whole = sum(memory.servers) + sum(memory.kernels) + memory.hub + memory.proxy
    parts = [server, kernel, server + kernel, memory.hub, memory.proxy, whole]
    return f"""
| students | server ready, s | first cell's reply, s | lesson 01 done, s | failed | hub ends, s |
| ---: | ---: | ---: | ---: | ---: | ---: |
| {len(times)} | {" | ".join(seconds)} | {len(times) - len(good)} | {stop:.1f} |

| a server, MiB | a kernel, MiB | a student, MiB | hub, MiB | proxy, MiB | all, MiB |
| ---: | ---: | ---: | ---: | ---: | ---: |
| {" | ".join(f"{part:.0f}" for part in parts)} |"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--students", type=int, default=20)
    parser.add_argument("--every", type=float, default=0, help="seconds from one log-in to the next")
    parser.add_argument("--one-user", action="store_true", help="as root: no OS user for each student")
    parser.add_argument("--out", type=Path, help="a folder for results.json")
    options = parser.parse_args()
    names = [f"student{number:02}" for number in range(1, options.students + 1)]
    if why := install_proxy():
        sys.exit(why)
    load = os.getloadavg()[0]
    with class_hub(one_user=options.one_user, STUDENTS=names) as hub:
        times, memory = measure(hub, names, options.every)
        start = time.perf_counter()
        left = hub.stop()
        stop = time.perf_counter() - start
    machine = f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}"
    pace = f"one every {options.every:g} s" if options.every else "all at once"
    users = "one OS user" if options.one_user or os.geteuid() else "an OS user each"
    print(f"{machine}; load before: {load:.1f}. {options.students} students, {pace}, {users}.\n")
    print("Seconds: median (maximum). Memory: PSS; of servers and kernels the median.")
    print(tables(times, memory, stop))
    errors = [f"{name}: {student.error}" for name, student in zip(names, times, strict=True) if student.error]
    errors += [f"still running: {process}" for process in left]
    print(*errors, sep="\n", file=sys.stderr)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        report = {"machine": machine, "load": load, "pace": pace, "users": users, "seconds_to_stop": stop}
        report |= {"students": list(map(asdict, times)), "memory": asdict(memory), "errors": errors}
        (options.out / "results.json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
