"""What all checks share: one line each, and nothing of what happens meanwhile."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "notebooks"))
from checks.exercise import exercise, prediction  # noqa: E402


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
        "○ 9z: not solved yet. Write your answer, then run both cells.",
    ]


def test_a_chat_after_a_check_is_reported_as_before():
    from autogen.io.base import IOStream

    before, during = IOStream.get_default(), []
    check(lambda: during.append(IOStream.get_default()))
    assert IOStream.get_default() is before
    assert during[0] is not before


def test_a_prediction_is_held_against_what_happened(capsys):
    predicted = prediction("b", a="no, since...", b="since...")
    predicted()
    predicted(None)
    predicted("z")
    predicted(2)
    predicted(" B ")
    predicted("a")
    assert capsys.readouterr().out.splitlines() == [
        *["○ No prediction yet: choose one of a, b, run that cell, then this one."] * 2,
        "○ 'z' is none of a, b.",
        "○ 2 is none of a, b.",
        "✔ You predicted b, and so it is: since...",
        "▲ You predicted a: no, since...",
        "  It is b: since...",
    ]
