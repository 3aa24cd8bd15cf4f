"""The panel of `watch` in a real JupyterLab: it grows while agents talk, opens by keyboard, and fits."""

import re

import pytest
from lab import DARK, LIGHT, expect

HOSTILE = '<img src=x onerror="document.title = 1">'
PANEL = f"""
import logging
logging.disable()
from autogen import AssistantAgent, LLMConfig, UserProxyAgent
from kit import ChatPanel, DummyModelClient, HuggingFaceModelClient, local_model, watch

def dummy(name, **kwargs):
    entry = {{"model": "parrot", "model_client_cls": "DummyModelClient"}}
    config = LLMConfig({{**entry, "api_key": "sk-0123456789abcdef0123"}})
    agent = AssistantAgent(name, "Be brief.", llm_config=config)
    agent.register_model_client(DummyModelClient, **kwargs)
    return agent

agent = dummy("assistant", replies=["Hello, Ada!", {HOSTILE!r}], delay=1)
seen = watch(agent)
seen
"""
CHAT = "ChatPanel(agent)"
LOCAL = """
entry = {"model": local_model(), "model_client_cls": "HuggingFaceModelClient", "max_tokens": 4}
local = AssistantAgent("local", "Be brief.", llm_config=LLMConfig(entry))
local.register_model_client(HuggingFaceModelClient)
with_model = watch(local)
user = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)
for text in ("Hello!", "And now?"):
    user.initiate_chat(local, message=text, max_turns=1, clear_history=False, silent=True)
with_model
"""


def requests(panel):
    return panel.locator(".kit-request")


def press(lab, *keys):
    for key in keys:
        lab.page.keyboard.press(key)


def test_it_grows_while_a_chat_runs_and_a_card_opens_by_keyboard(lab):
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lab.open([PANEL, CHAT, "print(seen)"], run=False)
    lab.run(0)
    lab.run(1)
    panel, chat = lab.output(0), lab.output(1)
    expect(panel.get_by_text("No request yet.")).to_be_visible()
    chat.get_by_label("Message to assistant").fill("I am Ada.")
    press(lab, "Enter")
    expect(requests(panel)).to_have_count(1)
    expect(requests(panel)).to_contain_text("…")  # on its way
    expect(requests(panel)).to_contain_text("'Hello, Ada!'")
    expect(panel.get_by_role("status")).to_contain_text("1 request · tokens:")

    requests(panel).locator("summary").first.focus()
    press(lab, "Enter")
    rows = requests(panel).locator("tbody tr")
    expect(rows.locator("td:first-child")).to_have_text(
        ["constructor", "create", "cost", "get_usage", "message_retrieval"]
    )
    expect(rows.last).to_contain_text('["Hello, Ada!"]')
    expect(requests(panel)).to_contain_text("Choice 0 (finish_reason stop)")
    requests(panel).get_by_title("Copy python").click()
    expect(requests(panel).get_by_role("button", name="Copied")).to_be_visible()
    copied = lab.page.evaluate("navigator.clipboard.readText()")
    assert "client = DummyModelClient({" in copied
    assert "sk-0123456789abcdef0123" not in copied

    chat.get_by_label("Message to assistant").fill("And you?")
    press(lab, "Enter")
    expect(requests(panel)).to_have_count(2)
    expect(requests(panel).nth(1)).to_contain_text("onerror")
    requests(panel).nth(1).locator("summary").first.click()
    expect(requests(panel).nth(1).locator(".kit-new").first).to_be_visible()
    expect(panel.locator(".kit-bar")).to_have_count(2)
    expect(rows.last).to_be_visible()  # the first card is still open
    assert panel.locator("img").count() == 0
    lab.run(2)
    assert "2. assistant, turn 2 → DummyModelClient, entry 0" in lab.text(2)
    assert "sk-0123456789abcdef0123" not in re.sub(r'"source": \[.*?\]', "", lab.save(), flags=re.DOTALL)
    assert lab.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("lab", [LIGHT, DARK], indirect=True)
def test_axe_finds_nothing_and_480_pixels_are_enough(lab, tmp_path):
    lab.open([PANEL, LOCAL])
    panel = lab.output(1).locator(".kit-watch")
    requests(panel).last.locator("summary").first.click()
    panel.get_by_text("out of the prefix cache").click()
    expect(panel.locator("pre .kit-cached")).to_contain_text("Hello!")
    expect(panel.locator("pre .kit-token").first).to_be_visible()
    panel.get_by_text("as in the request before").click()
    assert lab.axe(panel, everything=True) == []
    lab.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    lab.page.set_viewport_size({"width": 480, "height": 1100})
    too_wide = """panel => [panel, ...panel.querySelectorAll(':not(pre, pre *, .kit-table, .kit-table *)')]
        .filter(node => node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0)
        .map(node => node.className)"""
    assert panel.evaluate(too_wide) == []
    assert 200 < panel.bounding_box()["width"] < 480
    lab.page.screenshot(path=tmp_path / "narrow.png")
