"""The diagrams of the lessons, as SVG on a card of their own, which reads in a light and in a dark theme.

    python notebooks/images/diagrams.py

writes them beside this file. Lengths are pixels; a text in `backticks` is set as code.
"""

from html import escape
from pathlib import Path

INK, SOFT, LINE, PAPER = "#1f2328", "#57606a", "#8c959f", "#ffffff"
TONES = {  # of a box: its edge, and what fills it
    "blue": ("#1669c1", "#eaf3fc"),
    "orange": ("#9a4d00", "#fdf1e3"),
    "green": ("#166b2e", "#e8f5eb"),
    "grey": ("#57606a", "#f3f4f6"),
}
SANS, MONO = "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif", "ui-monospace, Menlo, Consolas, monospace"
HEAD = f"""\
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0 8 4 0 8z" fill="{SOFT}"/></marker></defs>"""


def text(x, y, words, anchor="middle", size=14, colour=INK, weight="normal"):
    """Return a line of text; one in backticks is code."""
    is_code = words[:1] == "`"
    family, size = (MONO, size - 1) if is_code else (SANS, size)
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-family="{family}" font-size="{size}" '
        f'fill="{colour}" font-weight="{weight}">{escape(words.strip("`"))}</text>'
    )


def box(x, y, width, height, *lines, tone="grey", bold=True):
    """Return a box with lines of text in its middle, the first of them bold."""
    edge, fill = TONES[tone]
    shape = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="{fill}" stroke="{edge}"/>'
    first = y + height / 2 - 10 * (len(lines) - 1) + 5
    weights = ["bold" if bold else "normal", *["normal"] * len(lines)]
    middle = x + width / 2
    return shape + "".join(
        text(middle, first + 20 * index, line, colour=edge if index == 0 and bold else INK, weight=weight)
        for index, (line, weight) in enumerate(zip(lines, weights, strict=False))
    )


def arrow(x1, y1, x2, y2, label="", dashed=False, above=8):
    """Return an arrow, with a label at its middle."""
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    path, tip = f"M{x1} {y1} {x2} {y2}", 'marker-end="url(#tip)"'
    line = f'<path d="{path}" stroke="{SOFT}" stroke-width="1.5" {tip}{dash}/>'
    if not label:
        return line
    if x1 == x2:
        return line + text(x1 + 10, (y1 + y2) / 2 + 5, label, "start", 13, SOFT)
    return line + text((x1 + x2) / 2, (y1 + y2) / 2 - above, label, size=13, colour=SOFT)


def bent(path):
    """Return an arrow along a path."""
    return f'<path d="{path}" stroke="{SOFT}" stroke-width="1.5" fill="none" marker-end="url(#tip)"/>'


def same_name():
    """Lessons 00 and 03: three places, one name."""
    return (
        720,
        230,
        [
            box(20, 20, 210, 90, "1 · the class", "`class MyModelClient:`", "create, cost, ...", tone="blue"),
            box(
                255,
                20,
                210,
                90,
                "2 · the config entry",
                '`"model_client_cls":`',
                '`"MyModelClient"`',
                tone="orange",
            ),
            box(
                490,
                20,
                210,
                90,
                "3 · registering",
                "`register_model_client(`",
                "`MyModelClient)`",
                tone="green",
            ),
            *(f'<path d="M{x} 112 V150" stroke="{LINE}" stroke-width="1.5"/>' for x in (125, 360, 595)),
            f'<path d="M125 150 H595" stroke="{LINE}" stroke-width="1.5"/>',
            text(242, 144, "the same name, letter by letter", size=13, colour=SOFT),
            arrow(360, 150, 360, 172),
            box(255, 174, 210, 40, "the agent answers", tone="grey"),
        ],
    )


def four_methods():
    """Lesson 01: who calls what, in order."""
    calls = [
        ("`MyModelClient(config, **kwargs)`", "once, when you register the class"),
        ("`create(params)`", "the messages and options in, a response out"),
        ("`cost(response)`", "a number; not asked where the entry has a price"),
        ("`get_usage(response)`", "five keys, or AutoGen counts nothing"),
        ("`message_retrieval(response)`", "a list of texts; only if the response has an id"),
    ]
    parts = [
        box(20, 20, 120, 300, "AutoGen", tone="blue"),
        box(580, 20, 120, 300, "your client", tone="orange"),
    ]
    for index, (call, what) in enumerate(calls):
        y = 58 + 56 * index
        parts += [arrow(142, y, 576, y, call), text(360, y + 17, f"{index}. {what}", size=12, colour=SOFT)]
    return 720, 340, parts


def where_a_list_is_read():
    """Lesson 02: variable, file, filter."""
    return (
        720,
        210,
        [
            box(20, 70, 170, 60, "`OAI_CONFIG_LIST`", "the name you give", tone="grey"),
            arrow(190, 100, 268, 50),
            box(270, 20, 180, 60, "a variable?", "its text is the list", tone="blue"),
            arrow(360, 80, 360, 128, "else", dashed=True),
            box(270, 130, 180, 60, "a file?", "its text is the list", tone="blue"),
            arrow(450, 50, 518, 90),
            arrow(450, 160, 518, 110),
            box(520, 70, 180, 60, "`filter_dict`", "keeps what fits", tone="green"),
        ],
    )


def prefix_cache():
    """Lesson 04: from a chat to tokens, and what of them is computed."""
    parts = [
        box(20, 20, 150, 60, "messages", "roles and texts", tone="grey"),
        arrow(170, 50, 238, 50, "template"),
        box(240, 20, 200, 60, "one text", "`<|im_start|>user ...`", tone="grey"),
        arrow(440, 50, 528, 50, "tokenizer"),
        box(530, 20, 170, 60, "tokens", "`1, 9690, 198, ...`", tone="grey"),
    ]
    for y, turn, known, new in (
        (120, "turn 1", 0, 240),
        (180, "turn 2", 290, 110),
        (240, "turn 3", 450, 110),
    ):
        parts += [text(20, y + 24, turn, "start", 14, SOFT)]
        if known:
            parts.append(box(90, y, known, 38, "out of the prefix cache", tone="grey", bold=False))
        parts.append(box(90 + known + (4 if known else 0), y, new, 38, "computed", tone="blue", bold=False))
    return 720, 300, parts


def which_step():
    """Lesson 05: at which step to look."""
    steps = [
        ("0 · the packages", "an import fails", "`diagnose()`", "grey"),
        ("1 · the class", "an error in a method", "`check_model_client(C)`", "blue"),
        ("2 · the config list", "a name, a value, a file", "`diagnose(config_list)`", "orange"),
        ("3 · registering", "not activated, not found", "`diagnose(agent)`", "green"),
        ("4 · the chat", "it runs, and goes wrong", "`watch(agent)`", "grey"),
    ]
    parts = [text(20, 32, "What you see", "start", 13, SOFT), text(700, 32, "Ask", "end", 13, SOFT)]
    for index, (step, see, ask, tone) in enumerate(steps):
        y = 48 + 58 * index
        parts += [
            text(20, y + 28, see, "start"),
            arrow(205, y + 23, 268, y + 23),
            box(270, y, 180, 46, step, tone=tone),
            arrow(450, y + 23, 500, y + 23),
            text(508, y + 28, ask, "start"),
        ]
        if index:
            parts.append(arrow(360, y - 12, 360, y - 1))
    return 720, 350, parts


def hidden_selector():
    """Lesson 06: one turn of a group chat."""
    return (
        720,
        250,
        [
            box(20, 90, 150, 64, "the manager", "leads the chat", tone="blue"),
            arrow(150, 88, 288, 48, "who is next?", above=14),
            box(290, 20, 180, 60, "the hidden agent", "made anew each turn", tone="orange"),
            arrow(470, 50, 548, 50),
            box(550, 20, 150, 60, "its client", "your class, too", tone="orange"),
            arrow(548, 70, 470, 70),
            arrow(288, 74, 172, 108),
            text(262, 112, "a name", size=13, colour=SOFT),
            arrow(150, 156, 288, 198),
            text(238, 172, "speak", size=13, colour=SOFT),
            box(290, 170, 180, 60, "that member", "reads all messages", tone="green"),
            arrow(470, 200, 548, 200),
            box(550, 170, 150, 60, "its own client", tone="green"),
            arrow(290, 218, 120, 156),
            text(186, 214, "its message", size=13, colour=SOFT),
        ],
    )


def tool_loop():
    """Lesson 07: the round trip of a tool call."""
    return (
        720,
        270,
        [
            box(20, 90, 150, 80, "the user", "runs the function", "and ends the chat", tone="green"),
            box(285, 90, 150, 80, "the assistant", "asks its model", tone="blue"),
            box(550, 90, 150, 80, "model client", "returns a text", "or a tool call", tone="orange"),
            arrow(170, 108, 283, 108, "1 question"),
            arrow(435, 108, 548, 108, "2 + the tools"),
            arrow(548, 152, 437, 152, "3 a call"),
            arrow(283, 152, 172, 152, "4 a call"),
            bent("M95 172 V222 H625 V174"),
            text(360, 215, "5 the result goes to the assistant, and on to the model", size=13, colour=SOFT),
            bent("M625 88 V48 H95 V86"),
            text(360, 41, "6 the answer, in words", size=13, colour=SOFT),
        ],
    )


def recording():
    """Lesson 08: a recording is made once, and answers from then on."""
    return (
        720,
        300,
        [
            text(20, 55, "once", "start", 14, SOFT),
            box(90, 20, 120, 60, "the agent", "asks", tone="blue"),
            box(290, 20, 210, 60, "the recording client", "with client=", tone="orange"),
            box(570, 20, 130, 60, "the real client", "asks its model", tone="green"),
            arrow(210, 42, 288, 42, "request"),
            arrow(288, 64, 212, 64),
            arrow(500, 42, 568, 42),
            arrow(568, 64, 502, 64),
            arrow(395, 80, 395, 122, "writes"),
            box(290, 124, 210, 50, "the file", "requests and replies"),
            arrow(395, 174, 395, 216, "reads"),
            text(20, 255, "later", "start", 14, SOFT),
            box(90, 220, 120, 60, "the agent", "asks", tone="blue"),
            box(290, 220, 210, 60, "the recording client", "without client=", tone="orange"),
            arrow(210, 242, 288, 242, "request"),
            arrow(288, 264, 212, 264),
            arrow(500, 250, 568, 250, dashed=True),
            box(570, 220, 130, 60, "an error", "for a new request"),
        ],
    )


def adapters():
    """Lesson 09: one client, and an adapter for each framework."""
    rows = [
        ("as it is", "AutoGen 0.14 and 0.2", "blue"),
        ("`ModelClientForAutoGen`", "Microsoft AutoGen 0.7", "orange"),
        ("`ModelClientForAG2`", "AG2 1.x", "orange"),
        ("`ModelClientForAgentFramework`", "Microsoft Agent Framework", "orange"),
    ]
    parts = [box(20, 90, 150, 80, "your client", "four methods", tone="green")]
    for index, (adapter, framework, tone) in enumerate(rows):
        y = 20 + 58 * index
        parts += [
            arrow(170, 130, 218, y + 23),
            box(220, y, 250, 46, adapter, tone=tone, bold=False),
            arrow(470, y + 23, 498, y + 23),
            box(500, y, 200, 46, framework, tone="grey", bold=False),
        ]
    return 720, 262, parts


def class_server():
    """Lesson 10: many laptops, one model."""
    parts = [
        box(280, 60, 150, 100, "the server", "checks a request,", "answers in batches", tone="blue"),
        arrow(430, 110, 538, 110),
        box(540, 70, 160, 80, "one model", "weights in memory", "once", tone="orange"),
    ]
    for index, who in enumerate(("anna", "ben", "cleo")):
        y = 20 + 64 * index
        parts += [
            box(20, y, 150, 50, f"{who}'s laptop", tone="green"),
            arrow(170, y + 25, 278, 90 + 20 * index),
        ]
    parts.append(
        text(355, 195, "each with an entry with base_url, and no client class", size=13, colour=SOFT)
    )
    return 720, 220, parts


DIAGRAMS = [
    same_name,
    four_methods,
    where_a_list_is_read,
    prefix_cache,
    which_step,
    hidden_selector,
    tool_loop,
    recording,
    adapters,
    class_server,
]


def svg(diagram):
    """Return a diagram as the text of an SVG file."""
    width, height, parts = diagram()
    inside = f'x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="10"'
    card = f'<rect {inside} fill="{PAPER}" stroke="#d0d7de"/>'
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    body = "\n".join([HEAD, card, *parts])
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n{body}\n</svg>\n'


if __name__ == "__main__":
    for diagram in DIAGRAMS:
        Path(__file__).with_name(f"{diagram.__name__}.svg").write_text(
            svg(diagram), encoding="utf-8", newline="\n"
        )
