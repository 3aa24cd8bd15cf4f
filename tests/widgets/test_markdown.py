"""Markdown of replies: what becomes an element, what stays text, and how a reply grows."""

import re

import pytest
from markdown_it import MarkdownIt

from kit.widgets.markdown import code, markdown, static

TAGS = {"p", "ul", "ol", "li", "blockquote", "em", "strong", "s", "hr", "br", "a", "code", "pre", "span"}
TAGS |= {"div", "table", "thead", "tbody", "tr", "th", "td"}


def html(text):
    return "".join(map(static, markdown(text)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*a* **b** ~~c~~ `d`", "<p><em>a</em> <strong>b</strong> <s>c</s> <code>d</code></p>"),
        ("- a\n- b", "<ul><li>a</li><li>b</li></ul>"),
        ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
        ("> a", "<blockquote><p>a</p></blockquote>"),
        ("a\nb  \nc", "<p>a<br>b<br>c</p>"),
        ("a\n\n---\nb", "<p>a</p><hr><p>b</p>"),
        ("## a", '<p class="kit-heading kit-h2">a</p>'),  # not a heading of the notebook
        ("&lt;b&gt;", "<p>&lt;b&gt;</p>"),
        ("    a < b", '<pre class="kit-code" data-language="">a &lt; b</pre>'),
        ("", ""),
    ],
)
def test_what_markdown_becomes(text, shown):
    assert html(text) == shown


def test_a_table_has_named_columns_and_keeps_their_side():
    shown = html("| a | b | |\n|---|--:|---|\n| 1 | 2 | 3 |")
    assert '<th scope="col">a</th><th scope="col" class="kit-right">b</th><td></td>' in shown
    assert '<td>1</td><td class="kit-right">2</td><td>3</td>' in shown


def test_code_is_highlighted_and_the_same_letter_by_letter():
    program = 'def f(x):  # why\n    return "<b>"'
    shown = html(f"```py\n{program}\n```")
    assert '<span class="kit-code-keyword">def</span>' in shown
    assert 'data-language="py"' in shown
    assert (
        re.sub("<.*?>", "", shown).replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"') == program
    )


@pytest.mark.parametrize("language", ["", "no such language", '"><script>'])
def test_code_of_an_unknown_language_is_text(language):
    tag, _, children = code("a < b", language)
    assert (tag, children) == ("pre", ["a < b"])


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x onerror=alert(1)>",
        "<script>alert(1)</script>",
        "<details open ontoggle=alert(1)>",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](&#106;avascript:alert(1))",
        "[a]( data:text/html;base64,PHNjcmlwdD4=)",
        "[a](vbscript:x)",
        "[a](/api/shutdown)",
        "[a](file:///etc/passwd)",
        "![a](javascript:alert(1))",
        "![a](data:image/svg+xml;base64,PHN2Zz4=)",
        "<javascript:alert(1)>",
        '[a](https://a.b "\\" onmouseover=\\"alert(1)")',
        "[a](https://a.b/%22onmouseover=alert(1))",
        "[x]: javascript:alert(1)\n\n[x]",
        '```"><img src=x onerror=alert(1)>\n<img src=x onerror=alert(1)>',
        "| <img src=x onerror=alert(1)> |\n|---|\n| <b onclick=alert(1)> |",
        "`<img src=x onerror=alert(1)>`",
    ],
)
def test_nothing_that_runs_or_leads_astray_becomes_an_element(text):
    trees = markdown(text)

    def check(tree):
        if isinstance(tree, str):
            return
        tag, attributes, children = tree
        assert tag in TAGS
        assert set(attributes) <= {"class", "data-language", "href", "target", "rel", "start", "scope"}
        assert attributes.get("href", "https://").startswith("https://")
        for child in children:
            check(child)

    for tree in trees:
        check(tree)
    shown = html(text)
    assert set(re.findall(r"<(\w+)", shown)) <= TAGS
    assert not re.search(r"<[^>]*\son\w+=", shown)


def test_links_open_beside_the_notebook_and_tell_nobody_where_they_were():
    shown = html("[a](https://a.b/?x=1&y=2) <mailto:a@b.c>")
    assert 'href="https://a.b/?x=1&amp;y=2" target="_blank" rel="noopener noreferrer"' in shown
    assert 'href="mailto:a@b.c"' in shown
    assert html("[](https://a.b)").count("https://a.b<") == 1  # one without a text has its address


def test_an_image_is_a_link_and_not_loaded():
    assert "<img" in MarkdownIt().render("![a cat](https://a.b/c.png)")
    shown = html("![a cat](https://a.b/c.png)")
    assert ">Image: a cat</a>" in shown
    assert "<img" not in shown


def test_a_reply_that_grows_changes_only_at_its_end():
    text = "Hi.\n- one\n- two\n\n```py\nx = 1\n```\n\nBye"
    kinds = [[tree[0] for tree in markdown(text[:end])] for end in range(len(text) + 1)]
    assert kinds[-1] == ["p", "ul", "pre", "p"]
    for before, after in zip(kinds, kinds[1:], strict=False):
        assert after[: len(before)] == before, "a block became another one"
    assert "`" not in "".join(html(text[:end]) for end in range(len(text)))


@pytest.mark.parametrize("text", ["> " * 5000, "- " * 3000, "*" * 5000, "[" * 5000, "`" * 5001, "|" * 5000])
def test_a_reply_that_went_mad_is_shown_all_the_same(text):
    assert html(f"start\n\n{text}").startswith("<p>start</p>")
