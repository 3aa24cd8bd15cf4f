"""The teacher's view: counts, and nobody's words."""

from kit.classroom import board as board_module
from kit.classroom.board import MOST, Board


def test_a_class_is_told_in_one_line(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(board_module.time, "monotonic", lambda: clock[0])
    board = Board("teacher-1")
    for name in ("Ada", "Ben"):
        student = board.student(name)
        student.requests += 2
        student.waiting += 1
    board.student("Ben").errors += 1
    clock[0] = 102.0
    board.measure(60)
    assert board.line(1) == "2 students, 4 requests, 2 under way, 1 of them waiting, 30 tokens/s, 1 errors"


def test_the_speed_is_that_of_the_last_seconds(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(board_module.time, "monotonic", lambda: clock[0])
    board = Board("teacher-1")
    for second in range(60):  # ten tokens each second, then none
        clock[0] = float(second)
        board.measure(min(second, 30) * 10)
    assert " 0 tokens/s" in board.line(0)


def test_the_page_shows_each_student_and_runs_nothing_of_theirs():
    board = Board("teacher-1")
    board.student("<script>alert(1)</script>").requests += 3
    page = board.page(0)
    assert "&lt;script&gt;" in page and "<script>" not in page
    assert "<td>3</td>" in page


def test_names_are_cut_and_not_without_end():
    board = Board("teacher-1")
    board.student("x" * 10_000)
    for number in range(MOST * 2):
        board.student(number)
    assert len(board.page(0)) < 200 * MOST
    assert "others" in board.page(0)
