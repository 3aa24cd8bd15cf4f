"""What other people's machines read: the dev container, and the tests on GitHub.

Neither can be run here. What they name is there, and the container's command makes the environment in which
its editor looks for the kernel.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from kit.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def container():
    """The dev container: JSON, but for lines that are comments."""
    text = (ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8")
    return json.loads(re.sub(r"^\s*//.*", "", text, flags=re.M))


@pytest.fixture
def workflow():
    text = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    return yaml.load(text, yaml.BaseLoader)  # all as text: in YAML 1.1, the key `on` is a truth value


def test_the_container_opens_what_start_opens_and_all_of_it_is_there(container):
    files = container["customizations"]["codespaces"]["openFiles"]
    assert [file for file in files if not (ROOT / file).is_file()] == []
    assert COMMANDS["start"][-1].endswith(f"/lab/tree/{files[0]}")


def test_the_container_has_a_python_that_the_kit_takes(container):
    version = re.fullmatch(r"mcr\.microsoft\.com/devcontainers/python:\d+-3\.(\d+)-\w+", container["image"])
    assert version and int(version[1]) >= oldest_python()


@pytest.mark.skipif(os.name == "nt", reason="the container is a Linux")
def test_the_containers_command_makes_the_environment_of_its_kernel(container, tmp_path):
    shutil.copytree(ROOT / "kit", tmp_path / "kit", ignore=shutil.ignore_patterns("__pycache__"))
    for file in [tmp_path / "requirements.txt", *tmp_path.rglob("requirements.txt")]:
        file.write_text("")  # so that it needs no network
    hidden = re.compile("PIP_|UV_|PYTHONPATH")
    bare = {name: value for name, value in os.environ.items() if not hidden.match(name)}
    bare |= {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    python, *arguments = container["postCreateCommand"]
    assert python == "python3" and "environment('start')" in arguments[-1]
    # -S: without the packages that are installed here, as in a new container.
    command = [sys.executable, "-S", *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=bare, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    kernel = container["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    kernel = kernel.replace("${workspaceFolder}", str(tmp_path))
    assert subprocess.run([kernel, "-c", "import sys; assert sys.prefix != sys.base_prefix"]).returncode == 0


def test_github_runs_the_tests_on_every_system_from_the_oldest_python_on(workflow):
    (job,) = workflow["jobs"].values()
    matrix = job["strategy"]["matrix"]
    assert [name.partition("-")[0] for name in matrix["system"]] == ["ubuntu", "windows", "macos"]
    assert matrix["python"][0] == f"3.{oldest_python()}"
    # Only the last one may fail, so a failure on another is seen.
    assert job["continue-on-error"] == f"${{{{ matrix.python == '{matrix['python'][-1]}' }}}}"
    assert job["steps"][-1] == {"run": "python -m kit test"}  # `python` is what setup-python puts on the PATH


def test_github_gives_the_tests_no_rights_and_they_use_its_own_actions_only(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    (job,) = workflow["jobs"].values()
    assert "permissions" not in job
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert [name for name in used if not re.fullmatch(r"actions/[a-z-]+@v\d+", name)] == []


def oldest_python():
    """The 11 of 3.11, from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return int(re.fullmatch(r">=3\.(\d+)", project["requires-python"])[1])
