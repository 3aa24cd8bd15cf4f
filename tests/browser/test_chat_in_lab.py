"""The chat panel in a real JupyterLab, as a person uses it: by keyboard, in both themes, in little room."""

import subprocess
import sys

import nbformat
import pytest
from lab import DARK, LIGHT, expect

AGENT = """
from autogen import AssistantAgent, LLMConfig
from kit import ChatPanel, DummyModelClient, tool_call

entry = {"model": "dummy", "model_client_cls": "DummyModelClient"}
agent = AssistantAgent("assistant", llm_config=LLMConfig(entry))
agent.register_model_client(DummyModelClient, replies=REPLIES, delay=DELAY)
agent.register_function({"weather": lambda city: city}, silent_override=True)
panel = ChatPanel(agent)
panel
"""
LONG = repr("word " * 1000)
MARKDOWN = """# Title
Some **bold** `code` and [a link](https://example.org).

```python
print("fine")  # a_very_long_line_of_code_that_is_wider_than_a_small_page_and_has_to_be_scrolled_to
```

1. one
2. two

| a | b | |
| - | - | - |
| 1 | a_very_long_word_in_a_table_that_is_wider | than_a_small_page_is |

> quoted
"""
HOSTILE = "<img src=x onerror=\"alert('ran')\"><script>alert('ran')</script>[x](javascript:alert('ran'))"


def open_panel(lab, replies, seconds=0.1, more=()):
    lab.open([AGENT.replace("REPLIES", replies).replace("DELAY", str(seconds)), "print(panel)", *more])
    panel = lab.output(0)
    expect(panel.get_by_label("Message to assistant")).to_be_visible()
    return panel


def log(panel):
    return panel.get_by_role("log", name="Chat with assistant")


def status(panel):
    return panel.get_by_role("status")


def has_focus(panel):
    expect(panel.get_by_label("Message to assistant")).to_be_focused()


def say(panel, text, answer="Ready."):
    """Send a message as a person does, and wait for what follows."""
    panel.get_by_label("Message to assistant").fill(text)
    panel.page.keyboard.press("Enter")
    expect(panel.get_by_role("button", name="Stop")).to_have_count(0)
    expect(status(panel)).to_contain_text(answer)


def test_a_chat_by_keyboard_alone(lab):
    panel = open_panel(lab, repr(["Hello Ada!", "Bye."]))
    panel.get_by_label("Message to assistant").focus()
    lab.page.keyboard.type("I am Ada.")
    lab.page.keyboard.press("Enter")
    expect(log(panel)).to_contain_text("Hello Ada!")
    expect(status(panel)).to_contain_text("Ready.")
    has_focus(panel)
    expect(panel.get_by_label("Message to assistant")).to_have_value("")
    lab.page.keyboard.type("dd first line")
    lab.page.keyboard.press("Shift+Enter")  # a new line, and no shortcut of the notebook
    lab.page.keyboard.type("second line")
    lab.page.keyboard.press("Tab")  # to Send
    lab.page.keyboard.press("Enter")
    expect(log(panel)).to_contain_text("Bye.")
    expect(panel.get_by_role("button", name="Send")).to_be_focused()
    lab.page.keyboard.press("Shift+Tab")
    has_focus(panel)
    lab.page.keyboard.press("Shift+Tab")
    expect(log(panel)).to_be_focused()  # where arrow keys scroll
    lab.run(1)
    assert lab.text(1).strip() == (
        "You: I am Ada.\nassistant: Hello Ada!\nYou: dd first line\nsecond line\nassistant: Bye."
    )
    assert lab.errors == []


def test_a_reply_grows_in_its_place_and_stop_takes_the_place_of_send(lab):
    panel = open_panel(lab, '"Look:\\n\\n```py\\n" + ' + LONG, seconds=50)
    panel.get_by_label("Message to assistant").fill("Talk")
    send = panel.get_by_role("button", name="Send")
    place = send.bounding_box()
    send.click()
    stop = panel.get_by_role("button", name="Stop")
    expect(stop).to_be_focused()
    assert (stop.bounding_box()["x"], stop.bounding_box()["width"]) == (place["x"], place["width"])
    code = log(panel).locator("pre")  # the half of a code block looks as the whole will
    expect(code).to_contain_text("word")
    parts = ".kit-message, .kit-said > p, pre, .kit-block button"
    log(panel).evaluate(
        "(log, parts) => log.querySelectorAll(parts).forEach((part) => { part.mine = 1; })", parts
    )
    lengths = []
    for _ in range(4):
        lab.page.wait_for_timeout(300)
        lengths.append(len(code.inner_text()))
    assert lengths == sorted(set(lengths))
    expect(log(panel)).to_have_attribute("aria-busy", "true")
    lab.page.keyboard.press("Enter")
    expect(log(panel)).to_contain_text("stopped")
    expect(log(panel)).to_have_attribute("aria-busy", "false")
    expect(panel.get_by_role("button", name="Send")).to_be_focused()
    assert "word" in code.inner_text()
    kept = "(log, parts) => [...log.querySelectorAll(parts)].map((part) => part.mine)"
    assert log(panel).evaluate(kept, parts) == [1, 1, 1, 1, 1], "the same elements, from the first word on"


@pytest.mark.slow
def test_the_end_of_a_long_chat_is_in_sight(lab):
    panel = open_panel(lab, repr("line\n" * 60 + "the end"), seconds=3)
    say(panel, "Talk")
    rest = "log => log.scrollHeight - log.scrollTop - log.clientHeight"
    assert log(panel).evaluate(rest) < 2
    assert log(panel).evaluate("log => log.scrollTop") > 100


@pytest.mark.slow
def test_a_failed_message_comes_back_to_be_changed_and_clear_can_be_undone(lab):
    panel = open_panel(lab, repr(["one"]))
    message = panel.get_by_label("Message to assistant")
    say(panel, "Hello")
    say(panel, "Hello again", answer="failed")
    expect(log(panel)).to_contain_text("The script has 1 reply, and this is call 2")
    expect(message).to_have_value("Hello again")
    has_focus(panel)
    panel.get_by_role("button", name="Clear").click()
    expect(log(panel)).not_to_contain_text("Hello")
    undo = panel.get_by_role("button", name="Undo clear")
    expect(undo).to_be_focused()
    lab.page.keyboard.press("Enter")
    expect(log(panel)).to_contain_text("The script has 1 reply")
    expect(panel.get_by_role("button", name="Clear")).to_be_enabled()
    expect(message).to_have_value("Hello again")


@pytest.mark.slow
def test_transcript_and_code_are_copied_as_they_are(lab):
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel = open_panel(lab, repr("**fine**\n\n```py\nif a < b:\n    c()\n```"))
    say(panel, "How are you?")
    copied = "navigator.clipboard.readText()"
    panel.get_by_role("button", name="Copy transcript").click()
    expect(panel.get_by_role("button", name="Copied")).to_be_visible()
    said = lab.page.evaluate(copied)
    assert said.startswith("**You**\n\nHow are you?\n\n**assistant**\n\n**fine**\n")
    log(panel).get_by_role("button", name="Copy").click()
    expect(log(panel).get_by_role("button", name="Copied")).to_be_visible()
    assert lab.page.evaluate(copied) == "if a < b:\n    c()"


def test_html_in_whatever_is_said_is_shown_and_not_run_nor_in_an_exported_page(lab):
    replies = """[HOSTILE + "\\n\\n```" + HOSTILE + "\\n" + HOSTILE + "\\n```",
        tool_call("weather", city=HOSTILE),
        {"content": "| " + HOSTILE + " |\\n|---|", "reasoning_content": HOSTILE}]"""
    hostile = f"HOSTILE, DELAY = {HOSTILE!r}, 0.1\n" + AGENT.replace("REPLIES", replies).replace(
        "panel = ", "agent._name = HOSTILE\npanel = "
    ).replace("\npanel\n", "\nfor _ in range(2):\n    panel.conversation.send(HOSTILE)\npanel\n")
    report = """
from kit import Finding, Report, TemplatePicker
report = Report()
report.add(1, HOSTILE, [Finding("x", HOSTILE, HOSTILE, 1), Finding("y", HOSTILE, HOSTILE, 1, warning=True)])
report.add(2, HOSTILE, [])
report
"""
    picker = """
picker = TemplatePicker()
picker._do({"save": HOSTILE * 20, "replace": False})
picker
"""
    lab.open([hostile, report, picker])
    panel = lab.output(0)
    panel.get_by_role("textbox").fill(HOSTILE)
    lab.page.keyboard.press("Enter")
    expect(status(panel)).to_contain_text("failed")  # the script has run out
    shown = panel.inner_text()
    assert shown.count("onerror") >= 12
    for name in ("img", "script", "a[href^=java]"):
        assert lab.page.locator(".jp-Cell-outputArea").locator(name).count() == 0
    expect(lab.output(1)).to_contain_text("onerror")
    expect(lab.output(2).get_by_role("status").nth(1)).to_contain_text("onerror")
    lab.page.wait_for_timeout(200)
    notebook = nbformat.reads(lab.save(), 4)
    lab.page.wait_for_timeout(500)
    assert lab.dialogs == lab.errors == []
    for state in (True, False):  # with the widgets' state, and as pages are made without it
        if not state:
            notebook.metadata.pop("widgets", None)
            nbformat.write(notebook, lab.file)
        command = [sys.executable, "-m", "nbconvert", "--to", "html", str(lab.file)]
        subprocess.run(command, check=True, capture_output=True)
        page = lab.page.context.browser.new_page()
        page.on("dialog", lab._answer)
        page.goto(lab.file.with_suffix(".html").as_uri(), wait_until="domcontentloaded")
        page.wait_for_timeout(300)
        assert "onerror" in page.inner_text("body")
        assert page.locator("img[src=x]").count() == 0
        page.close()
    assert lab.dialogs == []


@pytest.mark.slow
@pytest.mark.parametrize("command", ["notebook:shutdown-kernel", "notebook:restart-kernel"])
def test_whoever_talks_to_a_kernel_that_has_gone_is_told(lab, command):
    panel = open_panel(lab, repr(["one"]), more=["from kit import TemplatePicker\nTemplatePicker()"])
    say(panel, "Hello")
    panel.get_by_label("Message to assistant").fill("More")
    lab.page.evaluate("command => { window.jupyterapp.commands.execute(command); }", command)
    if command.endswith("restart-kernel"):
        lab.page.get_by_role("button", name="Confirm Kernel Restart").click()
    for index, names in ((0, ("Send", "Clear")), (2, ("Save",))):
        form = lab.output(index)
        expect(form.get_by_role("status").last).to_contain_text("kernel of this form has gone")
        for name in names:
            expect(form.get_by_role("button", name=name)).to_have_attribute("aria-disabled", "true")
    expect(panel.get_by_role("button", name="Copy transcript")).to_have_attribute("aria-disabled", "false")
    expect(panel.get_by_label("Message to assistant")).to_have_value("More")
    panel.get_by_role("button", name="Send").click(force=True)  # Playwright would wait until it is enabled
    expect(panel.get_by_label("Message to assistant")).to_have_value("More")
    assert lab.axe(panel.locator(".kit-chat"), everything=True) == []
    assert lab.errors == []
    lab.page.close()  # the server ends what is left: JupyterLab can't shut down what is shut down


@pytest.mark.slow
@pytest.mark.parametrize("lab", [LIGHT, DARK], indirect=True)
def test_axe_finds_nothing_and_480_pixels_are_enough(lab, tmp_path):
    replies = f"""[{{"content": {MARKDOWN!r}, "reasoning_content": "why " * 200}},
        tool_call("weather", city="a" * 200),
        "A reply with a_very_long_word" + "_and_more" * 20]"""
    panel = open_panel(lab, replies)
    chat = panel.locator(".kit-chat")
    assert lab.axe(chat, everything=True) == []
    say(panel, "Hello")
    say(panel, "And then?")
    panel.get_by_text("Thoughts").click()
    assert lab.axe(chat, everything=True) == []
    say(panel, "This one fails", answer="failed")
    expect(log(panel)).to_contain_text("The script has")
    assert lab.axe(chat, everything=True) == []
    lab.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    lab.page.set_viewport_size({"width": 480, "height": 900})
    chat.scroll_into_view_if_needed()
    too_wide = """chat => [chat, ...chat.querySelectorAll(':not(pre, pre *, .kit-table, .kit-table *)')]
        .filter(node => node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0)
        .map(node => node.className)"""  # code and tables scroll by themselves
    assert chat.evaluate(too_wide) == []
    assert 200 < chat.bounding_box()["width"] < 480
    expect(log(panel).locator(".kit-message").last).to_be_in_viewport(ratio=0.9)  # the end is still in sight
    lab.page.screenshot(path=tmp_path / "chat.png")
