"""What all checks share: each prints one line, and never a traceback."""

import contextlib
import functools
import io
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

FOLDER = Path(__file__).resolve().parents[1]
SOLVED = "practice_solved.json"  # beside the notebooks; git leaves it out
NUMBERS = []  # of all exercises


def exercise(number):
    """Turn a function that finds what is wrong with an answer into a check that prints it.

    The function returns None for a right answer, `...` for one that was not started, else a text.
    """

    NUMBERS.append(number)

    def decorate(find_mistake):
        @functools.wraps(find_mistake)
        def check(answer):
            mistake = ... if answer is None or answer is ... else _find(find_mistake, answer)
            if mistake is not ... and (name := _not_made()):
                mistake = (
                    f"the cell that makes `{name}` failed, so this is an older one. Fix that cell first."
                )
            if mistake is ...:
                print(f"○ {number}: open")
            else:
                print(f"✘ {number}: {mistake}" if mistake else f"✔ {number}: right!")
                if not mistake:
                    _keep(number)

        return check

    return decorate


def progress():
    """Print in one line which exercises are solved: ✔ for each, lesson by lesson."""
    solved = _solved()
    lessons = {}
    for number in NUMBERS:
        lessons.setdefault(number[:-1], []).append("✔" if number in solved else "○")
    marks = ", ".join(f"{lesson:0>2} {''.join(marks)}" for lesson, marks in lessons.items())
    print(f"{len(solved & {*NUMBERS})} of {len(NUMBERS)} exercises solved: {marks}")


def _solved():
    """Return the numbers of the exercises that were solved here."""
    try:
        return set(json.loads((FOLDER / SOLVED).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return set()


def _keep(number):
    """Remember that an exercise is solved; the solutions, in a folder of their own, solve none."""
    from kit.files import write_atomically

    began = _variables().get("_dh", [""])[0]  # the folder in which the notebook was opened
    if began and Path(began).resolve() == FOLDER:  # on Windows it may be a short name, or another drive's
        with contextlib.suppress(OSError):
            write_atomically(FOLDER / SOLVED, json.dumps(sorted(_solved() | {number})))


def _find(find_mistake, answer):
    """Run a check in silence; an answer that breaks it is a wrong one."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), _no_report():
        try:
            return find_mistake(answer)
        except Exception as error:
            if "ellipsis" in str(error).lower():
                return "there are still dots in it: put something in the place of each `...`."
            return f"using your answer raised {type(error).__name__}: {error}"


def _shell():
    """Return the notebook's IPython, None where there is none."""
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()


def _variables():
    return getattr(_shell(), "user_ns", {})


def _not_made():
    """Return the name of the answer whose cell failed just before the cell of this check, "" if none did.

    What has the name now was made by an earlier run of that cell.
    """
    cells = _variables().get("In", [])
    asked = re.search(r"\bcheck_\w+\((\w+)\)", cells[-1]) if cells else None
    if len(cells) < 2 or not asked or _shell().last_execution_succeeded:
        return ""
    makes = rf"(?m)^(?:(?:class|def)\s+)?{asked[1]}\b\s*(?:=[^=]|\(|:)"
    return asked[1] if re.search(makes, cells[-2]) else ""


def _no_report():
    """Keep AutoGen from reporting on the chats of a check: its log would go past a redirected stdout.

    Worse, its handler keeps the stdout that it finds at the first report: the redirected one.
    """
    if "autogen" not in sys.modules:  # no need to wait for its import, unless the check brings it
        return contextlib.nullcontext()
    from autogen.io.base import IOStream

    return IOStream.set_default(SimpleNamespace(send=lambda message: None, print=lambda *objects, **_: None))


def prediction(right, **why):
    """Return a function that holds a guess, one of the letters in `why`, against what happened.

    `why` says of each letter what speaks for or against it.
    """

    def predicted(guess=...):
        letter = str(guess).strip().lower()
        if guess is None or guess is ...:
            *others, last = why
            print(f"○ no guess yet: {', '.join(others)} or {last}")
        elif letter not in why:
            print(f"○ {guess!r} is none of {', '.join(why)}.")
        elif letter == right:
            print(f"✔ You predicted {letter}, and so it is: {why[letter]}")
        else:
            print(f"▲ You predicted {letter}: {why[letter]}\n  It is {right}: {why[right]}")

    return predicted
