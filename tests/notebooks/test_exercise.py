"""What all checks share: one line each, and nothing of what happens meanwhile."""

import os
import re
import sys
from types import SimpleNamespace

import checks
import pytest
from checks.exercise import exercise, prediction


@exercise("9z")
def check(answer):
    return answer()


def test_a_check_prints_its_verdict_and_nothing_else(capsys, agent):
    from autogen import UserProxyAgent

    from kit import DummyModelClient

    def chat():
        print("seen by nobody")
        user = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)
        user.initiate_chat(agent(DummyModelClient, replies="TERMINATE"), message="Hello!")

    check(chat)
    shown = capsys.readouterr()
    assert shown.out == "✔ 9z: right!\n"
    assert "Hello!" not in shown.err
    check(lambda: "no.")
    check(lambda: 1 / 0)
    check(...)
    assert capsys.readouterr().out.splitlines() == [
        "✘ 9z: no.",
        "✘ 9z: using your answer raised ZeroDivisionError: division by zero",
        "○ 9z: open",
    ]


def test_an_answer_whose_cell_has_just_failed_is_not_judged(capsys, monkeypatch):
    cells = ["", "my_agent = AssistantAgent(\n    'a')", "check_9z(my_agent)"]
    shell = SimpleNamespace(user_ns={"In": cells}, last_execution_succeeded=False)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    check(lambda: None)
    assert "the cell that makes `my_agent` failed" in capsys.readouterr().out
    for before in ("1 / 0", "print(my_agent)", "other = my_agent.name", "x = (my_agent == 1)"):
        cells[-2] = before
        check(lambda: None)
        assert capsys.readouterr().out == "✔ 9z: right!\n"
    cells[-2], shell.last_execution_succeeded = "my_agent = 1", True
    check(lambda: None)
    assert capsys.readouterr().out == "✔ 9z: right!\n"


def test_solved_exercises_are_kept_beside_the_notebooks_and_shown_in_one_line(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(checks.exercise, "FOLDER", tmp_path)
    monkeypatch.setattr(checks.exercise, "NUMBERS", ["8a", "9z", "10a"])

    def shown():
        capsys.readouterr()
        checks.progress()
        return capsys.readouterr().out.strip()

    variables = {"_dh": [str(tmp_path / "solutions"), str(tmp_path)]}  # a solution, which goes up a folder
    shell = SimpleNamespace(user_ns=variables, last_execution_succeeded=True)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert shown() == "0 of 3 exercises solved: 08 ○, 09 ○, 10 ○"
    check(lambda: None)
    check(lambda: "wrong")
    assert shown().startswith("0 of 3")
    variables["_dh"] = [str(tmp_path)]
    check(lambda: "wrong")
    check(...)
    assert shown().startswith("0 of 3")
    check(lambda: None)
    check(lambda: "wrong again")  # what was solved once stays solved
    assert shown() == "1 of 3 exercises solved: 08 ○, 09 ✔, 10 ○"
    (tmp_path / checks.exercise.SOLVED).write_text("not JSON")
    assert shown().startswith("0 of 3")
    check(lambda: None)
    assert shown().startswith("1 of 3")


@pytest.mark.skipif(os.name == "nt", reason="a link stands for Windows' short names and mapped drives")
def test_a_folder_that_was_opened_by_another_name_keeps_what_was_solved(monkeypatch, tmp_path):
    folder, other = tmp_path / "notebooks", tmp_path / "NOTEBO~1"
    folder.mkdir()
    other.symlink_to(folder)
    monkeypatch.setattr(checks.exercise, "FOLDER", folder.resolve())
    shell = SimpleNamespace(user_ns={"_dh": [str(other)]}, last_execution_succeeded=True)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    check(lambda: None)
    assert os.listdir(folder) == [checks.exercise.SOLVED]


def test_a_chat_after_a_check_is_reported_as_before():
    from autogen.io.base import IOStream

    before, during = IOStream.get_default(), []
    check(lambda: during.append(IOStream.get_default()))
    assert IOStream.get_default() is before
    assert during[0] is not before


EXERCISES = [name.removeprefix("check_") for name in vars(checks) if re.match(r"check_\d", name)]


def test_the_exercises_of_all_lessons_are_here():
    assert {int(number[:-1]) for number in EXERCISES} == set(range(11))


@pytest.mark.parametrize("answer", [..., None], ids=str)
@pytest.mark.parametrize("number", EXERCISES)
def test_an_exercise_that_was_not_started_is_no_mistake(check_says, number, answer):
    check_says(number, answer, "not started")


def test_a_prediction_is_held_against_what_happened(capsys):
    predicted = prediction("b", a="no, since...", b="since...")
    predicted()
    predicted(None)
    predicted("z")
    predicted(2)
    predicted(" B ")
    predicted("a")
    assert capsys.readouterr().out.splitlines() == [
        *["○ no guess yet: a or b"] * 2,
        "○ 'z' is none of a, b.",
        "○ 2 is none of a, b.",
        "✔ You predicted b, and so it is: since...",
        "▲ You predicted a: no, since...",
        "  It is b: since...",
    ]
