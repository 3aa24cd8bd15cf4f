"""Each template runs as it is, in a folder that holds what save() wrote, where there is no kit."""

import ast
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from kit import check_model_client
from kit.environment import text_of
from kit.templates import templates

ROOT = Path(__file__).resolve().parents[2]
CLIENTS, PROGRAMS = ROOT / "kit" / "clients", ROOT / "kit" / "templates"
ALL = templates()
HUB_NAME = '"HuggingFaceTB/SmolLM2-1.7B-Instruct"'
FAST = "huggingface_fast/"
# Packages that bring a module along, beside the one of its own name.
BROUGHT_BY = {
    "openai": "autogen",
    "pydantic": "autogen",
    "huggingface_hub": "transformers",
}
BROUGHT_BY |= {"safetensors": "transformers", "packaging": "transformers", "jinja2": "torch"}


def imported(text):
    """Return the modules that a program imports anywhere, and those that it imports as it starts."""
    tree = ast.parse(text)

    def names(nodes):
        found = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
        found |= {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
        return {name.split(".")[0] for name in found} - sys.stdlib_module_names

    return names([*ast.walk(tree)]), names(tree.body)


# Runs program after program in one process, so that torch and AutoGen are imported once. Each is asked for
# by a line on stdin, and finds only its own folder: its modules are forgotten when it has ended.
WORKER = """
import io, json, os, runpy, sys, traceback

answers, sys.stdout = sys.stdout, io.StringIO()  # AutoGen keeps hold of the stdout that it first finds
for line in sys.stdin:
    folder, program, variables = json.loads(line)
    os.chdir(folder)
    os.environ.update(variables)
    sys.path.insert(0, folder)
    error = ""
    try:
        runpy.run_path(program, run_name="__main__")
    except SystemExit as end:
        error = end.code and f"It ended with {end.code}."
    except BaseException:
        error = traceback.format_exc()
    sys.path.remove(folder)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(folder):
            del sys.modules[name]
    print(json.dumps([sys.stdout.getvalue(), error]), file=answers, flush=True)
    sys.stdout.seek(0)
    sys.stdout.truncate()
"""


@pytest.fixture(scope="module")
def bare():
    """A command that starts a Python which has the packages but no kit, and its environment.

    Without its `site` module (`-S`), Python reads no .pth file, so an editable `kit` can't be imported.
    """
    quick = os.environ["PYTHONPATH"].partition(os.pathsep)[0]  # as tests/conftest.py has it
    packages = os.pathsep.join([quick, *{sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    environment |= {"PYTHONPATH": packages, "PYTHONIOENCODING": "utf-8"}
    return [sys.executable, "-S"], environment


@pytest.fixture(scope="module")
def worker(bare):
    """The process that runs the programs."""
    python, environment = bare
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
    with subprocess.Popen([*python, "-c", WORKER], env=environment, **pipes) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def start(worker, tmp_path):
    """Start a program of the empty folder, and return what it prints."""

    def start(program, **variables):
        print(json.dumps([str(tmp_path), program, variables]), file=worker.stdin, flush=True)
        printed, error = json.loads(worker.stdout.readline())
        assert not error, printed + error
        return printed

    return start


@pytest.fixture
def run(start, tmp_path):
    """Save a template into an empty folder, point it to the model given, and return what it prints."""

    def run(name, model=None, **variables):
        program, *_ = ALL[name].save(tmp_path, overwrite=True)
        if model:
            text = program.read_text(encoding="utf-8")
            assert text.count(HUB_NAME) == 1
            program.write_text(text.replace(HUB_NAME, repr(model)), encoding="utf-8")
        return start(program.name, **variables)

    return run


# What each is


def test_each_program_of_the_folder_is_a_template():
    assert {path.stem for path in PROGRAMS.glob("*.py")} - {"__init__"} == set(ALL)
    assert len(ALL) == 9
    assert not set(ALL) & {path.stem for path in CLIENTS.iterdir()}, "one would replace the other"


@pytest.mark.parametrize("template", ALL.values(), ids=ALL)
def test_a_template_says_what_it_needs(template):
    everywhere, _ = imported(template.text)
    clients = {path.stem: f"{path.stem}.py" for path in CLIENTS.glob("*.py")} | {FAST[:-1]: FAST}
    files = {clients[name] for name in everywhere & set(clients)}
    assert files | ({"huggingface.py"} if FAST in files else set()) == set(template.files)
    sources = [
        file for name in template.files for file in CLIENTS.glob(f"{name}*.py" if name == FAST else name)
    ]
    at_start = set().union(*(imported(file.read_text("utf-8"))[1] for file in sources))
    needed = (everywhere | at_start) - set(clients)
    packages = {re.match(r"\w+", package)[0] for package in shlex.split(template.install)[2:]}
    assert {BROUGHT_BY.get(name, name) for name in needed} == packages - {"llguidance"}
    # a call that the model is made to write needs it, and imports it only then
    assert (FAST in template.files) == ("llguidance" in packages)


@pytest.mark.parametrize("template", ALL.values(), ids=ALL)
def test_a_template_names_the_versions_that_were_tested(template):
    pins = text_of("requirements.txt") + (ROOT / "tests" / "requirements.txt").read_text()
    for package in shlex.split(template.install)[2:]:
        assert re.search(rf"^{re.escape(package)}[\s;]", pins, re.M), package


@pytest.mark.parametrize("template", ALL.values(), ids=ALL)
def test_a_template_is_short_and_has_a_title_and_a_purpose(template):
    assert 20 <= len(template.text.splitlines()) <= 70
    assert 8 < len(template.title) < 40 and template.title[0].isupper()
    assert template.text.startswith(f'"""{template.title}.\n')
    assert 80 < len(template.purpose) < 300 and template.purpose.endswith(".")
    assert all(fact in repr(template) for fact in (template.title, template.purpose, template.install))


def test_the_list_shows_names_and_titles_and_a_wrong_name_is_told_the_right_ones():
    assert repr(ALL).splitlines()[0] == "dummy_model         Dummy model"
    with pytest.raises(KeyError, match="no template 'dummy'; there are dummy_model, hugging_face_model"):
        ALL["dummy"]


# Saving


@pytest.mark.parametrize("template", ALL.values(), ids=ALL)
def test_save_writes_the_program_and_the_client_files_as_they_are(template, tmp_path):
    folder = tmp_path / "new" / "project"
    paths = template.save(folder)
    assert paths[0] == folder / f"{template.name}.py"
    names = {f"{template.name}.py", *(name.rstrip("/") for name in template.files)}
    assert {path.name for path in folder.iterdir()} == names
    assert set(paths) == {path for path in folder.rglob("*") if path.is_file()}
    assert paths[0].read_bytes() == (PROGRAMS / paths[0].name).read_bytes()
    for path in paths[1:]:
        assert path.read_bytes() == (CLIENTS / path.relative_to(folder)).read_bytes()


def test_a_folder_is_saved_with_all_its_files_and_only_those(tmp_path):
    paths = ALL["tools_local"].save(tmp_path)
    saved = {path.name for path in (tmp_path / FAST).iterdir()}
    assert saved == {path.name for path in (CLIENTS / FAST).glob("*.py")}
    mine = tmp_path / FAST / "tools.py"
    mine.write_text("mine")
    with pytest.raises(FileExistsError, match=re.escape(str(mine))):
        ALL["tools_local"].save(tmp_path)
    assert ALL["tools_local"].save(tmp_path, overwrite=True) == paths
    assert mine.read_bytes() == (CLIENTS / FAST / "tools.py").read_bytes()


def test_a_file_where_a_folder_has_to_be_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "huggingface_fast").write_text("mine")
    with pytest.raises(NotADirectoryError, match="is a file, and no folder"):
        ALL["tools_local"].save(tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["huggingface_fast"]


def test_what_is_there_and_the_same_is_left_alone(tmp_path):
    paths = ALL["tools"].save(tmp_path)
    before = [path.stat().st_mtime_ns for path in paths]
    assert ALL["tools"].save(tmp_path) == paths
    ALL["dummy_model"].save(tmp_path)  # which needs the same client file
    assert [path.stat().st_mtime_ns for path in paths] == before


@pytest.mark.parametrize("file", ["tools.py", "dummy.py"])
def test_a_file_that_holds_something_else_is_replaced_only_if_told_to(file, tmp_path):
    (tmp_path / file).write_text("mine")
    with pytest.raises(FileExistsError) as caught:
        ALL["tools"].save(tmp_path)
    assert str(tmp_path / file) in str(caught.value) and "overwrite=True" in str(caught.value)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
    program, client = ALL["tools"].save(tmp_path, overwrite=True)
    assert program.read_text(encoding="utf-8") == ALL["tools"].text
    assert client.read_bytes() == (CLIENTS / "dummy.py").read_bytes()


def test_a_link_is_followed_and_one_that_leads_nowhere_is_not_taken_for_free_room(tmp_path):
    elsewhere, folder = tmp_path / "elsewhere.py", tmp_path / "project"
    folder.mkdir()
    try:
        (folder / "dummy.py").symlink_to(elsewhere)
    except OSError:
        pytest.skip("this system lets us make no links")
    with pytest.raises(FileExistsError):
        ALL["tools"].save(folder)
    ALL["tools"].save(folder, overwrite=True)
    assert (folder / "dummy.py").is_symlink()
    assert elsewhere.read_bytes() == (CLIENTS / "dummy.py").read_bytes()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "dummy.py").write_text("mine")

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        ALL["tools"].save(tmp_path, overwrite=True)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.skipif(os.name == "nt", reason="file modes of POSIX")
def test_others_may_read_what_is_saved_as_any_new_file(tmp_path):
    (tmp_path / "mine").write_text("")
    (tmp_path / "dummy.py").touch(0o600)
    for path in ALL["tools"].save(tmp_path, overwrite=True):
        assert path.stat().st_mode == (tmp_path / "mine").stat().st_mode


def test_a_folder_that_can_not_be_is_refused_in_words(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file, and no folder"):
        ALL["tools"].save(tmp_path / "file")
    for empty in ("", "  "):
        with pytest.raises(ValueError, match="Name a folder"):
            ALL["tools"].save(empty)


def test_the_home_folder_can_be_meant(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    ALL["own_client"].save("~/project")
    assert (tmp_path / "project" / "own_client.py").is_file()


# Running


def test_there_is_no_kit_where_the_programs_run(start, tmp_path):
    (tmp_path / "look.py").write_text("import importlib.util; print(importlib.util.find_spec('kit'))")
    assert start("look.py") == "None\n"


def test_a_program_does_not_see_the_files_of_the_one_before(start, tmp_path):
    (tmp_path / "look.py").write_text("import sys; print([*sys.modules].count('beside'))\nimport beside")
    (tmp_path / "beside.py").write_text("")
    assert [start("look.py") for _ in range(2)] == ["0\n", "0\n"]


def test_dummy_model(run):
    printed = run("dummy_model")
    assert "Hello! What can I do for you?" in printed and "You are welcome." in printed
    assert "Total cost: 0.04\n" in printed  # 47 words in, 11 out


def test_hugging_face_model(run, local_model_folder):
    printed = run("hugging_face_model", local_model_folder)
    assert "Paris" in printed and "Rome" in printed
    assert re.search(r"completion_tokens: [1-9]", printed)


def test_loaded_model(run, local_model_folder):
    printed = run("loaded_model", local_model_folder)
    assert re.findall(r"^(\w+): .*Paris", printed, re.M) == ["assistant", "teacher"]


def test_openai_server(run, server):
    variables = {"OPENAI_BASE_URL": server.address, "OPENAI_API_KEY": "a-key", "OPENAI_MODEL": "b"}
    assert run("openai_server", **variables) == "The capital of France is Paris.\n"
    (request,) = server.seen
    assert (request.path, request.key) == ("/v1/chat/completions", "a-key")
    assert request.body["model"] == "b"
    assert request.body["messages"][-1]["content"] == "What is the capital of France?"


def test_group_chat(run):
    printed = run("group_chat")
    speakers = ["planner", "writer", "critic", "writer", "critic"]
    assert re.findall(r"Next speaker: (\w+)", printed) == speakers
    assert re.findall(r"^(\w+) \(to chat_manager\)", printed, re.M) == ["user", *speakers]
    assert "The sea is deep." in printed


def test_tools(run):
    printed = run("tools")
    assert 'Arguments: \n{"city": "Paris"}' in printed
    assert "Output:\n21 degrees" in printed
    assert "It is 21 degrees in Paris." in printed


def test_tools_local(run, local_model_folder):
    printed = run("tools_local", local_model_folder)
    assert 'Arguments: \n{"city": "Paris"}' in printed
    assert "Output:\n21 degrees" in printed
    last = printed.split("assistant (to user):")[-1]
    assert "21" in last and "Suggested tool call" not in last


@pytest.mark.slow
def test_test_agent_records_once_and_then_needs_neither_client_nor_model(
    run, start, bare, tmp_path, local_model_folder
):
    assert "1 passed, 1 skipped" in run("test_agent", local_model_folder)
    recording = (tmp_path / "test_agent.jsonl").read_bytes()
    assert recording.count(b"\n") == 2
    (tmp_path / "huggingface.py").unlink()
    assert "2 passed" in start("test_agent.py")
    python, environment = bare
    done = subprocess.run(
        [*python, "-m", "pytest"], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8"
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "test_agent.jsonl").read_bytes() == recording


def test_own_client(run):
    printed = run("own_client")
    assert "Welcome! Your message has 2 words." in printed
    assert "prompt_tokens: 7, completion_tokens: 6, total_tokens: 13" in printed
    client = runpy.run_path(str(PROGRAMS / "own_client.py"))["MyModelClient"]
    assert [str(finding) for finding in check_model_client(client).findings] == []
