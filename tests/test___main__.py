"""`python -m kit`: its commands, and the environment that they make."""

import ast
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from kit import __main__ as kit_main

ROOT = Path(__file__).resolve().parents[1]
RUN = subprocess.run


@pytest.mark.parametrize("arguments", [[], ["begin"], ["--help"]])
def test_without_a_known_command_it_prints_how_to_use_it(arguments):
    done = subprocess.run([sys.executable, "-m", "kit", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "Usage: python -m kit start|serve|gather|test\n"


@pytest.fixture
def started(monkeypatch):
    """What `python -m kit` asks of the environment, and which programs it starts in it."""
    record = SimpleNamespace(asked=[], programs=[])

    def popen(command, **options):
        record.programs.append(command)
        return SimpleNamespace(wait=int)

    monkeypatch.setattr(kit_main, "environment", lambda *what: record.asked.append(what) or "python")
    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(signal, "signal", lambda *what: None)
    return record


@pytest.mark.parametrize(
    ("place", "source"),
    [
        (["--from", "a stick"], "a stick"),
        (["--port", "1", "--from=http://t:1"], "http://t:1"),
        (["--port", "1"], None),
    ],
)
@pytest.mark.parametrize("command", ["start", "serve"])
def test_from_is_for_the_set_up_and_whatever_else_is_given_for_the_program(
    monkeypatch, started, command, place, source
):
    monkeypatch.setattr(sys, "argv", ["kit", command, *place])
    assert kit_main.main() == 0
    [(asked, came_from, light)] = started.asked
    assert (asked, came_from and came_from.args[0], light) == (command, source, None)
    passed_on = place[:2] if "--port" in place else []
    assert started.programs == [["python", *kit_main.COMMANDS[command], *passed_on]]


@pytest.mark.parametrize(
    ("typed", "passed_on"),
    [
        ([], []),
        (["tests/test_kit.py", "-x"], ["tests/test_kit.py", "-x"]),
        (["--all", "tests"], ["tests", "-m", "", "--timeout=900"]),
    ],
)
def test_what_follows_test_is_pytests_and_all_lifts_mark_and_limit(monkeypatch, started, typed, passed_on):
    monkeypatch.setattr(sys, "argv", ["kit", "test", *typed])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert kit_main.main() == 0
    assert started.programs == [["python", *kit_main.COMMANDS["test"], *passed_on]]


@pytest.mark.parametrize(("typed", "light"), [([], None), (["--light"], True), (["--full"], False)])
def test_light_leaves_torch_out_and_full_adds_it(monkeypatch, started, typed, light):
    monkeypatch.setattr(sys, "argv", ["kit", "start", *typed, "--no-browser"])
    assert kit_main.main() == 0
    assert started.asked == [("start", None, light)]
    assert started.programs[0][-1] == "--no-browser"


def test_a_python_that_is_too_old_or_too_new_is_refused_before_anything_else_is_read():
    """The file must be valid in those, too: Python's own parser is asked whether it is."""
    source = Path(kit_main.__file__).read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 6))
    ast.parse((ROOT / "kit" / "__init__.py").read_text(encoding="utf-8"), feature_version=(3, 6))
    for version in ((3, 10, 9), (3, 16, 0)):
        program = f"""import sys; sys.version_info = {version}; sys.argv = ["kit", "start"]
sys.modules["argparse"] = None
exec(compile({source!r}, "main", "exec"))"""
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith("The kit needs Python 3.11 to 3.15; this is ")
        assert done.stderr.count("\n") == 1


def test_from_without_a_folder_says_how(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["kit", "start", "--from"])
    with pytest.raises(SystemExit):
        kit_main.main()
    assert "python -m kit start: error: argument --from: expected one argument" in capsys.readouterr().err


# Start


def first_answer(url):
    """Return what a server answers, which may tell its address a moment before it listens."""
    for _ in range(100):
        with contextlib.suppress(urllib.error.URLError), urllib.request.urlopen(url) as reply:
            return reply.read()
        time.sleep(0.1)
    raise AssertionError(f"nothing listens at {url}")


def test_start_opens_jupyterlab_on_the_first_lesson(tmp_path):
    environment = {**os.environ, "JUPYTER_PLATFORM_DIRS": "0"}
    for kind in ("RUNTIME", "CONFIG", "DATA"):
        environment[f"JUPYTER_{kind}_DIR"] = str(tmp_path / kind)
    options = ["--no-browser", "--ip=127.0.0.1", "--ServerApp.port=0", "--allow-root"]
    log = tmp_path / "log"
    with log.open("w") as output:
        lab = subprocess.Popen(
            [sys.executable, *kit_main.COMMANDS["start"], *options],
            cwd=ROOT, env=environment, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        pattern = r"(http://127\.0\.0\.1:\d+/)lab/tree/notebooks/00_start_here\.ipynb\?token=(\w+)"
        for _ in range(600):
            if found := re.search(pattern, log.read_text()):
                break
            assert lab.poll() is None, log.read_text()
            time.sleep(0.1)
        assert found, log.read_text()
        lesson = f"{found[1]}api/contents/notebooks/00_start_here.ipynb?token={found[2]}"
        assert json.loads(first_answer(lesson))["type"] == "notebook"
    finally:
        lab.terminate()
        lab.wait()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM")
def test_whoever_ends_the_kit_ends_the_program_that_it_started():
    nap = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    program = f"""
import sys, kit.__main__ as main
main.COMMANDS["nap"] = ["-c", {nap!r}]
main.environment = lambda *what: sys.executable
sys.argv = ["kit", "nap"]
sys.exit(main.main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT) as kit:
        started = int(kit.stdout.readline())
        kit.terminate()
        assert kit.wait() != 0
    with pytest.raises(ProcessLookupError):
        os.kill(started, 0)


@pytest.mark.skipif(os.name == "nt", reason="signals to a process group are POSIX's")
def test_ctrl_c_is_left_to_the_program_that_was_started():
    nap = """import time
try: print('ready', flush=True); time.sleep(60)
except KeyboardInterrupt: time.sleep(1); exit(3)"""
    program = f"""
import sys, kit.__main__ as main
main.COMMANDS["nap"] = ["-c", {nap!r}]
main.environment = lambda *what: sys.executable
sys.argv = ["kit", "nap"]
sys.exit(main.main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True
    ) as kit:
        assert kit.stdout.readline() == b"ready\n"
        os.killpg(kit.pid, signal.SIGINT)
        assert kit.wait() == 3


# The README, which CI runs


def fenced(heading):
    """Return the commands in the first fenced block under a heading of the README."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", readme, re.M | re.S)
    assert section, f"README.md has no heading '## {heading}'"
    block = re.search(r"^```\w*\n(.*?)^```", section[1], re.M | re.S)
    assert block, f"README.md has no fenced block under '## {heading}'"
    return block[1].splitlines()


@pytest.mark.parametrize(("heading", "command"), [("Start", "start"), ("Test", "test")])
def test_the_readme_prints_each_command_as_one_line(heading, command):
    assert fenced(heading) == [f"python3 -m kit {command}"]
    assert command in kit_main.COMMANDS


@pytest.mark.skipif(os.name == "nt", reason="CI runs in bash")
def test_ci_runs_the_very_line_that_the_readme_prints():
    awk = re.search(r"awk '.*' README.md", (ROOT / ".ci" / "run").read_text())
    extracted = subprocess.check_output(["bash", "-c", awk[0]], cwd=ROOT, text=True)
    assert extracted.splitlines() == fenced("Test")
