"""The builder in a real JupyterLab: by mouse, by keyboard alone, with keys, hostile text, little room."""

import json
import re

import pytest
from lab import DARK, LIGHT, expect

OPEN = """
from kit import ConfigListBuilder
builder = ConfigListBuilder()
builder
"""
CHAT = """
import logging
logging.disable()
from autogen import AssistantAgent, LLMConfig
from kit import DummyModelClient, load_config_list, register_model_clients

for llm_config in (LLMConfig(*load_config_list()), builder.llm_config):
    agent = AssistantAgent("helper", llm_config=llm_config)
    register_model_clients(agent, DummyModelClient)
    reply = agent.generate_reply(messages=[{"role": "user", "content": "Hi"}])
    print(*[entry.model for entry in llm_config.config_list], reply)
"""
REST = {"model_client_cls": "DummyModelClient", "params": {"replies": "Caw!"}}
TABS = ["JSON", "Python", "Try it", "Paste", "Filter", "Agent"]


class Form:
    """The builder that a cell shows, as a person finds its parts."""

    def __init__(self, lab, cell=0):
        self.lab, self.page, self.keys = lab, lab.page, lab.page.keyboard
        self.output = lab.output(cell)
        self.box = self.output.locator(".kit-form")
        expect(self.button("Add")).to_be_visible()

    def input(self, label):
        return self.box.get_by_label(label, exact=True)

    def button(self, name):
        return self.box.get_by_role("button", name=name, exact=True)

    def tab(self, name):
        return self.box.get_by_role("tab", name=name, exact=True)

    @property
    def status(self):
        return self.box.get_by_role("status").first

    @property
    def other_fields(self):
        return self.input("Other fields (JSON)")

    @property
    def entries(self):
        return self.input("Entries").locator("option")

    def press(self, *names):
        """Click buttons, each when what the last one did is there to be seen."""
        for name in names:
            self.button(name).click()
            self.lab.settle()

    def enter(self, label, text):
        """Type over what is in an input, press Enter and wait for what comes of it."""
        self.input(label).fill(text)
        self.keys.press("Enter")
        self.lab.settle()

    def labels(self):
        """Return the labels of the inputs that take text, the class's last: it decides what there is."""
        inputs = self.box.locator("input:visible:enabled")
        labels = inputs.evaluate_all("inputs => inputs.map(input => input.labels[0].textContent)")
        assert {"File", "Model", "Client class", "Key's variable", "Key"} <= set(labels)
        return sorted(labels, key=lambda label: label == "Client class")

    def open_tab(self, name):
        self.tab(name).click()
        self.lab.settle()

    def go(self, target, key="Tab"):
        """Press Tab until the target has the focus; it is never anywhere but in the form on the way."""
        for _ in range(60):
            if target.evaluate("element => element === document.activeElement"):
                return
            self.keys.press(key)
            self.lab.settle()
            self.has_focus()
        raise AssertionError(f"{target} is not to be reached with {key}")

    def has_focus(self):
        where = self.page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        assert self.box.evaluate("form => form.contains(document.activeElement)"), where

    def write(self, text):
        """Type over what is in the input that has the focus."""
        self.keys.press("ControlOrMeta+A")
        self.keys.type(text)


def open_form(lab, *cells, code=OPEN):
    lab.open([code, *cells], run=False)
    lab.run(0)
    return Form(lab)


# A list, made and used ------------------------------------------------------------------------------


def test_a_list_is_made_with_the_mouse_and_an_agent_answers_from_it(lab):
    form = open_form(lab, CHAT)
    form.input("Preset").select_option("Dummy (no model)")
    form.button("Add").click()
    expect(form.input("Model")).to_be_focused()
    form.input("Model").fill("parrot")
    form.input("Temperature").fill("1.5")
    form.input("Max tokens").click()  # leaving an input is enough
    expect(form.box).to_contain_text("✖ 1.5 is not allowed. Input should be less than or equal to 1")
    expect(form.status).to_contain_text("✖ 1 to fix. First, entry 0, 'temperature'")
    expect(form.entries).to_have_text(["0: parrot (DummyModelClient) ✖"])
    form.input("Temperature").fill("0.5")
    form.input("Max tokens").click()
    expect(form.status).to_have_text("✔ AutoGen accepts this list (1). ● Not saved yet.")
    form.input("Preset").select_option("Ollama")
    form.button("Add").click()
    expect(form.input("Model")).to_have_value("llama3.2")
    form.press("Move up")
    expect(form.entries).to_contain_text(["0: llama3.2 (OpenAI client", "1: parrot (DummyModelClient)"])
    form.press("Remove")
    expect(form.entries).to_have_text(["0: parrot (DummyModelClient)"])
    form.press("Undo")
    expect(form.entries).to_have_count(2)
    form.press("Move down", "Save")
    expect(form.status).to_contain_text("Saved 2 entries to OAI_CONFIG_LIST.")
    expect(form.status).not_to_contain_text("Not saved")
    lab.run(1)
    assert lab.text(1).splitlines() == ["parrot llama3.2 Hello from the dummy!"] * 2
    assert json.loads((lab.folder / "OAI_CONFIG_LIST").read_text())[0]["temperature"] == 0.5
    assert lab.errors == lab.dialogs == []


def test_a_list_is_made_by_keyboard_alone_and_the_focus_is_never_lost(lab):
    form = open_form(lab, CHAT)
    form.input("File").focus()  # as a click into the form does
    form.go(form.input("Preset"))
    form.keys.press("ArrowDown")
    form.keys.press("ArrowDown")
    form.keys.press("ArrowUp")
    form.has_focus()
    expect(form.input("Preset")).to_have_value("Local Hugging Face model")
    form.keys.press("ArrowUp")
    form.go(form.button("Add"))
    form.keys.press("Enter")
    expect(form.input("Model")).to_be_focused()
    form.write("parrot")
    form.go(form.input("Temperature"))
    form.write("1.5")
    form.keys.press("Enter")
    expect(form.status).to_contain_text("✖ 1 to fix. First, entry 0, 'temperature'")
    expect(form.input("Temperature")).to_be_focused()
    form.write("0.5")
    form.keys.press("Enter")
    expect(form.status).to_contain_text("✔ AutoGen accepts this list (1).")

    # A class decides which fields there are: they come and go while the focus passes.
    for name in ("", "Nobody", "HuggingFaceModelClient", "", "DummyModelClient"):
        form.go(form.input("Client class"), "Shift+Tab")
        form.write(name)
        if not name:
            form.keys.press("Delete")
        for key in ("Tab", "Tab", "Tab"):
            form.keys.press(key)
            lab.settle()
            form.has_focus()

    # Buttons that change the list keep the focus, and Space presses them as well.
    form.go(form.button("Duplicate"), "Shift+Tab")
    for name, key, left, way in [
        ("Duplicate", "Space", 2, "Tab"),
        ("Remove", "Enter", 1, "Tab"),
        ("Undo", "Space", 2, "Tab"),
        ("Redo", "Enter", 1, "Tab"),
        ("Undo", "Enter", 2, "Shift+Tab"),
    ]:
        form.go(form.button(name), way)
        form.keys.press(key)
        expect(form.entries).to_have_count(left)
        lab.settle()
        expect(form.button(name)).to_be_focused()
    form.go(form.input("Entries"), "Shift+Tab")
    form.keys.press("ArrowUp")
    form.keys.press("x")  # elsewhere in a notebook, this cuts the cell
    lab.settle()
    form.has_focus()
    expect(form.input("Entries")).to_have_value("0: parrot (DummyModelClient)")
    form.go(form.button("Save"), "Shift+Tab")
    form.keys.press("Enter")
    expect(form.status).to_contain_text("Saved 2 entries")
    lab.run(1)
    assert lab.text(1).splitlines() == ["parrot parrot Hello from the dummy!"] * 2
    assert lab.errors == lab.dialogs == []


@pytest.mark.slow
def test_other_fields_tabs_and_questions_are_worked_by_keyboard_and_keep_the_focus(lab):
    (lab.folder / "broken.json").write_text("[{'model': 'a', 'model_client_cls': 'DummyModelClient'},]")
    form = open_form(lab)
    form.press("Add")
    form.go(form.other_fields)
    for text, value, note in [
        ('{"device": "cpu"}', '{\n  "device": "cpu"\n}', "as one JSON object"),
        ('{"device": ', '{"device": ', "✖ Not used"),
        ("", "", "as one JSON object"),
    ]:
        form.go(form.other_fields, "Shift+Tab")
        form.write(text)
        if not text:
            form.keys.press("Delete")
        form.keys.press("Tab")
        expect(form.box).to_contain_text(note)
        expect(form.other_fields).to_have_value(value)
        form.has_focus()

    form.go(form.tab("JSON"))
    for name in TABS[1:]:
        form.keys.press("ArrowRight")
        form.keys.press("Enter")
        expect(form.tab(name)).to_have_attribute("aria-selected", "true")
        expect(form.tab(name)).to_be_focused()
    form.keys.press("Tab")
    expect(form.button("Look again")).to_be_focused()

    for answer, model in [("No", "dummy"), ("Use the fixed list", "a")]:
        form.go(form.input("File"), "Shift+Tab")
        form.write("broken.json")
        form.go(form.button("Load"))
        form.keys.press("Enter")
        expect(form.button(answer)).to_be_visible()
        form.has_focus()
        form.go(form.button(answer))
        form.keys.press("Enter")
        expect(form.button(answer)).to_be_hidden()
        lab.settle()
        form.has_focus()
        expect(form.input("Model")).to_have_value(model)
    assert lab.errors == lab.dialogs == []


@pytest.mark.slow
def test_broken_files_are_fixed_as_a_diff_shows_and_an_agent_answers_from_them(lab):
    def load_and_fix(text, told):
        file.write_text(text)
        form.press("Load")
        expect(form.box).to_contain_text(told)
        changes = form.box.get_by_role("region", name="changes")
        expect(changes).to_contain_text(f"-{text.splitlines()[1]}")
        expect(changes).to_contain_text('+    "model": "')
        form.press("Use the fixed list")
        expect(changes).to_be_hidden()
        expect(form.status).to_contain_text("● Not saved yet.")
        assert file.read_text() == text
        form.press("Save")
        expect(form.status).to_contain_text("Saved 1 entry")
        json.loads(file.read_text())
        lab.run(1)
        return lab.text(1).splitlines()

    file = lab.folder / "OAI_CONFIG_LIST"
    form = open_form(lab, CHAT)
    comma = '[\n{"model": "owl", "model_client_cls": "DummyModelClient",}\n]'
    said = load_and_fix(comma, "a comma before the closing bracket")
    assert said == ["owl This is a dummy reply."] * 2
    said = load_and_fix(repr([{"model": "crow", **REST}]).replace("[", "[\n"), "this is Python, not JSON")
    assert said == ["crow Caw!"] * 2
    assert lab.errors == lab.dialogs == []


# Keys -----------------------------------------------------------------------------------------------


def places_of(lab, text):
    """Return the files that hold a text: the notebook's folder, and all that Jupyter and IPython keep."""
    files = [path for folder in (lab.folder, lab.own) for path in folder.rglob("*") if path.is_file()]
    assert lab.file in files
    return sorted({path.name for path in files if text.encode() in path.read_bytes()})


def is_nowhere(lab, *secrets):
    """Check that a key is neither on the page nor in what is saved; then close the page, and look again."""
    lab.settle()
    lab.save()
    shown = lab.page.evaluate(
        "document.body.innerText + [...document.querySelectorAll('input, textarea')].map(e => e.value).join()"
    )
    html = lab.page.content()
    assert "Tell-tale" in shown  # a model's name, typed by each test
    lab.close()  # a kernel that ends writes its history
    assert lab.file.name in places_of(lab, "Tell-tale")
    assert "history.sqlite" in places_of(lab, "ConfigListBuilder")
    for secret in secrets:
        assert secret not in shown + html
        assert places_of(lab, secret) == []


def test_a_key_is_kept_nowhere_wherever_it_is_typed(lab):
    key, plain = "sk-mislaid-5d1f3b", "mislaid9e8d7c"  # the second looks like no key: only names tell
    form = open_form(lab)
    form.input("Preset").select_option("OpenAI-compatible server")
    form.press("Add", "More fields")
    form.enter("Key", plain)
    expect(form.input("Key")).to_have_value("")
    expect(form.box).to_contain_text("The key is kept as OPENAI_API_KEY until this kernel stops.")
    for label in form.labels():
        form.enter(label, key)
    form.other_fields.fill(key)
    form.open_tab("Try it")
    form.enter("Message", key)
    form.open_tab("Filter")
    form.enter("Filter (JSON)", json.dumps({"api_key": [key, plain]}))
    form.open_tab("Paste")
    form.input("Text").fill(json.dumps([{"model": "b", "api_key": plain, "tags": [key]}]))
    form.input("Model").focus()  # and only then pressed, or never
    lab.settle()
    lab.save()
    assert plain not in lab.file.read_text()
    form.press("Use this text")
    expect(form.input("Model")).to_have_value("b")
    form.other_fields.fill(json.dumps({"my_key": plain, "params": {"x": key}}))
    form.input("Model").fill("Tell-tale")
    form.keys.press("Enter")
    for name in TABS:
        form.open_tab(name)
    is_nowhere(lab, key, plain)
    assert lab.errors == lab.dialogs == []


@pytest.mark.slow
def test_a_key_is_kept_nowhere_when_something_goes_wrong(lab):
    key, plain = "sk-astray-7c2a90", "astray1b2c3d"
    entry = f"'model': 'Tell-tale', 'api_key': '{plain}', 'base_url': 'http://127.0.0.1:9/v1'"
    source = lab.folder.parent / "elsewhere.json"  # not in the folder that has to be clean of it
    source.write_text(f"[{{{entry}, 'tags': ['{key}'], 'max_retries': 0}},]")
    form = open_form(lab)
    form.enter("File", "../elsewhere.json")
    form.press("Load")
    expect(form.box.get_by_role("region", name="changes")).to_contain_text("'api_key': '**********'")
    form.press("Use the fixed list")
    expect(form.input("Model")).to_have_value("Tell-tale")
    form.enter("Tags", "")
    form.enter("File", "no such folder/list.json")
    form.press("Save as")
    expect(form.status).to_contain_text("can't be written")
    form.open_tab("Try it")
    form.press("Try it")
    expect(form.box.get_by_role("region", name="reply")).to_contain_text("✖")
    form.press("Ask the server for models")
    expect(form.status).to_contain_text("✖")
    for text in (
        f'{{"my_key": "{plain}"',
        f'{{"my_key": "{plain}",}}',
        f"{{'x': '{key}'",
    ):
        form.other_fields.fill(text)
        form.input("Max tokens").focus()
        expect(form.status).to_contain_text("Not used")
        lab.settle()
        lab.save()
        assert plain not in lab.file.read_text() and key not in lab.file.read_text()
    form.other_fields.fill("{}")
    form.open_tab("Paste")
    form.input("Text").fill(f"api_key: {plain}, {key}")
    form.press("Use this text")
    is_nowhere(lab, key, plain)
    assert lab.errors == lab.dialogs == []


# Hostile text ---------------------------------------------------------------------------------------

HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
HOSTILE_NOTEBOOK = (
    f"hostile = {HOSTILE!r}\n"
    + """
import json
from autogen import AssistantAgent, LLMConfig
from kit import ConfigListBuilder, DummyModelClient

class Parrot(DummyModelClient):
    def __init__(self, config, greeting=hostile):
        super().__init__(config)

Hostile = type(hostile, (Parrot,), {})
entry = {"model": hostile, "model_client_cls": "Parrot", "tags": [hostile], hostile: hostile,
         "params": {hostile: hostile, "replies": hostile}}
file = hostile.split("<script>")[0] + ".json"
with open(file, "w") as opened:
    json.dump([entry, entry], opened)
agent = AssistantAgent("agent", llm_config=LLMConfig(entry))
agent._name = hostile
builder = ConfigListBuilder(file, agent=agent)
builder
"""
)


def test_hostile_text_is_shown_and_never_run(lab):
    def harmless():
        lab.settle()
        assert lab.page.evaluate("window.pwned") is None
        assert form.box.locator("img, script").count() == 0

    form = open_form(lab, code=HOSTILE_NOTEBOOK)
    expect(form.status).to_contain_text("Loaded 2 entries from <img src=x")
    expect(form.entries.first).to_have_text(f"0: {HOSTILE} (Parrot)")
    form.press("More fields")
    for name in TABS:
        form.open_tab(name)
        harmless()
    form.open_tab("Try it")
    form.press("Try it")
    expect(form.box.get_by_role("region", name="reply")).to_contain_text(HOSTILE)
    harmless()
    form.open_tab("Paste")
    form.input("Text").fill(f"[{{'model': '{HOSTILE}'}},]")
    form.press("Use this text")
    harmless()
    form.press("No")
    form.open_tab("Filter")
    form.enter("Filter (JSON)", json.dumps({HOSTILE: [HOSTILE + "no"]}))
    harmless()
    form.other_fields.fill(HOSTILE)
    expect(form.input("greeting")).to_have_attribute("placeholder", re.compile("<img src=x"))
    for label in form.labels():
        form.input(label).first.fill(HOSTILE)
        form.keys.press("Enter")
        harmless()
    expect(form.status).to_contain_text("✖")
    form.press("Load")
    form.button("Save as").or_(form.button("Save")).click()
    harmless()
    assert lab.errors == lab.dialogs == []
    form.box.evaluate("(form, text) => { form.innerHTML = text; }", HOSTILE)
    lab.page.wait_for_function("window.pwned === 1")  # that it did run, would be seen


# The notebook around it -----------------------------------------------------------------------------

LATER = """
from kit import DummyModelClient
class LaterModelClient(DummyModelClient):
    def __init__(self, config, greeting="Good day!", **kwargs):
        super().__init__(config, replies=greeting)
"""


@pytest.mark.slow
def test_a_class_of_a_later_cell_is_found_and_the_copied_program_runs_and_closing_leaves_nothing(lab):
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    form = open_form(lab, LATER, "", "builder.close()")
    form.press("Add")
    offered = form.box.locator("datalist option[value=LaterModelClient]")
    expect(offered).to_have_count(0)
    lab.run(1)
    form.press("Find my classes")
    expect(offered).to_have_count(1)
    form.enter("Client class", "LaterModelClient")
    form.enter("greeting", "'Good evening!'")
    form.open_tab("Python")
    form.press("Copy Python")
    expect(form.button("Copied")).to_be_visible()
    program = lab.page.evaluate("navigator.clipboard.readText()")
    assert program == form.box.get_by_role("region", name="Python").inner_text()
    lab.page.locator(".jp-CodeCell").nth(2).locator(".cm-content").click()
    form.keys.press("ControlOrMeta+V")
    lab.run(2)
    assert lab.text(2).strip().endswith("Good evening!")
    lab.run(3)
    expect(lab.page.locator(".jupyter-widgets")).to_have_count(0)
    assert lab.errors == lab.dialogs == []


# Looks ----------------------------------------------------------------------------------------------

TOO_WIDE = """form => [...form.querySelectorAll("*")].filter(part => {
    if (part.closest("pre, option, datalist") || !part.offsetParent) return false;
    const inner = part.getBoundingClientRect(), outer = form.getBoundingClientRect();
    const out = inner.right > outer.right + 1 || inner.left < outer.left - 1;
    const cut = !part.matches("input, textarea, select") && part.clientWidth > 0
        && part.scrollWidth > part.clientWidth + 1;
    return inner.width > 0 && (out || cut);
}).map(part => part.outerHTML.slice(0, 120))"""


@pytest.mark.slow
def test_axe_finds_nothing_serious_and_480_pixels_are_enough(lab):
    def check():
        assert lab.axe(form.box) == []

    (lab.folder / "broken.json").write_text('[{"model": "a", "model_client_cls": "DummyModelClient",}]')
    form = open_form(lab)
    check()  # empty
    form.press("Add")
    check()
    form.enter("Temperature", "7")
    form.press("More fields")
    form.open_tab("Try it")
    form.press("Try it")
    for theme in (DARK, LIGHT):  # the last one stays, for the tests to come
        lab.page.evaluate(
            f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: '{theme}'}})"
        )
        expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
        for name in TABS:
            form.open_tab(name)
            check()
        form.enter("File", "broken.json")
        form.press("Load")
        expect(form.button("Use the fixed list")).to_be_visible()
        check()

    lab.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    lab.page.set_viewport_size({"width": 480, "height": 900})
    lab.page.wait_for_function("document.querySelector('.kit-form').clientWidth < 480")
    check()
    for name in TABS:
        form.open_tab(name)
        assert form.box.evaluate(TOO_WIDE) == []
    form.button("Load").evaluate("button => { button.style.minWidth = '600px'; }")
    assert form.box.evaluate(TOO_WIDE) != []
