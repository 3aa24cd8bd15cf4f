"""The chat panel in a real JupyterLab, as a person uses it: by keyboard, in both themes, in little room."""

import pytest
from lab import DARK, LIGHT, expect

AGENT = """
from autogen import AssistantAgent, LLMConfig
from kit import ChatPanel, DummyModelClient

entry = {"model": "dummy", "model_client_cls": "DummyModelClient"}
agent = AssistantAgent("assistant", llm_config=LLMConfig(entry))
agent.register_model_client(DummyModelClient, replies=REPLIES, delay=DELAY)
panel = ChatPanel(agent)
panel
"""
LONG = repr("word " * 1000)
HOSTILE = "<img src=x onerror=\"alert('ran')\">"


def open_panel(lab, replies, seconds=0.1):
    lab.open([AGENT.replace("REPLIES", replies).replace("DELAY", str(seconds)), "print(panel)"])
    panel = lab.output(0)
    expect(panel.get_by_label("Message to assistant")).to_be_visible()
    return panel


def log(panel):
    return panel.get_by_role("log", name="Chat with assistant")


def status(panel):
    return panel.get_by_role("status")


def has_focus(panel):
    expect(panel.get_by_label("Message to assistant")).to_be_focused()


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
    has_focus(panel)
    lab.page.keyboard.press("Shift+Tab")
    expect(log(panel)).to_be_focused()  # where arrow keys scroll
    lab.run(1)
    assert lab.text(1).strip() == (
        "You: I am Ada.\nassistant: Hello Ada!\nYou: dd first line\nsecond line\nassistant: Bye."
    )
    assert lab.errors == []


def test_a_reply_appears_piece_by_piece_and_stops_by_keyboard(lab):
    panel = open_panel(lab, LONG, seconds=50)
    panel.get_by_label("Message to assistant").fill("Talk")
    lab.page.keyboard.press("Enter")
    said = log(panel).locator(".kit-said").nth(1)
    lengths = []
    for _ in range(4):
        lab.page.wait_for_timeout(300)
        lengths.append(len(said.inner_text()))
    assert lengths == sorted(set(lengths))
    expect(log(panel)).to_have_attribute("aria-busy", "true")
    lab.page.keyboard.press("Tab")
    lab.page.keyboard.press("Tab")
    expect(panel.get_by_role("button", name="Stop")).to_be_focused()
    lab.page.keyboard.press("Enter")
    expect(log(panel)).to_contain_text("stopped")
    expect(log(panel)).to_have_attribute("aria-busy", "false")
    expect(panel.get_by_role("button", name="Stop")).to_be_disabled()
    assert "word" in said.inner_text()
    has_focus(panel)


@pytest.mark.slow
def test_the_end_of_a_long_chat_is_in_sight(lab):
    panel = open_panel(lab, repr("line\n" * 60 + "the end"), seconds=3)
    panel.get_by_label("Message to assistant").fill("Talk")
    lab.page.keyboard.press("Enter")
    expect(status(panel)).to_contain_text("Ready.")
    rest = "log => log.scrollHeight - log.scrollTop - log.clientHeight"
    assert log(panel).evaluate(rest) < 2
    assert log(panel).evaluate("log => log.scrollTop") > 100


@pytest.mark.slow
def test_a_failed_message_comes_back_to_be_sent_again_and_clear_empties_the_log(lab):
    panel = open_panel(lab, repr(["one"]))
    message = panel.get_by_label("Message to assistant")
    message.fill("Hello")
    lab.page.keyboard.press("Enter")
    expect(status(panel)).to_contain_text("Ready.")
    message.fill("Hello again")
    lab.page.keyboard.press("Enter")
    expect(log(panel)).to_contain_text("The script has 1 reply, and this is call 2")
    expect(message).to_have_value("Hello again")
    panel.get_by_role("button", name="Clear").click()
    expect(log(panel)).to_be_empty()
    expect(panel.get_by_role("button", name="Clear")).to_be_disabled()


@pytest.mark.slow
def test_the_transcript_is_copied(lab):
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel = open_panel(lab, repr("**fine**"))
    panel.get_by_label("Message to assistant").fill("How are you?")
    lab.page.keyboard.press("Enter")
    expect(status(panel)).to_contain_text("Ready.")
    panel.get_by_role("button", name="Copy transcript").click()
    expect(panel.get_by_role("button", name="Copied")).to_be_visible()
    copied = lab.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("**You**\n\nHow are you?\n\n**assistant**\n\n**fine**\n")


def test_html_in_a_message_a_reply_or_a_name_is_shown_and_not_run(lab):
    hostile = f"HOSTILE, DELAY = {HOSTILE!r}, 0.1\n" + AGENT.replace("REPLIES", "HOSTILE").replace(
        "panel = ", "agent._name = HOSTILE\npanel = "
    )
    lab.open([hostile])
    panel = lab.output(0)
    panel.get_by_role("textbox").fill(HOSTILE)
    lab.page.keyboard.press("Enter")
    expect(status(panel)).to_contain_text("Ready.")
    assert log(panel).count() == 0  # its name is another one
    expect(panel.locator(".kit-said")).to_have_text([HOSTILE, HOSTILE])
    expect(panel.locator(".kit-speaker")).to_have_text(["You", HOSTILE])
    assert panel.locator("img").count() == 0
    lab.page.wait_for_timeout(200)
    assert lab.dialogs == lab.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("lab", [LIGHT, DARK], indirect=True)
def test_axe_finds_nothing_serious_and_480_pixels_are_enough(lab, tmp_path):
    panel = open_panel(lab, repr(["A reply with a_very_long_word" + "_and_more" * 20]))
    for text, answer in (("Hello", "A reply with"), ("This one fails", "The script has")):
        panel.get_by_label("Message to assistant").fill(text)
        lab.page.keyboard.press("Enter")
        expect(log(panel).locator(".kit-said").last).to_contain_text(answer)
        expect(panel.get_by_role("button", name="Stop")).to_be_disabled()
    chat = panel.locator(".kit-chat")
    assert lab.axe(chat) == []
    lab.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    lab.page.set_viewport_size({"width": 480, "height": 900})
    chat.scroll_into_view_if_needed()
    too_wide = """chat => [chat, ...chat.querySelectorAll('*')]
        .filter(node => node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0)
        .map(node => node.className)"""
    assert chat.evaluate(too_wide) == []
    assert 200 < chat.bounding_box()["width"] < 480
    expect(log(panel).locator(".kit-said").last).to_be_in_viewport(ratio=0.9)  # the end is still in sight
    lab.page.screenshot(path=tmp_path / "chat.png")
