"""Report: its order, its text and its table."""

import re
from html import unescape

import pytest
from set_ups import DUMMY

from kit import Finding, Report, diagnose
from kit.checks.report import LONGEST

pytestmark = pytest.mark.usefixtures("folder")
HOSTILE = "<img src=x onerror=\"alert('1')\">&lt;"


def test_what_is_to_be_fixed_comes_before_warnings():
    report = Report()
    report.add(2, "first", [Finding("w", "a warning", "", 2, warning=True)])
    report.add(3, "second", [Finding("e", "an error", "", 3)])
    assert [finding.code for finding in report.findings] == ["e", "w"]
    assert [row[2] for row in report.rows()] == ["▲ a warning", "✖ an error"]  # the table keeps the steps


def test_no_text_of_a_report_shows_a_key_or_goes_on_for_ever(monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "plain-recognisable")
    told = "with sk-recognisable and plain-recognisable" + " or so" * 10**6
    report = Report()
    report.add(2, told, [Finding("x", told, told, 2)])
    assert "recognisable" not in repr(report) + report._repr_html_()
    assert len(repr(report)) < 4 * LONGEST


# How it looks


def test_a_report_of_nothing_says_so():
    assert repr(Report()) == "Nothing was checked."
    assert Report().ok


def test_the_text_has_a_line_for_each_row_and_one_for_each_fix():
    report = Report()
    report.add(0, "the packages fit together", [])
    report.add(2, "the list", [Finding("x", "9 is too hot", "Take 1.", 2)])
    assert repr(report) == (
        "step 0 the packages, the packages fit together: ✔ fine\n"
        "step 2 the config list, the list: ✖ 9 is too hot\n"
        "    Fix: Take 1."
    )


def test_the_table_counts_what_is_to_be_fixed():
    assert "<caption>✔ Nothing to fix</caption>" in diagnose([DUMMY])._repr_html_()
    report = diagnose([{**DUMMY, "temperature": 9, "temprature": 1}])
    assert "<caption>✖ 1 to fix</caption>" in report._repr_html_()


def test_every_text_in_the_table_is_escaped():
    report = Report()
    report.add(1, HOSTILE, [Finding("x", HOSTILE, HOSTILE, 1)])
    table = report._repr_html_()
    assert "<img" not in table
    assert set(re.findall(r"</?(\w+)", table)) == {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    cells = [unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", table)]
    assert cells == ["1 the client class", HOSTILE, f"✖ {HOSTILE}", HOSTILE]


def test_hostile_text_in_a_list_is_escaped_too():
    report = diagnose([{**DUMMY, "model_client_cls": HOSTILE, "temprature": HOSTILE}])
    assert "onerror" in report._repr_html_()
    assert "<img" not in report._repr_html_()
