"""The predictions of all lessons: each says of every choice why it is right or wrong."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "notebooks"))
import checks  # noqa: E402

RIGHT = {
    "0_capital": "a",
    "1_two_answers": "b",
    "1_four_keys": "c",
    "1_shout": "a",
    "2_variable": "a",
    "2_filter": "b",
    "2_broken_file": "c",
    "3_not_registered": "c",
    "3_history": "c",
    "3_two_entries": "b",
    "4_special_tokens": "b",
    "4_copies": "a",
    "4_greedy": "c",
    "5_text_for_list": "b",
    "5_old_or_new": "a",
    "5_group": "c",
    "6_first_speaker": "b",
    "6_script": "b",
    "6_nobody": "c",
    "7_arguments": "c",
    "7_who_runs": "b",
    "7_texts": "a",
    "8_second_request": "c",
    "8_second_entry": "b",
    "8_cut": "a",
    "9_messages": "b",
    "9_memory": "a",
    "9_tool": "c",
    "10_register": "c",
    "10_four": "a",
    "10_restart": "b",
}


def test_each_prediction_of_the_lessons_is_here():
    assert {name for name in vars(checks) if name.startswith("predicted_")} == {
        f"predicted_{name}" for name in RIGHT
    }


@pytest.mark.parametrize(("name", "right"), RIGHT.items(), ids=RIGHT)
def test_a_prediction_explains_every_choice(capsys, name, right):
    predicted = getattr(checks, f"predicted_{name}")
    predicted(...)
    assert capsys.readouterr().out.startswith("○ No prediction yet: choose one of a, b, c")
    predicted(right)
    assert capsys.readouterr().out.startswith(f"✔ You predicted {right}, and so it is: ")
    for wrong in {*"abc"} - {right}:
        predicted(wrong)
        out = capsys.readouterr().out
        assert out.startswith(f"▲ You predicted {wrong}: ") and f"\n  It is {right}: " in out
