"""Report: its order, its text and its cards."""

import re
from html import escape

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


def test_findings_come_first_as_cards_and_passes_are_folded_into_one_line():
    report = Report()
    report.add(0, "the packages", [])
    report.add(2, "the list", [Finding("w", "a warning", "peek", 2, warning=True)])
    report.add(3, "registering it", [Finding("e", "an error", "do this", 3)])
    report.add(4, "the chat", [])
    page = report._repr_html_()
    body = page[page.index("</style>") :]
    texts = ["✖ 1 to fix", "▲ 1 to look at", "an error", "registering it", "do this", "a warning", "peek"]
    texts += ["<details>", "✔ 2 checks passed", "0 the packages", "4 the chat"]
    places = [body.index(text) for text in texts]
    assert places == sorted(places)
    assert "<details open" not in body


def test_where_fixes_are_folded_a_card_opens_and_the_text_says_how_to_see_them(monkeypatch):
    monkeypatch.setattr(Report, "fold_fixes", True)
    report = Report()
    report.add(2, "the list", [Finding("x", "9 is too hot", "Take 1.", 2)])
    assert "<details><summary>Show the fix</summary><p" in report._repr_html_()
    assert repr(report) == (
        "step 2 the config list, the list: ✖ 9 is too hot\n(Report.fold_fixes = False shows how to fix it.)"
    )
    report = Report()
    report.add(2, "the list", [Finding("x", "9 is too hot", "", 2)])
    assert "<details" not in report._repr_html_() and "fold_fixes" not in repr(report)


@pytest.mark.parametrize(
    ("entry", "total"),
    [({}, "✔ Nothing to fix"), ({"temperature": 9, "temprature": 1}, "✖ 1 to fix")],
)
def test_the_first_line_counts_what_is_to_be_fixed(entry, total):
    assert total in diagnose([{**DUMMY, **entry}])._repr_html_()


def test_a_report_without_findings_is_two_lines_and_one_without_passes_has_nothing_folded():
    fine, bad = Report(), Report()
    fine.add(0, "the packages", [])
    bad.add(2, "the list", [Finding("e", "an error", "", 2)])
    assert "1 check passed" in fine._repr_html_() and "<li class=" not in fine._repr_html_()
    assert "<details" not in bad._repr_html_() and "Fix:" not in bad._repr_html_()


def test_every_text_in_the_cards_is_escaped():
    report = Report()
    report.add(1, HOSTILE, [Finding("x", HOSTILE, HOSTILE, 1)])
    report.add(2, HOSTILE, [])
    page = report._repr_html_()
    assert page.count(escape(HOSTILE)) == 4
    tags = {"style", "div", "p", "strong", "ul", "li", "details", "summary"}
    assert set(re.findall(r"</?(\w+)", page)) == tags


def test_hostile_text_in_a_list_is_escaped_too():
    report = diagnose([{**DUMMY, "model_client_cls": HOSTILE, "temprature": HOSTILE}])
    assert "onerror" in report._repr_html_()
    assert "<img" not in report._repr_html_()
