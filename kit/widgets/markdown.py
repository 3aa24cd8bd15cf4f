"""Markdown of a model's reply as a tree of a few harmless elements, for the page and for static HTML.

Nothing here needs a sanitizer: no HTML is ever parsed or passed on. markdown-it reads the text, with HTML
off; its tokens become elements and attributes that are named here, and all else is text.
"""

from __future__ import annotations

import html
import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode
from pygments.util import ClassNotFound

from kit.widgets.form import highlighted

Tree = str | list[Any]  # a text, or [tag, attributes, children]
# Names of markdown-it, and of HTML. Headings of a reply are no headings of the notebook.
ELEMENTS = {
    "paragraph": "p",
    "bullet_list": "ul",
    "ordered_list": "ol",
    "list_item": "li",
    "blockquote": "blockquote",
    "tr": "tr",
    "thead": "thead",
    "tbody": "tbody",
    "em": "em",
    "strong": "strong",
    "s": "s",
    "hr": "hr",
    "hardbreak": "br",
    "softbreak": "br",  # a model that starts a new line means one
}


class _Markdown(MarkdownIt):
    """Links lead to the web or to a mailbox; any other address, `javascript:` or a file's, stays text."""

    def validateLink(self, url: str) -> bool:
        return url.lower().startswith(("https://", "http://", "mailto:"))


# Without `lheading`: while a text grows, the "-" of a list below would make it a heading for a moment.
_PARSER = _Markdown("js-default", {"html": False, "linkify": False}).disable("lheading")


def markdown(text: str) -> list[Tree]:
    """Return a text in Markdown as trees, one for each block.

    A text that still grows looks as it will: a code block that has no end yet is one, and the first letters
    of a fence are left out.
    """
    return _children(SyntaxTreeNode(_PARSER.parse(re.sub(r"(^|\n)[ ]*(`{1,2}|~{1,2})$", r"\1", text))))


def static(tree: Tree) -> str:
    """Return a tree as HTML."""
    if isinstance(tree, str):
        return html.escape(tree)
    tag, attributes, children = tree
    inside = "".join(f' {name}="{html.escape(str(value))}"' for name, value in attributes.items())
    end = "" if tag in ("br", "hr") else f"</{tag}>"
    return f"<{tag}{inside}>{''.join(map(static, children))}{end}"


def code(text: str, language: str) -> Tree:
    """Return a text as a block of code, highlighted if the language is known."""
    try:
        pieces = highlighted(text, language) if language else [["", text]]
    except ClassNotFound:
        pieces = [["", text]]
    parts = [["span", {"class": f"kit-code-{kind}"}, [piece]] if kind else piece for kind, piece in pieces]
    return ["pre", {"class": "kit-code", "data-language": language}, parts]


def _children(node: SyntaxTreeNode) -> list[Tree]:
    return [tree for child in node.children for tree in _trees(child)]


def _trees(node: SyntaxTreeNode) -> list[Tree]:
    """Return what a node of markdown-it becomes."""
    kind = node.type
    if kind == "inline" or (kind == "paragraph" and node.hidden):  # in a list whose items are close together
        return _children(node)
    if kind == "code_inline":
        return [["code", {}, [node.content]]]
    if kind in ("fence", "code_block"):
        return [code(node.content.rstrip("\n"), (node.info.split() or [""])[0][:30])]
    if kind == "heading":
        return [["p", {"class": f"kit-heading kit-{node.tag}"}, _children(node)]]
    if kind in ("link", "image"):
        return [_link(node, kind)]
    if kind == "table":
        return [["div", {"class": "kit-table"}, [["table", {}, _children(node)]]]]
    if kind in ("th", "td"):
        return [_cell(node, kind)]
    if kind in ELEMENTS:
        start = {"start": node.attrs["start"]} if "start" in node.attrs else {}
        return [[ELEMENTS[kind], start, _children(node)]]
    return [node.content]


def _link(node: SyntaxTreeNode, kind: str) -> Tree:
    """Return a link. An image is one, too: to load it would tell its server who reads this, and when."""
    address = str(node.attrs["href" if kind == "link" else "src"])
    inside = _children(node) if kind == "link" else [f"Image: {node.content or address}"]
    attributes = {"href": address, "target": "_blank", "rel": "noopener noreferrer"}
    return ["a", attributes, inside or [address]]


def _cell(node: SyntaxTreeNode, kind: str) -> Tree:
    inside = _children(node)
    aligned = str(node.attrs.get("style", "")).removeprefix("text-align:")
    attributes = {"class": f"kit-{aligned}"} if aligned in ("center", "right") else {}
    if kind == "th" and inside:  # an empty one heads nothing
        return ["th", {"scope": "col", **attributes}, inside]
    return ["td", attributes, inside]
