"""The predictions of all lessons: each says of every choice why it is right or wrong, and the guide knows."""

import re
from pathlib import Path

import checks
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
GUIDE = (NOTEBOOKS / "INSTRUCTOR.md").read_text(encoding="utf-8")
RIGHT = dict(re.findall(r"^\| `(predicted_\w+)` \| (\w) \|", GUIDE, re.M))  # as the instructor reads it


def test_the_guide_has_each_prediction_of_the_lessons():
    assert sorted(RIGHT) == sorted(name for name in vars(checks) if name.startswith("predicted_"))
    asked = []
    for lesson in NOTEBOOKS.glob("[0-9]*.ipynb"):
        names = re.findall(r"import (predicted_(\d+)\w+)", lesson.read_text(encoding="utf-8"))
        assert {int(number) for _, number in names} == {int(lesson.name[:2])}
        asked += [name for name, _ in names]
    assert sorted(asked) == sorted(RIGHT)


@pytest.mark.parametrize(("name", "right"), RIGHT.items(), ids=RIGHT)
def test_a_prediction_explains_every_choice(capsys, name, right):
    predicted = getattr(checks, name)
    predicted(...)
    assert capsys.readouterr().out.startswith("○ no guess yet: a, b or c")
    predicted(right)
    assert capsys.readouterr().out.startswith(f"✔ You predicted {right}, and so it is: ")
    for wrong in {*"abc"} - {right}:
        predicted(wrong)
        out = capsys.readouterr().out
        assert out.startswith(f"▲ You predicted {wrong}: ") and f"\n  It is {right}: " in out
