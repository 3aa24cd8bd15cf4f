"""What the tests of the lessons share: the `checks` of the notebooks, and what one says about an answer."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "notebooks"))
import checks  # noqa: E402


@pytest.fixture
def check_says(capsys):
    """Give an answer to the check of an exercise, and look whether it says what it should.

    That is "right", "not started", or a part of the hint to a wrong answer.
    """

    def compare(exercise, answer, expected):
        getattr(checks, f"check_{exercise}")(answer)
        printed = capsys.readouterr().out
        if expected == "right":
            assert printed == f"✔ {exercise}: right!\n"
        elif expected == "not started":
            assert printed == f"○ {exercise}: open\n"
        else:
            assert printed.startswith(f"✘ {exercise}: ") and expected in printed

    return compare
