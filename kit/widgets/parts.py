"""Two small pieces that ipywidgets lacks: a line that is announced, and a text with a copy button.

Both write with `textContent`, so whatever a text holds is shown and nothing of it runs.
"""

from __future__ import annotations

from collections.abc import Iterable

import anywidget
import ipywidgets
import traitlets


class StatusLine(anywidget.AnyWidget):
    """A line of text that screen readers announce when it changes.

    In a form of the class `kit-form` it also keeps keys in the form: in JupyterLab, an arrow key in a
    list would move to the next cell, and an x would cut the cell that the form is in.
    """

    text = traitlets.Unicode().tag(sync=True)

    _esm = """
    function render({ model, el }) {
      el.setAttribute("role", "status");
      const show = () => { el.textContent = model.get("text"); };
      model.on("change:text", show);
      show();
      const keep = (event) => {
        const shortcut = event.ctrlKey || event.metaKey || event.altKey || event.key === "Escape";
        if (!shortcut) event.stopPropagation();
      };
      const find = (tries) => {  // the form is there once this line is on the page
        if (el.isConnected) el.closest(".kit-form")?.addEventListener("keydown", keep);
        else if (tries) setTimeout(find, 50, tries - 1);
      };
      find(200);
    }
    export default { render };
    """
    # The others are for what ipywidgets would cut: long labels, and tabs on a narrow screen.
    _css = """
    .kit-status { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.4; margin: 2px 0; }
    .kit-note.widget-label { white-space: normal; height: auto; line-height: 1.3; }
    .kit-tabs > .lm-TabBar > .lm-TabBar-content { flex-wrap: wrap; }
    .kit-tabs.jupyter-widget-tab > .lm-TabBar .lm-TabBar-tab { flex: 0 0 auto; width: auto; min-width: 0; }
    """

    def __init__(self, text: str = "") -> None:
        super().__init__(text=text)
        self.add_class("kit-status")

    def __repr__(self) -> str:
        return self.text


class CopyableText(anywidget.AnyWidget):
    """A text as it is, with a button that copies it to the clipboard."""

    text = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)

    _esm = """
    function render({ model, el }) {
      const button = document.createElement("button");
      button.className = "jupyter-button";
      const pre = document.createElement("pre");
      pre.tabIndex = 0;  // a long line scrolls with the arrow keys
      pre.setAttribute("role", "region");
      const show = () => {
        pre.textContent = model.get("text");
        pre.setAttribute("aria-label", model.get("label"));
        button.textContent = `Copy ${model.get("label")}`;
      };
      button.onclick = async () => {
        try {
          await navigator.clipboard.writeText(model.get("text"));
        } catch {  // no clipboard without https: select the text and copy that
          getSelection().selectAllChildren(pre);
          document.execCommand("copy");
        }
        button.textContent = "Copied";
        setTimeout(show, 1500);
      };
      model.on("change", show);
      show();
      el.append(button, pre);
    }
    export default { render };
    """
    _css = """
    .kit-text pre {
      max-height: 24em; overflow: auto; margin: 4px 0; line-height: 1.35;
      color: var(--jp-content-font-color1); background: var(--jp-cell-editor-background);
      padding: 8px; white-space: pre-wrap; word-break: normal; overflow-wrap: anywhere;
    }
    .kit-text button { width: auto; padding: 0 10px; }
    """

    def __init__(self, label: str, text: str = "") -> None:
        super().__init__(label=label, text=text)
        self.add_class("kit-text")

    def __repr__(self) -> str:
        return self.text


def close_all(*roots: ipywidgets.Widget, keep: Iterable[ipywidgets.Widget] = ()) -> None:
    """Close widgets with everything in them, layouts and styles too: closing a box alone leaves those."""
    done = {id(widget) for widget in keep}
    waiting = list(roots)
    while waiting:
        widget = waiting.pop()
        if id(widget) in done or widget.comm is None:
            continue
        done.add(id(widget))
        for name in widget.keys:
            value = getattr(widget, name)
            parts = value if isinstance(value, (list, tuple)) else [value]
            waiting += [part for part in parts if isinstance(part, ipywidgets.Widget)]
        ipywidgets.Widget.close(widget)
