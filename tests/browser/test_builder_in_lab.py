"""The builder in a real JupyterLab: by mouse, by keyboard alone, with keys, hostile text, little room."""

import json
import re

import nbformat
import pytest
from lab import DARK, LIGHT, expect
from nbconvert import HTMLExporter

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
TABS = ["Python", "JSON", "Filter", "Agent"]
DUMMY, SERVER = "Dummy (no model)", "OpenAI-compatible server"


class Form:
    """The builder that a cell shows, as a person finds its parts."""

    def __init__(self, lab, cell=0):
        self.lab, self.page, self.keys = lab, lab.page, lab.page.keyboard
        self.box = lab.output(cell).locator(".kit-builder")
        self.presses = 0
        expect(self.button("+ Add entry")).to_be_visible()

    def input(self, label):
        return self.box.locator("input, textarea").and_(self.box.get_by_label(label, exact=True))

    def button(self, name):
        return self.box.get_by_role("button", name=name, exact=True)

    def item(self, name):
        return self.box.get_by_role("menuitem", name=name, exact=True)

    def tab(self, name):
        return self.box.get_by_role("tab", name=name, exact=True)

    def region(self, name):
        return self.box.get_by_role("region", name=name, exact=True)

    @property
    def status(self):
        return self.box.get_by_role("status").last

    @property
    def reply(self):
        return self.box.get_by_role("status", name="Reply")

    @property
    def cards(self):
        return self.box.locator(".kit-choose")

    def click(self, *names):
        """Click buttons, each when what the last one did is there to be seen."""
        for name in names:
            self.button(name).click()
            self.lab.settle()

    def add(self, preset):
        self.click("+ Add entry")
        self.item(preset).click()
        self.lab.settle()

    def open_tab(self, name):
        self.tab(name).click()
        self.lab.settle()

    def unfold(self):
        self.box.evaluate("form => form.querySelectorAll('details').forEach(fold => { fold.open = true; })")

    def enter(self, label, text):
        """Type over what is in an input, leave it and wait for what comes of it."""
        self.input(label).first.fill(text)
        self.input(label).first.press("Tab")
        self.lab.settle()

    def labels(self):
        """Return the names of the inputs that are there, the class's last: it decides what there is."""
        self.unfold()
        labels = self.box.locator("input:visible, textarea:visible").evaluate_all(
            "inputs => inputs.map(input => input.ariaLabel ?? input.labels[0].textContent)"
        )
        assert {"File", "Model", "Client class", "API key, by its variable's name", "Question"} <= set(labels)
        return sorted(labels, key=lambda label: label == "Client class")

    # By keyboard: presses are counted, and the focus is looked after

    def press(self, *keys):
        for key in keys:
            self.keys.press(key)
            self.presses += 1
            if "Tab" not in key:
                self.lab.settle()
            self.has_focus()

    def type(self, text):
        self.keys.type(text)
        self.presses += len(text)

    def write(self, text):
        """Type over what is in the input that has the focus."""
        self.press("ControlOrMeta+A")
        self.type(text)

    def go(self, target, key="Tab"):
        """Press Tab until the target has the focus; it is never anywhere but in the form on the way."""
        for _ in range(60):
            if target.evaluate("element => element === document.activeElement"):
                return
            self.press(key)
        raise AssertionError(f"{target} is not to be reached with {key}")

    def has_focus(self):
        where = self.page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        assert self.box.evaluate("form => form.contains(document.activeElement)"), where


def open_form(lab, *cells, code=OPEN):
    lab.open([code, *cells], run=False)
    lab.run(0)
    return Form(lab)


# A list, made and used ------------------------------------------------------------------------------


def test_a_list_is_made_with_the_mouse_and_an_agent_answers_from_it(lab):
    form = open_form(lab, CHAT)
    form.add(DUMMY)
    expect(form.input("Model")).to_be_focused()
    form.input("Model").fill("parrot")
    form.input("Temperature").fill("1.5")
    # Leaving the input sends its text, and an error appears; the button under the mouse gets its click.
    with_error = form.button("Find my classes").bounding_box()
    form.page.mouse.move(with_error["x"] + 5, with_error["y"] + 5)
    form.page.mouse.down()
    lab.settle()
    form.page.mouse.up()
    form.item("DummyModelClient").click()
    expect(form.input("Temperature")).to_have_attribute("aria-invalid", "true")
    expect(form.input("Temperature")).to_have_accessible_description(
        re.compile("✖ 1.5 is not allowed. Input")
    )
    expect(form.status).to_contain_text("✖ 1 to fix. First, entry 0, 'temperature'")
    expect(form.cards).to_have_text([re.compile("✖.*parrot")])
    form.click("Go to it")
    expect(form.input("Temperature")).to_be_focused()
    form.enter("Temperature", "0.5")
    expect(form.status).to_have_text("✔ AutoGen accepts this list (1).")
    form.add("Ollama")
    expect(form.input("Model")).to_have_value("llama3.2")
    form.cards.nth(1).drag_to(form.cards.nth(0))
    expect(form.cards).to_have_text([re.compile("llama3.2"), re.compile("parrot")])
    form.click("What to do with entry 0")
    form.item("Remove").click()
    expect(form.cards).to_have_text([re.compile("parrot")])
    form.click("Undo")
    expect(form.cards).to_have_count(2)
    form.click("What to do with entry 0")
    form.item("Move down").click()
    expect(form.cards).to_have_text([re.compile("parrot"), re.compile("llama3.2")])
    form.click("Save")
    expect(form.status).to_contain_text("Saved 2 entries to OAI_CONFIG_LIST.")
    expect(form.button("Save")).to_have_attribute("aria-disabled", "true")
    form.cards.nth(0).click()
    form.click("Ask")
    expect(form.reply).to_contain_text("Hello from the dummy!")
    lab.run(1)
    assert lab.text(1).splitlines() == ["parrot llama3.2 Hello from the dummy!"] * 2
    assert json.loads((lab.folder / "OAI_CONFIG_LIST").read_text())[0]["temperature"] == 0.5
    assert lab.errors == lab.dialogs == []


def test_a_list_is_made_by_keyboard_alone_and_the_focus_is_never_lost(lab):
    form = open_form(lab)
    form.input("File").focus()  # as a click into the form does
    form.go(form.button("+ Add entry"))
    form.press("Enter", "ArrowDown", "ArrowUp", "Enter")
    expect(form.input("Model")).to_be_focused()
    form.write("owl")
    form.press("ControlOrMeta+s", "ControlOrMeta+Enter")
    expect(form.reply).to_contain_text("Hello from the dummy!")
    assert json.loads((lab.folder / "OAI_CONFIG_LIST").read_text())[0]["model"] == "owl"
    assert form.presses <= 30, form.presses

    # A class decides which fields there are: they come and go while the focus passes.
    form.go(form.input("Client class"))
    for name in ("Nobody", "HuggingFaceModelClient", "x", "DummyModelClient"):
        form.write(name)
        form.press("Tab", "Tab", "Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab")
    form.write("x")
    form.press("Delete", "Backspace", "Enter", "ControlOrMeta+z")
    form.write("DummyModelClient")
    form.press("Enter")

    # Menus open, close and choose; what is gone leaves the focus near.
    form.go(form.button("What to do with entry 0"), "Shift+Tab")
    form.press("Enter", "Escape")
    expect(form.button("What to do with entry 0")).to_be_focused()
    for key in ("ArrowDown", "End"):
        form.press("Enter", "Home", key, "Home", "Enter")  # Duplicate
    expect(form.cards).to_have_count(3)
    form.press("Enter", "ArrowDown", "Space")  # Remove
    expect(form.cards).to_have_count(2)
    form.press("Shift+Tab", "Home", "Alt+ArrowDown", "ArrowUp")
    expect(form.cards.first).to_be_focused()
    form.press("x", "d", "d")  # elsewhere in a notebook, these cut and delete the cell
    form.go(form.button("Undo"), "Shift+Tab")
    for _ in range(12):
        form.press("Enter")
    expect(form.button("Undo")).to_have_attribute("aria-disabled", "true")
    form.press("Shift+Tab", "Tab", "Enter")
    assert lab.errors == lab.dialogs == []


@pytest.mark.slow
def test_tabs_other_fields_keys_and_questions_are_worked_by_keyboard(lab):
    (lab.folder / "broken.json").write_text("[{'model': 'a', 'model_client_cls': 'DummyModelClient'},]")
    form = open_form(lab)
    form.add(SERVER)
    other = form.input("Other fields (JSON)")
    form.go(form.box.locator("summary").last)
    form.press("Enter")
    form.go(other)
    for text, value, note in [
        ('{"device": "cpu"}', '{\n  "device": "cpu"\n}', "as one JSON object"),
        ('{"temprature": 1}', '{\n  "temprature": 1\n}', "▲ unknown field"),
        ('{"device": ', '{"device": ', "✖ Not used"),
    ]:
        form.go(other, "Shift+Tab")
        form.write(text)
        form.press("Tab")
        expect(other).to_have_accessible_description(re.compile(note))
        expect(other).to_have_value(value)
    form.go(other, "Shift+Tab")
    form.write('{"temprature": 1}')
    form.press("Tab", "Enter")  # the fix
    expect(form.input("Temperature")).to_have_value("1")
    form.go(form.button("Type a key…"), "Shift+Tab")
    form.press("Enter")
    form.type("typed-by-keyboard")
    form.press("Enter")
    expect(form.input("API key, by its variable's name")).to_be_focused()
    form.go(form.tab("Python"))
    for name in TABS[1:]:
        form.press("ArrowRight")
        expect(form.tab(name)).to_have_attribute("aria-selected", "true")
        expect(form.tab(name)).to_be_focused()
    form.press("Tab")
    expect(form.region("Agent")).to_be_focused()
    for answer, model in [("No", "name-of-the-served-model"), ("Use the fixed list", "a")]:
        form.go(form.input("File"), "Shift+Tab")
        form.write("broken.json")
        form.go(form.button("Open"))
        form.press("Enter")
        form.go(form.button(answer))
        form.press("Enter")
        expect(form.input("File")).to_be_focused()
        expect(form.button(answer)).to_be_hidden()
        expect(form.input("Model")).to_have_value(model)
    assert lab.errors == lab.dialogs == []


@pytest.mark.slow
def test_broken_files_are_fixed_as_a_diff_shows_and_an_agent_answers_from_them(lab):
    def load_and_fix(text, message):
        file.write_text(text)
        form.click("Open")
        expect(form.box).to_contain_text(message)
        expect(form.region("changes")).to_contain_text(f"-{text.splitlines()[1]}")
        expect(form.region("changes")).to_contain_text('+    "model": "')
        form.click("Use the fixed list")
        expect(form.region("changes")).to_be_hidden()
        expect(form.box).to_contain_text("● unsaved")
        assert file.read_text() == text
        form.click("Save")
        expect(form.status).to_contain_text("Saved 1 entry")
        json.loads(file.read_text())
        lab.run(1)
        return lab.text(1).splitlines()

    file = lab.folder / "OAI_CONFIG_LIST"
    form = open_form(lab, CHAT)
    comma = '[\n{"model": "owl", "model_client_cls": "DummyModelClient",}\n]'
    replies = load_and_fix(comma, "a comma before the closing bracket")
    assert replies == ["owl This is a dummy reply."] * 2
    replies = load_and_fix(repr([{"model": "crow", **REST}]).replace("[", "[\n"), "this is Python, not JSON")
    assert replies == ["crow Caw!"] * 2
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


def test_a_key_is_kept_nowhere_wherever_it_is_typed_and_whatever_is_pressed(lab):
    key, plain = "sk-mislaid-5d1f3b", "mislaid9e8d7c"  # the second looks like no key: only names tell
    form = open_form(lab)
    form.add(DUMMY)  # with arguments for its class
    form.add(SERVER)
    form.click("Type a key…")
    form.input("The key itself").fill(plain)
    form.keys.press("Enter")
    expect(form.input("The key itself")).to_be_hidden()
    expect(form.status).to_contain_text("The key is kept as")
    for card in (1, 0):
        form.cards.nth(card).click()
        lab.settle()
        for label in form.labels():
            form.enter(label, key)
    form.enter("Other fields (JSON)", json.dumps({"my_key": plain, "params": {"x": key}}))
    form.enter("Other fields (JSON)", f'{{"my_key": "{plain}",}}')
    form.enter("Question", f"my_key = {plain}")
    form.open_tab("Filter")
    form.enter("Filter (JSON)", json.dumps({"api_key": [key, plain]}))
    form.click("Paste or import a list…")
    form.input("A list, in whatever state").fill(
        json.dumps([{"model": "b", "api_key": plain, "tags": [key]}])
    )
    form.input("Model").focus()  # and only then pressed, or never
    lab.settle()
    lab.save()
    assert plain not in lab.file.read_text()
    form.click("Use this text")
    expect(form.input("Model")).to_have_value("b")
    form.enter("Model", "Tell-tale")
    form.enter("File", "no such folder/list.json")
    for name in TABS:
        form.open_tab(name)
    names = [
        "Undo",
        "Redo",
        "Open",
        "Save as",
        "Save",
        "Look again",
        "Ask",
        "List models",
        "Go to it",
    ]
    for name in names:
        if form.button(name).count():
            form.click(name)
    expect(form.reply).to_contain_text("✖")
    form.open_tab("Python")
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
    form.click("Open")
    expect(form.region("changes")).to_contain_text("'api_key': '**********'")
    form.click("Use the fixed list")
    expect(form.input("Model")).to_have_value("Tell-tale")
    form.unfold()
    form.enter("Tags", "")
    form.enter("File", "no such folder/list.json")
    form.click("Save as")
    expect(form.status).to_contain_text("can't be written")
    form.click("Ask")
    expect(form.reply).to_contain_text("✖")
    form.click("List models")
    expect(form.input("Model")).to_have_accessible_description(re.compile("✖ No server answers"))
    for text in (f'{{"my_key": "{plain}"', f'{{"my_key": "{plain}",}}', f"{{'x': '{key}'"):
        form.enter("Other fields (JSON)", text)
        expect(form.status).to_contain_text("Not used")
        lab.save()
        assert plain not in lab.file.read_text() and key not in lab.file.read_text()
    form.enter("Other fields (JSON)", "{}")
    form.click("Paste or import a list…")
    form.input("A list, in whatever state").fill(f"api_key: {plain}, {key}")
    form.click("Use this text")
    is_nowhere(lab, key, plain)
    assert lab.errors == lab.dialogs == []


# Hostile text ---------------------------------------------------------------------------------------

HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
HOSTILE_NOTEBOOK = (
    f"hostile = {HOSTILE!r}\n"
    + """
import json, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from autogen import AssistantAgent, LLMConfig
from kit import ConfigListBuilder, DummyModelClient

class Parrot(DummyModelClient):
    def __init__(self, config, greeting=hostile):
        super().__init__(config)

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"object": "list", "data": [{"id": hostile}, {"id": "b"}]}).encode())
    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
Hostile = type(hostile, (Parrot,), {})
entry = {"model": hostile, "model_client_cls": "Parrot", "tags": [hostile], hostile: hostile,
         "params": {hostile: hostile, "replies": hostile}}
served = {"model": "b", "base_url": f"http://127.0.0.1:{server.server_port}/v1", "api_key": "not-needed"}
file = hostile.split("<script>")[0] + ".json"
with open(file, "w") as opened:
    json.dump([entry, served], opened)
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
    expect(form.cards.first).to_contain_text(HOSTILE)
    expect(form.input("greeting")).to_have_attribute("placeholder", re.compile("<img src=x"))
    for name in TABS:
        form.open_tab(name)
        harmless()
    form.click("Ask")
    expect(form.reply).to_contain_text(HOSTILE)
    form.cards.nth(1).click()
    form.click("List models")
    form.item(HOSTILE).click()
    expect(form.input("Model")).to_have_value(HOSTILE)
    harmless()
    form.click("Paste or import a list…")
    form.input("A list, in whatever state").fill(f"[{{'model': '{HOSTILE}'}},]")
    form.click("Use this text")
    harmless()
    form.click("No")
    form.cards.first.click()
    form.open_tab("Filter")
    form.enter("Filter (JSON)", json.dumps({HOSTILE: [HOSTILE + "no"]}))
    for label in form.labels():
        form.enter(label, HOSTILE)
    harmless()
    expect(form.status).to_contain_text("✖")
    form.click("Open")
    form.button("Save as").or_(form.button("Save")).click()
    harmless()
    lab.save()

    # The saved notebook as HTML, with its widgets' state and without it, as where widgets can't be drawn.
    notebook = nbformat.read(lab.file, as_version=4)
    for metadata in (notebook.metadata, {}):
        exported, _ = HTMLExporter().from_notebook_node(
            nbformat.v4.new_notebook(cells=notebook.cells, metadata=metadata)
        )
        (lab.folder / "exported.html").write_text(exported, encoding="utf-8")
        lab.page.goto(f"file://{lab.folder}/exported.html", wait_until="domcontentloaded")
        assert lab.page.evaluate("window.pwned") is None
        assert lab.page.locator(".jp-OutputArea img").count() == 0
    expect(lab.page.locator(".jp-OutputArea")).to_contain_text(f"0: {HOSTILE} (Parrot")
    lab.page.evaluate("text => { document.body.innerHTML = text; }", HOSTILE)
    lab.page.wait_for_function("window.pwned === 1")  # that it did run, would be seen
    assert lab.dialogs == []


# The notebook around it -----------------------------------------------------------------------------

LATER = """
from kit import DummyModelClient
class LaterModelClient(DummyModelClient):
    def __init__(self, config, greeting="Good day!", **kwargs):
        super().__init__(config, replies=greeting)
"""
ALIVE = """
import gc, threading
from ipywidgets.widgets.widget import _instances
gc.collect()
print(len(_instances), threading.active_count())
"""


@pytest.mark.slow
def test_a_class_of_a_later_cell_is_found_and_the_copied_program_runs_and_closing_leaves_nothing(lab):
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    form = open_form(lab, LATER, "", "builder", ALIVE, "builder.close()")
    form.add(DUMMY)
    form.click("Find my classes")
    expect(form.item("LaterModelClient")).to_have_count(0)
    form.keys.press("Escape")
    lab.run(1)
    form.click("Find my classes")
    form.item("LaterModelClient").click()
    lab.settle()
    form.unfold()
    form.enter("greeting", "'Good evening!'")
    form.click("Copy Python")
    expect(form.button("Copied")).to_be_visible()
    program = lab.page.evaluate("navigator.clipboard.readText()")
    assert program == form.region("Python").inner_text()
    lab.page.locator(".jp-CodeCell").nth(2).locator(".cm-content").click()
    form.keys.press("ControlOrMeta+V")
    lab.run(2)
    assert lab.text(2).strip().endswith("Good evening!")
    lab.run(3)  # the same form once more: both show what is done in one of them
    Form(lab, 3).enter("Model", "seen twice")
    expect(form.input("Model")).to_have_value("seen twice")

    lab.run(4)
    before = lab.text(4)
    for _ in range(10):
        lab.run(0)
    expect(lab.page.locator(".kit-builder")).to_have_count(1)
    Form(lab).add(DUMMY)
    lab.run(4)
    assert lab.text(4) == before
    lab.run(5)
    expect(lab.page.locator(".jupyter-widgets")).to_have_count(0)
    assert lab.errors == lab.dialogs == []


@pytest.mark.slow
def test_a_form_whose_kernel_is_busy_or_gone_says_so(lab):
    kernel = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
    form = open_form(lab)
    lab.page.evaluate(f"() => {{ {kernel}.requestExecute({{code: 'import time; time.sleep(8)'}}); }}")
    form.button("+ Add entry").click()
    form.item(DUMMY).click()
    expect(form.status).to_contain_text("No answer yet")
    expect(form.cards).to_have_count(1)
    expect(form.status).not_to_contain_text("No answer yet")
    expect(form.input("Model")).to_be_focused()
    lab.page.evaluate(f"{kernel}.restart()")
    expect(form.status).to_contain_text("The kernel of this form has gone")
    assert form.button("Save").evaluate("button => Boolean(button.closest('[inert]'))")


# Looks ----------------------------------------------------------------------------------------------

CUT = """form => [...form.querySelectorAll("*")].filter(part => {
    if (part.closest("pre, option, datalist") || !part.offsetParent) return false;
    const inner = part.getBoundingClientRect(), outer = form.getBoundingClientRect();
    const out = inner.right > outer.right + 1 || inner.left < outer.left - 1;
    const cut = !part.matches("input, textarea") && part.clientWidth > 0
        && part.scrollWidth > part.clientWidth + 1;
    return inner.width > 0 && (out || cut);
}).map(part => part.outerHTML.slice(0, 120))"""
AXE = """form => axe.run(form, {resultTypes: ["violations"]}).then(found =>
    found.violations.map(rule => [rule.id, ...rule.nodes.map(node => node.html)]))"""


@pytest.mark.slow
def test_axe_finds_nothing_at_all_and_480_pixels_or_double_size_are_enough(lab):
    from axe_playwright_python.base import AXE_SCRIPT

    def check():
        assert form.box.evaluate(AXE) == []

    (lab.folder / "broken.json").write_text('[{"model": "a", "model_client_cls": "DummyModelClient",}]')
    form = open_form(lab, "from kit import TemplatePicker\nTemplatePicker()")
    lab.run(1)  # another widget, whose style comes after the form's
    lab.page.evaluate(AXE_SCRIPT)
    check()  # empty
    form.add(DUMMY)
    form.add(SERVER)
    form.enter("Temperature", "7")
    form.unfold()
    form.click("Ask", "Type a key…", "Paste or import a list…", "List models")
    for theme in (DARK, LIGHT):  # the last one stays, for the tests to come
        lab.page.evaluate(
            f"window.jupyterapp.commands.execute('apputils:change-theme', {{theme: '{theme}'}})"
        )
        expect(lab.page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
        for name in TABS:
            form.open_tab(name)
            check()
        for name in ("+ Add entry", "What to do with entry 0"):
            form.click(name)
            check()
            form.keys.press("Escape")
        form.enter("File", "broken.json")
        form.click("Open")
        check()
        form.click("No")

    lab.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    for width in (480, 640):  # the second is 1280 at 200 %
        lab.page.set_viewport_size({"width": width, "height": 900})
        lab.page.wait_for_function(
            "width => document.querySelector('.kit-builder').clientWidth < width", arg=width
        )
        check()
        for name in TABS:
            form.open_tab(name)
            assert form.box.evaluate(CUT) == []
        form.open_tab("Python")
        wraps = "code => getComputedStyle(code).whiteSpace"
        assert form.region("Python").evaluate(wraps) == "pre-wrap"  # and not "pre", as in other widgets
        for name in ("+ Add entry", "What to do with entry 1"):
            form.click(name)
            assert form.box.evaluate(CUT) == []
            form.keys.press("Escape")
    form.button("Open").evaluate("button => { button.style.minWidth = '900px'; }")
    assert form.box.evaluate(CUT) != []
    lab.page.emulate_media(forced_colors="active")
    assert (
        form.box.locator(".kit-selected").evaluate("card => getComputedStyle(card).outlineStyle") == "solid"
    )
    underlines = form.box.get_by_role("tab").evaluate_all(
        "tabs => tabs.map(tab => getComputedStyle(tab).borderBottomColor)"
    )
    assert underlines[0] not in underlines[1:]  # of the chosen tab
