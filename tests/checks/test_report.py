"""Report: its order, its text and its table; and what exceptions mean to it."""

import json
import re
from html import unescape

import pytest
from autogen import AssistantAgent, LLMConfig

from kit import Finding, Report, diagnose
from kit.checks.diagnose import explain
from kit.checks.report import LONGEST

pytestmark = pytest.mark.usefixtures("folder")
DUMMY = {"model": "dummy", "model_client_cls": "DummyModelClient"}
HOSTILE = "<img src=x onerror=\"alert('1')\">&lt;"


def write(entries, path="OAI_CONFIG_LIST"):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(entries, file)


def agent_of(*entries):
    return AssistantAgent("helper", llm_config=LLMConfig(*entries))


def raised(action):
    """Return what an action raises."""
    with pytest.raises(Exception) as caught:  # noqa: B017
        action()
    return caught.value


def test_what_is_to_be_fixed_comes_before_warnings():
    report = Report()
    report.add(2, "first", [Finding("w", "a warning", "", 2, warning=True)])
    report.add(3, "second", [Finding("e", "an error", "", 3)])
    assert [finding.code for finding in report.findings] == ["e", "w"]
    assert [row[2] for row in report.rows()] == ["▲ a warning", "✖ an error"]  # the table keeps the steps


# What exceptions mean


def of_openai(name, status=None, message="told"):
    """Return one of openai's errors as its client makes it."""
    import httpx
    import openai

    request = httpx.Request("POST", "http://localhost/v1")
    if status is None:
        return getattr(openai, name)(request=request)
    return getattr(openai, name)(message, response=httpx.Response(status, request=request), body=None)


@pytest.mark.parametrize(
    ("error", "code", "step"),
    [
        (of_openai("APIConnectionError"), "unreachable", 2),
        (of_openai("APITimeoutError"), "unreachable", 2),
        (of_openai("AuthenticationError", 401), "key-refused", 2),
        (of_openai("NotFoundError", 404), "unknown-model", 2),
        (of_openai("RateLimitError", 429), "rate-limit", 4),
        (ModuleNotFoundError("No module named 'llguidance'"), "missing-package", 0),
        (ImportError("old"), "missing-package", 0),
        (ZeroDivisionError(), "error", 4),
    ],
)
def test_an_exception_has_a_code_a_step_and_a_fix(error, code, step):
    finding = explain(error)
    assert (finding.code, finding.step) == (code, step)
    assert finding.message
    assert finding.fix.endswith(".")


def test_an_exception_without_a_text_is_told_by_its_name():
    assert explain(SystemExit()).message == "SystemExit: SystemExit"


def test_a_long_message_is_cut_and_its_lines_are_joined():
    message = explain(ValueError("a\n  b" + "c" * 1000)).message
    assert message.startswith("ValueError: a bccc")
    assert message.endswith("...")
    assert len(message) == LONGEST


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
    text = repr(diagnose([{**DUMMY, "temperature": 9}]))
    assert text == (
        "step 0 the packages, the packages fit together: ✔ fine\n"
        "step 2 the config list, AutoGen accepts the list: ✖ entry 0, 'temperature': 9 is not allowed\n"
        "    Fix: Input should be less than or equal to 1."
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
