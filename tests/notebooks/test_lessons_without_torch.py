"""Without torch the lessons run on the model that a class shares; the server is the real one."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "tests" / "classroom"))
from class_server import class_server  # noqa: E402

NO_TORCH = """
import sys
from importlib.machinery import PathFinder


class WithoutTorch(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        hidden = name.partition(".")[0] in ("torch", "transformers", "safetensors")
        return None if hidden else super().find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutTorch
"""


@pytest.fixture(scope="module")
def entry(local_model_folder):
    with class_server() as server:
        yield server.entry


@pytest.fixture
def lessons(tmp_path, monkeypatch):
    """A folder with the lessons, whose kernels find no torch."""
    for lesson in (PROJECT / "notebooks").glob("*.ipynb"):
        shutil.copy(lesson, tmp_path)
    shutil.copytree(PROJECT / "notebooks" / "checks", tmp_path / "checks")
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(NO_TORCH)
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), str(PROJECT), before]))
    monkeypatch.delenv("OAI_CONFIG_LIST", raising=False)
    return tmp_path


def code_of(lesson):
    """Return a lesson as a notebook of its code cells."""
    notebook = nbformat.read(lesson, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return notebook


def run(notebook, folder):
    """Run all cells; one that raises, without being made for it, ends the test."""
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    return json.dumps([cell.outputs for cell in notebook.cells])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["06_group_chat", "07_tools", "08_test_your_agents", "09_every_autogen"])
def test_with_the_class_s_entry_in_the_config_list_a_lesson_runs_from_top_to_bottom(name, lessons, entry):
    (lessons / "OAI_CONFIG_LIST").write_text(json.dumps([entry]))
    shown = run(code_of(lessons / f"{name}.ipynb"), lessons)
    assert "The class's model answers" in shown and entry["base_url"] in shown
    assert entry["api_key"] not in shown


@pytest.mark.slow
def test_lesson_10_runs_on_the_entry_as_the_room_s_instructor_shows_it(lessons, entry):
    notebook = code_of(lessons / "10_one_model_for_the_class.ipynb")
    [own] = [cell for cell in notebook.cells if cell.source.startswith("server, entry = start_server()")]
    own.source = f"entry = {entry!r}"
    # "... and leave out the cells with `server`"
    notebook.cells = [cell for cell in notebook.cells if not re.search(r"(?m)^server[.,]", cell.source)]
    assert "Paris" in run(notebook, lessons)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("04_hugging_face_model", "04-hugging-fa-04"),
        ("06_group_chat", "06-group-chat-06"),
        ("07_tools", "07-tools-55"),
    ],
)
def test_without_such_an_entry_the_first_cell_that_needs_a_model_says_so(name, place, lessons):
    notebook = code_of(lessons / f"{name}.ipynb")
    last = next(index for index, cell in enumerate(notebook.cells) if cell.id == place)
    notebook.cells = notebook.cells[: last + 1]
    notebook.cells[last].metadata["tags"] = ["raises-exception"]
    run(notebook, lessons)
    [error] = [output for output in notebook.cells[last].outputs if output.output_type == "error"]
    assert error.ename == "NoModelHere" and len(error.traceback) == 1
    assert "a file OAI_CONFIG_LIST beside them" in error.evalue
