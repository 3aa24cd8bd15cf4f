"""`python -m kit`: its commands, and the environment that they make."""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from kit import __main__ as kit_main
from kit.models import NAME

ROOT = Path(__file__).resolve().parents[1]
RUN = subprocess.run


@pytest.mark.parametrize("arguments", [[], ["begin"], ["--help"]])
def test_without_a_known_command_it_prints_how_to_use_it(arguments):
    done = subprocess.run([sys.executable, "-m", "kit", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "Usage: python -m kit start|serve|gather|test\n"


# The environment


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A new virtual environment, to be copied: making one takes seconds."""
    folder = tmp_path_factory.mktemp("bare") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder


@pytest.fixture
def project(tmp_path, monkeypatch, bare):
    """A project of its own, whose requirements are one small package, and two more for its tests."""

    def copying_venvs(command, **options):
        if command[1:3] != ["-m", "venv"]:
            return RUN(command, **options)
        if not Path(command[3]).exists():  # else venv, too, leaves what was installed
            shutil.copytree(bare, command[3], symlinks=True)
        return None

    monkeypatch.setattr(subprocess, "run", copying_venvs)
    monkeypatch.setattr(kit_main, "ROOT", tmp_path)
    monkeypatch.setattr(kit_main, "ENVIRONMENT", tmp_path / ".venv")
    (tmp_path / "tests").mkdir()
    (tmp_path / "requirements.txt").write_text("six==1.16.0\n")
    (tmp_path / "tests" / "requirements.txt").write_text("iniconfig==2.3.0\n")
    (tmp_path / "kit" / "adapters").mkdir(parents=True)
    (tmp_path / "kit" / "adapters" / "requirements.txt").write_text("pluggy==1.6.0\n")
    (tmp_path / "notebooks" / "classroom").mkdir(parents=True)
    (tmp_path / "notebooks" / "classroom" / "requirements.txt").write_text("")
    (tmp_path / "models" / NAME).mkdir(parents=True)
    monkeypatch.setenv("KIT_MODELS", str(tmp_path / "models"))
    return tmp_path


def versions_in(python):
    """Return the versions of the first two packages; None for one that is not installed."""
    program = """
import importlib.metadata as m
print({d.name: d.version for d in m.distributions()})"""
    found = ast.literal_eval(subprocess.check_output([python, "-c", program], text=True))
    return found.get("six"), found.get("iniconfig")


def commands_run(monkeypatch, command):
    """Return the Python of a command's environment, and what was run to make it."""
    run, ran = subprocess.run, []
    with monkeypatch.context() as recorded:
        recorded.setattr(subprocess, "run", lambda what, **how: ran.append(what[2:]) or run(what, **how))
        return kit_main.environment(command), ran


def test_the_environment_is_made_once_and_again_after_the_requirements_changed(project, monkeypatch):
    python = kit_main.environment("start")
    assert Path(python).is_relative_to(project / ".venv")
    assert versions_in(python) == ("1.16.0", None)
    assert commands_run(monkeypatch, "start") == (python, [])

    (project / "requirements.txt").write_text("six==1.17.0\n")
    assert kit_main.environment("start") == python
    assert versions_in(python) == ("1.17.0", None)


def test_the_tests_add_their_packages_to_what_start_made_and_start_leaves_them(project, monkeypatch):
    python = kit_main.environment("start")
    added = ["pip", "install", "-r", "tests/requirements.txt"]
    first = [*added, "-r", "kit/adapters/requirements.txt", "-r", "notebooks/classroom/requirements.txt"]
    assert commands_run(monkeypatch, "test") == (python, [first])
    assert versions_in(python) == ("1.16.0", "2.3.0")
    for command in ("start", "test"):
        assert commands_run(monkeypatch, command) == (python, [])

    (project / "tests" / "requirements.txt").write_text("iniconfig==2.3.1\n")
    assert commands_run(monkeypatch, "start") == (python, [])
    assert commands_run(monkeypatch, "test") == (python, [added])


def test_the_tests_need_no_start_before_them(project, monkeypatch):
    python = kit_main.environment("test")
    assert versions_in(python) == ("1.16.0", "2.3.0")
    assert commands_run(monkeypatch, "start") == (python, [])


def test_a_requirement_that_can_not_be_installed_is_told_and_tried_again_next_time(project, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(project))
    for _ in range(2):
        with pytest.raises(SystemExit) as caught:
            kit_main.environment("start")
        assert str(caught.value).startswith("Set-up stopped: -m pip install failed, see above. Fix that")


@pytest.mark.slow
def test_an_environment_that_was_moved_along_with_its_folder_is_made_anew(project, monkeypatch):
    """Scripts in a virtual environment hold its full path."""
    monkeypatch.setattr(subprocess, "run", RUN)
    (project / "requirements.txt").write_text("")
    stamp = Path(kit_main.environment("start")).parents[1] / "kit-requirements.sha256"
    before = stamp.read_text()
    moved = project.rename(project.with_name("moved"))
    monkeypatch.setattr(kit_main, "ROOT", moved)
    monkeypatch.setattr(kit_main, "ENVIRONMENT", moved / ".venv")
    python = Path(kit_main.environment("start"))
    assert (python.parents[1] / "kit-requirements.sha256").read_text() != before
    assert str(moved) in (python.parents[1] / "pyvenv.cfg").read_text()


@pytest.fixture
def started(monkeypatch):
    """What `python -m kit` asks of the environment, and which programs it starts in it."""
    record = SimpleNamespace(asked=[], programs=[])

    def popen(command, **options):
        record.programs.append(command)
        return SimpleNamespace(wait=int)

    monkeypatch.setattr(kit_main, "environment", lambda *what: record.asked.append(what) or "python")
    monkeypatch.setattr(subprocess, "Popen", popen)
    return record


@pytest.mark.parametrize(
    ("place", "source"),
    [
        (["--from", "a stick"], "a stick"),
        (["--port", "1", "--from=http://t:1"], "http://t:1"),
        (["--port", "1"], ""),
    ],
)
@pytest.mark.parametrize("command", ["start", "serve"])
def test_from_is_for_the_set_up_and_whatever_else_is_given_for_the_program(
    monkeypatch, started, command, place, source
):
    monkeypatch.setattr(sys, "argv", ["kit", command, *place])
    assert kit_main.main() == 0
    assert started.asked == [(command, source)]
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


def test_from_without_a_folder_says_how(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["kit", "start", "--from"])
    with pytest.raises(SystemExit):
        kit_main.main()
    assert "python -m kit start: error: argument --from: expected one argument" in capsys.readouterr().err


def test_with_from_all_comes_from_there_lesson_09s_packages_too_and_then_it_may_be_gone(project, monkeypatch):
    used = []
    monkeypatch.setattr(kit_main, "use", lambda source: used.append(source) or {"PIP_NO_INDEX": "1"})
    run, settings = subprocess.run, []

    def without_settings(what, env=None, **how):
        settings.append(env and env.get("PIP_NO_INDEX"))
        return run(what, **how)

    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.setattr(subprocess, "run", without_settings)
    python = kit_main.environment("start", "stick")
    assert used == ["stick"]
    assert settings == [None, "1"]  # venv, pip
    monkeypatch.undo()
    assert subprocess.run([python, "-c", "import pluggy, six"]).returncode == 0


def test_the_model_is_fetched_before_nbval_compares_what_is_printed(project, monkeypatch):
    kit_main.environment("test")
    (project / "models" / NAME).rmdir()
    fetch = ["import kit; kit.local_model()"]
    assert commands_run(monkeypatch, "start")[1] == []
    assert commands_run(monkeypatch, "test")[1] == [fetch]  # it fails: that is left for the tests to tell


# Start


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
        with urllib.request.urlopen(
            f"{found[1]}api/contents/notebooks/00_start_here.ipynb?token={found[2]}"
        ) as reply:
            assert json.load(reply)["type"] == "notebook"
    finally:
        lab.terminate()
        lab.wait()


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
