"""Run lessons and widgets in a real JupyterLab and take pictures of them.

Needs tests/requirements.txt and a Chromium on the PATH. Pictures go to the folder given, one for each
place in the light theme, in the dark theme, and for widgets in a page of 480 pixels and in high contrast. A
place is `widgets` (each widget of the kit), the name of a lesson, or `LESSON:TEXT` to scroll to the heading
TEXT. `builder.png` and `watch.png` are the pictures of one widget alone in README, in the light theme.

    python tests/browser/screenshots.py /tmp/pictures widgets
    python tests/browser/screenshots.py /tmp/pictures "02_add_the_config:The form" 04_hugging_face_model
    python tests/browser/screenshots.py notebooks/images builder.png watch.png
"""

import re
import shutil
import sys
import tempfile
from pathlib import Path

from lab import DARK, LIGHT, Lab, browser, expect, jupyterlab

ROOT = Path(__file__).resolve().parents[2]
WIDE, NARROW = {"width": 1280, "height": 1500}, {"width": 480, "height": 1500}
PICTURE = {"width": 1580, "height": 1500}  # in which a widget is about 1400 pixels wide
ENTRY = '{"model": "dummy", "model_client_cls": "DummyModelClient", "params": {"replies": "Hello, Ada!"}}'
MARKDOWN = """\
# Greeting Ada
There are *two* ways, and `print` is the **shorter** one:

```python
def greet(name: str) -> str:
    return f"Hello, {name}!"  # 1 line

print(greet("Ada"))
```

1. Call it with a name.
2. Read [the manual](https://docs.python.org/3/).
   - or ask

| way | lines | speed |
| --- | ---: | :---: |
| `print` | 1 | fast |
| a window | 40 | slow |

> Simple is better than complex.
"""
WIDGETS = {
    "builder": """
from kit import ConfigListBuilder
builder = ConfigListBuilder("models.json")
builder.editor.add("Dummy (no model)")
builder.editor.add("OpenAI-compatible server")
builder.editor.set(temperature=7)
builder
""",
    "builder_repair": """
from pathlib import Path
from kit import ConfigListBuilder
Path("OAI_CONFIG_LIST").write_text("[{'model': 'parrot', 'model_client_cls': 'DummyModelClient'},]")
ConfigListBuilder()
""",
    "chat": f"""
import logging
logging.disable()
from autogen import AssistantAgent, LLMConfig
from kit import ChatPanel, DummyModelClient, tool_call
agent = AssistantAgent("assistant", llm_config=LLMConfig({ENTRY}))
replies = [
    {{"content": {MARKDOWN!r}, "reasoning_content": "The user wants a greeting.\\nKeep it short."}},
    tool_call("weather", city="Paris", days=2),
    "It is **21 degrees** in Paris.",
]
agent.register_model_client(DummyModelClient, replies=replies)
agent.register_function({{"weather": lambda city, days: "21 degrees, sunny\\ntomorrow 19 degrees, rain"}})
panel = ChatPanel(agent)
for text in ("How do I greet Ada?", "And the weather in Paris?"):
    panel.conversation.send(text)
panel
""",
    "watch": """
import logging
logging.disable()
from autogen import AssistantAgent, LLMConfig, UserProxyAgent
from kit import HuggingFaceModelClient, local_model, watch
entry = {"model": local_model(), "model_client_cls": "HuggingFaceModelClient", "max_tokens": 16}
agent = AssistantAgent("assistant", "You are a helpful assistant.", llm_config=LLMConfig(entry))
user = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)
seen = watch(agent)
agent.register_model_client(HuggingFaceModelClient)
for text in ("What is the capital of France?", "And of Italy?", "And of Spain?"):
    user.initiate_chat(agent, message=text, max_turns=1, clear_history=False, silent=True)
seen
""",
    "chat_group": f"""
import logging
logging.disable()
from autogen import AssistantAgent, GroupChat, GroupChatManager, LLMConfig
from kit import ChatPanel, DummyModelClient
members = []
said = {{"historian": "The tower was built in **1889**.", "cook": "Try a *galette*.", "critic": "Both fine."}}
for name, reply in said.items():
    members.append(AssistantAgent(name, llm_config=LLMConfig({ENTRY})))
    members[-1].register_model_client(DummyModelClient, replies=reply)
group = GroupChat(members, messages=[], max_round=4, speaker_selection_method="round_robin")
panel = ChatPanel(GroupChatManager(group))
panel.conversation.send("Tell me of Paris.")
panel
""",
    "templates": """
from kit import TemplatePicker
TemplatePicker()
""",
    "report": f"""
from kit import diagnose
diagnose([{ENTRY}, {{**{ENTRY}, "temperature": 7, "temprature": 1, "api_key": "sk-secret"}}])
""",
}
PICTURES = {
    "builder.png": """
from kit import ConfigListBuilder
builder = ConfigListBuilder()
builder.editor.add("Local Hugging Face model")
builder.editor.set(model="HuggingFaceTB/SmolLM2-1.7B-Instruct")
builder.editor.add("Dummy (no model)")
builder.editor.set(model="parrot", temperature=1.5)
builder.editor.add("Ollama")
builder.editor.select(1)
builder
""",
    "watch.png": WIDGETS["watch"],
}


def main(target, places):
    """Take the pictures of all places in each theme."""
    Path(target).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as root, browser() as chromium:
        shutil.copytree(ROOT / "notebooks", Path(root, "notebooks"))  # the lessons stay as they are
        shutil.copy(ROOT / "requirements.txt", root)  # which lesson 00 reads
        for theme in (LIGHT, DARK):
            with jupyterlab(root, theme) as server:
                lab = Lab(chromium, server, Path(root, "notebooks"), viewport=WIDE)
                lab.page.set_default_timeout(120_000)  # the first reply of a model takes its time
                name = theme.split()[-1]
                for place in places:
                    if place == "widgets":
                        take_widgets(lab, target, name)
                    elif place in PICTURES:
                        if theme == LIGHT:
                            take_alone(lab, target, place)
                    else:
                        take_lesson(lab, target, name, place)
                lab.close()


def take_lesson(lab, target, theme, place):
    """Run a lesson and take a picture of its beginning, or of the place below a heading."""
    lesson, _, heading = place.partition(":")
    lab.visit(f"{lesson}.ipynb")
    lab.run_all()
    if heading:
        found = lab.page.get_by_role("heading", name=heading, exact=True)
        found.evaluate("heading => heading.scrollIntoView({block: 'start'})")
    take(lab, target, f"{lesson} {heading} {theme}")


def take_widgets(lab, target, theme):
    """Take pictures of each widget, in a wide page and in a narrow one."""
    for name, cell in WIDGETS.items():
        lab.open([cell])
        if name == "watch":
            open_last(lab)
        if name == "chat":
            expect(lab.output(0)).to_contain_text("Ready.")
            lab.output(0).get_by_role("log").evaluate("log => { log.scrollTop = 0; }")
            take(lab, target, f"{name} begin {theme}")
            lab.output(0).get_by_label("Message to assistant").fill("Hello!")
            lab.page.keyboard.press("Enter")
            expect(lab.output(0)).to_contain_text("That failed")
        take(lab, target, f"{name} {theme}")
        lab.page.evaluate("window.jupyterapp.shell.collapseLeft()")
        lab.page.set_viewport_size(NARROW)
        lab.output(0).evaluate("output => output.scrollIntoView({block: 'start'})")
        take(lab, target, f"{name} {theme} 480")
        lab.page.set_viewport_size(WIDE)
        lab.page.evaluate("window.jupyterapp.shell.expandLeft()")
        lab.page.emulate_media(forced_colors="active")
        take(lab, target, f"{name} {theme} contrast")
        lab.page.emulate_media(forced_colors="none")


def open_last(lab):
    """Open the last card of a watch, and the prompt in it."""
    lab.output(0).locator(".kit-request > summary").last.click()
    expect(lab.output(0)).to_contain_text("message_retrieval")
    lab.output(0).get_by_text("The prompt:").click()


def take_alone(lab, target, name):
    """Take a picture of a widget and of nothing else."""
    lab.open([PICTURES[name]])
    if name == "watch.png":
        open_last(lab)
    lab.page.evaluate("window.jupyterapp.shell.collapseLeft()")
    lab.page.set_viewport_size(PICTURE)
    lab.settle()
    box = lab.output(0).locator(".kit-page").bounding_box()
    lab.page.screenshot(path=f"{target}/{name}", clip={**box, "height": min(box["height"], 1000)})
    print(f"{target}/{name}", flush=True)


def take(lab, target, name):
    lab.settle()
    lab.page.evaluate("document.fonts.ready.then(() => null)")
    file = re.sub(r"\W+", "_", name).lower()
    path = f"{target}/{file}.png"
    lab.page.screenshot(path=path)
    print(path, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or ["02_add_the_config:The form", "04_hugging_face_model"])
