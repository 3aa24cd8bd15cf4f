"""HuggingFaceModelClient with the families of models that people run: their templates, thoughts and calls.

Each template is re-typed as short as it can be, with what matters of the real one: what it writes, drops and
refuses, and whether it opens the thoughts. The replies have the forms that these models write; vLLM's tests
of its parsers (tests/tool_parsers and tests/reasoning) hold many of them.
"""

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from recorded import Recorded, tiny_config
from transformers import AutoTokenizer

from kit.clients.huggingface_fast import HuggingFaceModelClient

HI = [{"role": "user", "content": "Hi"}]
PARALLEL = "{{ raise_exception('only single tool calls') if message.tool_calls | length > 1 }}"
ALTERNATE = (
    "{% set said = messages | rejectattr('role', 'in', ['tool', 'system']) %}"
    "{% set said = said | rejectattr('tool_calls') | list %}"
    "{% for message in said %}{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{% endfor %}"
)
NINE = "{{ raise_exception('an id has 9 characters') if %s | length != 9 }}"


def template(call, result, start="", before="", after="", assistant="<|im_start|>assistant\n", head=""):
    """A chat template, made of how it writes a call, a result, and the beginning of a reply.

    `before` and `after` surround all calls of a message; `head` comes first of all.
    """
    return (
        head + "{% if tools %}<tools>{{ tools | tojson }}</tools>{% endif %}{% for message in messages %}"
        "{% if message.role == 'tool' %}"
        + result
        + "{% elif message.role == 'assistant' %}"
        + assistant
        + "{{"
        " message.content if message.content else '' }}{% if message.tool_calls %}"
        + before
        + "{% for call in "
        "message.tool_calls %}{% set name, given = call.function.name, call.function.arguments %}"
        + call
        + "{"
        "% endfor %}" + after + "{% endif %}<|im_end|>\n{% else %}<|im_start|>{{ message.role }}\n"
        "{{ message.content }}<|im_end|>\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}" + assistant + start + "{% endif %}"
    )


RESULT = "<|im_start|>user\n<tool_response>\n{{ message.content }}\n</tool_response><|im_end|>\n"
JSON_CALL = '{"name": "{{ name }}", "arguments": {{ given | tojson }}}'
HERMES_CALL = f"\n<tool_call>\n{JSON_CALL}\n</tool_call>"
TAGS_CALL = (  # it refuses arguments as text
    "\n<tool_call>\n<function={{ name }}>\n{% for key, value in given | items %}<parameter={{ key }}>\n"
    "{{ value }}\n</parameter>\n{% endfor %}</function>\n</tool_call>"
)
GLM_CALL = (
    "\n<tool_call>{{ name }}\n{% for key, value in given.items() %}<arg_key>{{ key }}</arg_key>\n"
    "<arg_value>{{ value }}</arg_value>\n{% endfor %}</tool_call>"
)
PYTHON_CALL = (
    "{{ name }}({% for key, value in given.items() %}{{ key }}={{ value }}{{ ', ' if not loop.last }}"
    "{% endfor %}){{ ', ' if not loop.last }}"
)
R1_CALL = (
    "<｜tool▁call▁begin｜>{{ call.type + '<｜tool▁sep｜>' + name + '\n```json\n' + given + '\n```' }}"
    "<｜tool▁call▁end｜>"
)
OPEN = (
    "{{ '<think>\n\n</think>\n\n' if enable_thinking is defined and not enable_thinking else '<think>\n' }}"
)
ADD, NOW = '{"name": "add", "arguments": {"a": 2, "b": 3}}', '{"name": "now", "arguments": {}}'
BROKEN = '{"name": "add", "arguments": {"a": 2'
TAGS_ADD = "<function=add>\n<parameter=a>\n2\n</parameter>\n<parameter=b>\n3\n</parameter>\n</function>"
GLM_ADD = (
    "add\n<arg_key>a</arg_key>\n<arg_value>2</arg_value>\n<arg_key>b</arg_key>\n<arg_value>3</arg_value>\n"
)


@dataclass
class Family:
    """A family of models.

    Args:
        template: what its chat template does.
        call: what it writes to call add(a=2, b=3).
        both: to call that, and now(), at once.
        broken: to call now(), and something that can't be read.
        shown: how the next prompt shows the call of add, and its result.
        special: its marks that are special tokens.
        thinks: the marks around its thoughts.
        opened: whether the template opens the thoughts.
        says: what surrounds its text.
        ends: the tokens that end a turn.
    """

    template: str
    call: str
    both: str
    broken: str
    shown: tuple[str, str]
    special: tuple[str, ...] = ()
    thinks: tuple[str, str] | None = None
    opened: bool = False
    says: str = "{}"
    ends: tuple[str, ...] = ("<|im_end|>",)

    def reply(self, text="", thought=None, call=""):
        """What the model writes after the prompt."""
        begin, end = self.thinks or ("", "")
        begin = "" if self.opened else begin
        thoughts = f"{begin}{thought or ''}{end}" if thought or self.opened else ""
        return thoughts + (self.says.format(text) if text else "") + call


THINK = ("<think>\n", "\n</think>\n\n")
HERMES = {
    "call": f"<tool_call>\n{ADD}\n</tool_call>",
    "both": f"<tool_call>\n{ADD}\n</tool_call>\n<tool_call>\n{NOW}\n</tool_call>",
    "broken": f"<tool_call>\n{BROKEN}\n</tool_call>\n<tool_call>\n{NOW}\n</tool_call>",
    "shown": (f"<tool_call>\n{ADD}\n</tool_call>", "<tool_response>\n5\n</tool_response>"),
}
TAGS = {
    "call": f"<tool_call>\n{TAGS_ADD}\n</tool_call>",
    "both": f"<tool_call>\n{TAGS_ADD}\n</tool_call>\n<tool_call>\n<function=now>\n</function>\n</tool_call>",
    "broken": "<tool_call>\n<function=add>\n<parameter=a>\n2\n</function>\n</tool_call>\n"
    "<tool_call>\n<function=now>\n</function>\n</tool_call>",
    "shown": (f"<tool_call>\n{TAGS_ADD}\n</tool_call>", "<tool_response>\n5\n</tool_response>"),
}
MISTRAL = {
    "call": '[TOOL_CALLS]add[ARGS]{"a": 2, "b": 3}',
    "both": '[TOOL_CALLS]add[ARGS]{"a": 2, "b": 3}[TOOL_CALLS]now[ARGS]{}',
    "broken": '[TOOL_CALLS]add[ARGS]{"a": 2[TOOL_CALLS]now[ARGS]{}',
    "shown": ('[TOOL_CALLS]add[ARGS]{"a": 2, "b": 3}', "[TOOL_RESULTS]5[/TOOL_RESULTS]"),
    "special": ("[TOOL_CALLS]", "[ARGS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[THINK]", "[/THINK]"),
}
MISTRAL_RESULT = NINE % "message.tool_call_id" + "[TOOL_RESULTS]{{ message.content }}[/TOOL_RESULTS]"
MISTRAL_CALL = "[TOOL_CALLS]{{ name }}[ARGS]{{ given | tojson }}"
FAMILIES = {
    "Qwen 2.5": Family(template(HERMES_CALL, RESULT), **HERMES),
    "Qwen 3": Family(template(HERMES_CALL, RESULT, "{# </think> #}"), **HERMES, thinks=THINK),
    "Qwen 3.5, Nemotron 3": Family(
        template(TAGS_CALL, RESULT, OPEN), **TAGS, thinks=("<think>\n", "\n</think>\n\n"), opened=True
    ),
    "Qwen 3 Coder": Family(
        template(TAGS_CALL, RESULT), **{**TAGS, "call": f"{TAGS_ADD}\n</tool_call>"}
    ),  # it often leaves out the first mark
    "Hermes 3": Family(
        template(
            HERMES_CALL,
            '<|im_start|>tool\n<tool_response>\n{{ \'{"name": "\' + message.name + \'", "content": \' }}'
            "{{ message.content }}}\n</tool_response><|im_end|>\n",
        ),
        **{**HERMES, "shown": (HERMES["shown"][0], '<tool_response>\n{"name": "add", "content": 5}\n')},
    ),
    "SmolLM3": Family(  # its template drops calls
        template("", "<|im_start|>user\n{{ message.content }}<|im_end|>\n", "{# <tool_call> </think> #}"),
        **{**HERMES, "shown": (f"<tool_call>{ADD}</tool_call>", "<|im_start|>user\n5<|im_end|>")},
        thinks=THINK,
    ),
    "GLM 4.5": Family(
        template(
            GLM_CALL, "<|observation|>\n{{ message.content }}", "{# </think> #}", assistant="<|assistant|>"
        ),
        call=f"<tool_call>{GLM_ADD}</tool_call>",
        both=f"<tool_call>{GLM_ADD}</tool_call>\n<tool_call>now\n</tool_call>",
        broken="<tool_call>add\n<arg_key>a</arg_key>\n<arg_value>2\n</tool_call>\n<tool_call>now\n</tool_call>",
        shown=(f"<tool_call>{GLM_ADD}</tool_call>", "<|observation|>\n5"),
        special=("<|assistant|>", "<|observation|>"),
        thinks=("\n<think>", "</think>\n"),
        ends=("<|observation|>", "<|im_end|>"),
    ),
    "GLM 4.7": Family(
        template(
            GLM_CALL,
            "<|observation|>\n{{ message.content }}",
            "<think>{# </think> #}",
            assistant="<|assistant|>",
        ),
        call="<tool_call>add<arg_key>a</arg_key><arg_value>2</arg_value><arg_key>b</arg_key>"
        "<arg_value>3</arg_value></tool_call>",
        both=f"<tool_call>{GLM_ADD}</tool_call><tool_call>now</tool_call>",
        broken="<tool_call>add<arg_key>a</arg_key><arg_value>2</tool_call><tool_call>now</tool_call>",
        shown=(f"<tool_call>{GLM_ADD}</tool_call>", "<|observation|>\n5"),
        special=("<|assistant|>", "<|observation|>"),
        thinks=("<think>", "</think>"),
        opened=True,
        ends=("<|observation|>", "<|im_end|>"),
    ),
    "Mistral 0.3": Family(
        template(
            NINE
            % "call.id"
            + '{"name": "{{ name }}", "arguments": {{ given | tojson }}, "id": "{{ call.id }}"}'
            "{{ ', ' if not loop.last }}",
            MISTRAL_RESULT,
            before="[TOOL_CALLS] [",
            after="]",
            head=ALTERNATE,
        ),
        **{
            **MISTRAL,
            "call": f"[TOOL_CALLS] [{ADD}]",
            "both": f"[TOOL_CALLS] [{ADD}, {NOW}]",
            "broken": f"[TOOL_CALLS] [{NOW}, {BROKEN}",
            "shown": (f"[TOOL_CALLS] [{ADD[:-1]}", "[TOOL_RESULTS]5[/TOOL_RESULTS]"),
        },
    ),
    "Mistral": Family(template(MISTRAL_CALL, MISTRAL_RESULT, head=ALTERNATE), **MISTRAL),
    "Magistral": Family(
        template(MISTRAL_CALL, MISTRAL_RESULT, "{# [THINK] [/THINK] #}", head=ALTERNATE),
        **MISTRAL,
        thinks=("[THINK]", "[/THINK]"),
    ),
    "Llama 3": Family(
        template(
            PARALLEL + '{"name": "{{ name }}", "parameters": {{ given | tojson }}}',
            "<|im_start|>ipython\n{{ message.content }}<|im_end|>\n",
        ),
        call='{"name": "add", "parameters": {"a": 2, "b": 3}}',
        both='{"name": "add", "parameters": {"a": 2, "b": 3}}; {"type": "function", "name": "now", '
        '"parameters": {}}',
        broken='<|python_tag|>{"name": "now", "parameters": {}}; {"name": "add", "parameters": {"a": 2',
        shown=('{"name": "add", "parameters": {"a": 2, "b": 3}}', "<|im_start|>ipython\n5<|im_end|>"),
        special=("<|python_tag|>",),
    ),
    "Llama 3.2, pythonic": Family(
        template(
            PYTHON_CALL, "<|im_start|>ipython\n{{ message.content }}<|im_end|>\n", before="[", after="]"
        ),
        call="[add(a=2, b=3)]",
        both="[add(a=2, b=3), now()]",
        broken="[now(), add(2, 3)]",
        shown=("[add(a=2, b=3)]", "<|im_start|>ipython\n5<|im_end|>"),
        special=("<|python_tag|>",),
    ),
    "Llama 4": Family(
        template(
            PYTHON_CALL, "<|im_start|>ipython\n{{ message.content }}<|im_end|>\n", before="[", after="]"
        ),
        call="<|python_start|>[add(a=2, b=3)]<|python_end|>",
        both="<|python_start|>[add(a=2, b=3), now()]<|python_end|>",
        broken="<|python_start|>[now(), add(a=b'2', b=3)]<|python_end|>",
        shown=("[add(a=2, b=3)]", "<|im_start|>ipython\n5<|im_end|>"),
        special=("<|python_start|>", "<|python_end|>"),
    ),
    "gpt-oss": Family(
        template(
            " to={{ 'functions.' + name }}<|channel|>commentary json<|message|>{{ given | tojson }}<|call|>",
            "<|start|>functions.{{ message.name }} to=assistant<|channel|>commentary<|message|>"
            "{{ message.content }}<|end|>",
            "{# <|channel|>analysis #}",
            assistant="<|start|>assistant",
        ),
        call="<|start|>assistant<|channel|>commentary to=functions.add <|constrain|>json<|message|>"
        '{"a": 2, "b": 3}<|call|>',
        both="<|start|>assistant<|channel|>commentary to=functions.add json<|message|>"
        '{"a": 2, "b": 3}<|call|>'
        "<|start|>assistant to=functions.now<|channel|>commentary json<|message|>{}",
        broken='<|start|>assistant to=functions.add<|channel|>commentary json<|message|>{"a": 2<|call|>'
        "<|start|>assistant to=functions.now<|channel|>commentary json<|message|>{}",
        shown=(
            ' to=functions.add<|channel|>commentary json<|message|>{"a": 2, "b": 3}<|call|>',
            "<|message|>5",
        ),
        special=tuple(
            f"<|{mark}|>" for mark in ("start", "end", "message", "channel", "constrain", "call", "return")
        ),
        thinks=("<|channel|>analysis<|message|>", "<|end|>"),
        says="<|start|>assistant<|channel|>final<|message|>{}",
        ends=("<|return|>", "<|im_end|>"),  # and <|call|>, which stands in the replies above
    ),
    "Granite 3.3": Family(  # its template drops calls, and gives results a role of their own
        template(
            "",
            "<|im_start|>tool\n{{ message.content }}<|im_end|>\n",
            "{# <|tool_call|>, between <think></think> and <response></response> #}",
        ),
        call=f"<|tool_call|>[{ADD}]",
        both=f"<|tool_call|>[{ADD}, {NOW}]",
        broken=f"<|tool_call|>[{NOW}, {BROKEN}",
        shown=(f"<|tool_call|>{ADD}", "<|im_start|>tool\n5<|im_end|>"),
        special=("<|tool_call|>",),
        thinks=("<think>", "</think>\n\n"),
        says="<response>{}</response>",
    ),
    "Phi-4-mini": Family(
        template(
            f"<|tool_call|>{JSON_CALL}<|/tool_call|>",
            "<|tool_response|>{{ message.content | tojson }}<|im_end|>",
        ),
        call=f"<|tool_call|>[{ADD}]<|/tool_call|>",
        both=f"<|tool_call|>[{ADD}, {NOW}]<|/tool_call|>",
        broken=f"<|tool_call|>{BROKEN}<|/tool_call|><|tool_call|>{NOW}<|/tool_call|>",
        shown=(f"<|tool_call|>{ADD}<|/tool_call|>", '<|tool_response|>"5"'),
        special=("<|tool_call|>", "<|/tool_call|>"),
    ),
    "LFM2": Family(  # its template drops calls
        template("", "<|im_start|>tool\n{{ message.content }}<|im_end|>\n"),
        call="<|tool_call_start|>[add(a=2, b=3)]<|tool_call_end|>",
        both="<|tool_call_start|>[add(a=2, b=3), now()]<|tool_call_end|>",
        broken="<|tool_call_start|>[add(a=2, **b), now()]<|tool_call_end|>",
        shown=(f"<|tool_call_start|>{ADD}<|tool_call_end|>", "<|im_start|>tool\n5"),
        special=("<|tool_call_start|>", "<|tool_call_end|>"),
    ),
    "LFM2.5": Family(
        template(
            PYTHON_CALL,
            "<|im_start|>tool\n{{ message.content }}<|im_end|>\n",
            "{# </think> #}",
            before="<|tool_call_start|>[",
            after="]<|tool_call_end|>",
        ),
        call="<|tool_call_start|>[add(a=2, b=3)]<|tool_call_end|>",
        both="<|tool_call_start|>[add(a=2, b=3), now()]<|tool_call_end|>",
        broken="<|tool_call_start|>[add(2), now()]<|tool_call_end|>",
        shown=("<|tool_call_start|>[add(a=2, b=3)]<|tool_call_end|>", "<|im_start|>tool\n5"),
        special=("<|tool_call_start|>", "<|tool_call_end|>"),
        thinks=("<think>", "</think>"),
    ),
    "DeepSeek R1": Family(  # it shows a call only where the content is none, which transformers leaves out
        template(
            "{% if message.content is none %}" + R1_CALL + "{% endif %}",
            "<｜tool▁output▁begin｜>{{ message.content }}<｜tool▁output▁end｜>",
            "{% if messages[-1].role != 'tool' %}<think>\n{% endif %}",
            before="<｜tool▁calls▁begin｜>",
            after="<｜tool▁calls▁end｜>{# </think> #}",
        ),
        call="<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n"
        '{"a": 2, "b": 3}\n```'
        "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        both="<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n"
        '{"a": 2, "b": 3}\n```'
        "<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜>"
        "<｜tool▁calls▁end｜>",
        broken='<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n{"a": 2\n```'
        "<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜>"
        "<｜tool▁calls▁end｜>",
        shown=(ADD, "<｜tool▁output▁begin｜>5<"),
        thinks=("<think>\n", "\n</think>\n\n"),
        opened=True,
    ),
    "DeepSeek V3.1": Family(
        template(
            "<｜tool▁call▁begin｜>{{ name + '<｜tool▁sep｜>' + given }}<｜tool▁call▁end｜>",
            "<｜tool▁output▁begin｜>{{ message.content }}<｜tool▁output▁end｜>",
            "{{ '<think>' if enable_thinking else '</think>' }}",
            before="<｜tool▁calls▁begin｜>",
            after="<｜tool▁calls▁end｜>",
        ),
        call='<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>add<｜tool▁sep｜>{"a": 2, "b": 3}<｜tool▁call▁end｜>'
        "<｜tool▁calls▁end｜>",
        both='<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>add<｜tool▁sep｜>{"a": 2, "b": 3}<｜tool▁call▁end｜>'
        "<｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        broken="<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>add<｜tool▁sep｜>a=2<｜tool▁call▁end｜>"
        "<｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        shown=('add<｜tool▁sep｜>{"a": 2, "b": 3}<｜tool▁call▁end｜>', "<｜tool▁output▁begin｜>5<"),
        special=("<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"),
    ),
    "Gemma 4": Family(
        template(
            "<|tool_call>call:{{ name }}{{ '{' }}{% for key, value in given.items() %}{{ key }}:{{ value }}"
            "{{ ',' if not loop.last }}{% endfor %}}<tool_call|>",
            "<|tool_response>response:{{ message.name }}{value:{{ message.content }}}<tool_response|>",
            "{{ '<|channel>thought\n<channel|>' if enable_thinking is false }}",
        ),
        call="<|tool_call>call:add{a:2,b:3}<tool_call|>",
        both="<|tool_call>call:add{a:2,b:3}<tool_call|><|tool_call>call:now{}<tool_call|>",
        broken="<|tool_call>call:add{a:2,b:<tool_call|><|tool_call>call:now{}<tool_call|>",
        shown=("<|tool_call>call:add{a:2,b:3}<tool_call|>", "response:add{value:5}"),
        special=("<|tool_call>", "<tool_call|>", "<|channel>", "<channel|>", '<|"|>', "<|tool_response>"),
        thinks=("<|channel>thought\n", "<channel|>"),
    ),
    "Cohere": Family(
        template(
            '{"tool_call_id": "0", "tool_name": "{{ name }}", "parameters": {{ given | tojson }}}',
            "<|START_TOOL_RESULT|>{{ message.content }}<|END_TOOL_RESULT|>",
            before="<|START_THINKING|>{{ message.reasoning_content }}<|END_THINKING|><|START_ACTION|>[",
            after="]<|END_ACTION|>",
        ),
        call='<|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "add", '
        '"parameters": {"a": 2, "b": 3}}\n]<|END_ACTION|>',
        both='<|START_ACTION|>[\n    {"tool_call_id": "0", "tool_name": "add", '
        '"parameters": {"a": 2, "b": 3}},\n'
        '    {"tool_call_id": "1", "tool_name": "now", "parameters": {}}\n]<|END_ACTION|>',
        broken='<|START_ACTION|>[{"tool_call_id": "0", "parameters": {"a": 2}}, '
        '{"tool_call_id": "1", "tool_name": "now", "parameters": {}}]<|END_ACTION|>',
        shown=('"tool_name": "add", "parameters": {"a": 2, "b": 3}', "<|START_TOOL_RESULT|>5"),
        special=tuple(
            f"<|{edge}_{part}|>" for edge in ("START", "END") for part in ("THINKING", "ACTION", "RESPONSE")
        ),
        thinks=("<|START_THINKING|>", "<|END_THINKING|>"),
        says="<|START_RESPONSE|>{}<|END_RESPONSE|>",
    ),
    "Nemotron Nano 2": Family(
        template(
            JSON_CALL + "{{ ', ' if not loop.last }}",
            "<TOOL_RESPONSE>[{{ message.content }}]</TOOL_RESPONSE>",
            "<think>\n{# </think> #}",
            before="<TOOLCALL>[",
            after="]</TOOLCALL>",
        ),
        call=f"<TOOLCALL>[{ADD}]</TOOLCALL>",
        both=f"<TOOLCALL>[{ADD}, {NOW}]</TOOLCALL>",
        broken=f"<TOOLCALL>[{NOW}, {BROKEN}]</TOOLCALL>",
        shown=(f"<TOOLCALL>[{ADD}]</TOOLCALL>", "<TOOL_RESPONSE>[5]"),
        thinks=("<think>\n", "\n</think>\n\n"),
        opened=True,
    ),
    "OLMo 3": Family(
        template(
            PYTHON_CALL,
            "<|im_start|>environment\n{{ message.content }}<|im_end|>\n",
            before="<function_calls>",
            after="</function_calls>",
        ),
        call="<function_calls>add(a=2, b=3)</function_calls>",
        both="<function_calls>add(a=2, b=3)\nnow()</function_calls>",
        broken="<function_calls>add(a=two)\nnow()</function_calls>",
        shown=("<function_calls>add(a=2, b=3)</function_calls>", "<|im_start|>environment\n5"),
    ),
}
THINKERS = [name for name, family in FAMILIES.items() if family.thinks]


@pytest.fixture(scope="module")
def words(tiny_folder):
    """A tokenizer that knows the words of this file: with a small vocabulary, a model answers at once."""
    text = Path(__file__).read_text(encoding="utf-8")
    return AutoTokenizer.from_pretrained(tiny_folder).train_new_from_iterator([text], vocab_size=600)


@pytest.fixture
def record(words):
    """A function that makes a model of a family with recorded replies, and its tokenizer."""

    def record(family, *replies):
        tokenizer = copy.deepcopy(words)
        tokenizer.chat_template = family.template
        tokenizer.add_tokens(
            [mark.strip() for mark in family.thinks or () if mark.strip() not in family.special]
        )
        tokenizer.add_special_tokens({"additional_special_tokens": [*family.special, *family.ends]})
        model = Recorded(tiny_config(tokenizer, max_position_embeddings=8192)).eval()
        model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids([*family.ends])
        model.replies = [tokenizer.encode(reply + family.ends[0]) for reply in replies]
        model.prompts = []
        return model, tokenizer

    return record


@pytest.fixture
def ask(record):
    """A function that asks a client of a family for a recorded reply; it returns the choice."""

    def ask(family, reply, on_text=None, on_thought=None, **call):
        model, tokenizer = record(FAMILIES[family], reply)
        client = HuggingFaceModelClient(
            {"model": "recorded"}, model, tokenizer, on_text=on_text, on_thought=on_thought
        )
        response = client.create({"messages": HI, "tools": TOOLS, **call})
        assert client.message_retrieval(response)
        return response.choices[0]

    return ask


def add(a: Annotated[int, "the first number"], b: Annotated[int, "the second number"]) -> int:
    """Add two numbers."""
    return a + b


def now() -> str:
    """Tell the time."""
    return "12:00"


@pytest.fixture
def talk(record):
    """A function that lets a user ask an agent with tools; it returns the chat and the prompts."""
    from autogen import AssistantAgent, LLMConfig, UserProxyAgent, register_function

    def talk(family, *replies):
        model, tokenizer = record(FAMILIES[family], *replies)
        config = {"model": "recorded", "model_client_cls": "HuggingFaceModelClient"}
        bot = AssistantAgent("bot", system_message="Be brief.", llm_config=LLMConfig(config))
        user = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)
        for function in (add, now):
            register_function(function, caller=bot, executor=user, description=function.__doc__)
        bot.register_model_client(HuggingFaceModelClient, loaded_model=model, tokenizer=tokenizer)
        chat = user.initiate_chat(bot, message="What is 2 + 3?", max_turns=len(replies))
        return chat, [tokenizer.decode(prompt) for prompt in model.prompts]

    return talk


def tool(name, **parameters):
    """A tool as OpenAI describes it, its parameters given by their types."""
    types = {key: {"type": type} for key, type in parameters.items()}
    function = {"name": name, "description": name, "parameters": {"type": "object", "properties": types}}
    return {"type": "function", "function": function}


TOOLS = [tool("now"), tool("add", a="integer", b="integer")]
CALLED = ("add", {"a": 2, "b": 3})


def called(choice):
    """The calls of a choice, as names and arguments."""
    calls = choice.message.tool_calls or []
    return [(call.function.name, json.loads(call.function.arguments)) for call in calls]


# Text and thoughts --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("text", ["It is 5, {of course}.", '{"answer": 5}', "[Paris](a link) <b>it is</b>"])
def test_a_plain_reply_is_text_and_warns_of_nothing(ask, family, text):
    pieces = []
    choice = ask(family, FAMILIES[family].reply(text), on_text=pieces.append)
    assert (choice.message.content, choice.message.tool_calls) == (text, None)
    assert choice.finish_reason == "stop"
    assert "".join(pieces) == text


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("family", THINKERS)
def test_thoughts_are_kept_apart_and_may_be_watched(ask, family):
    pieces, thoughts = [], []
    reply = FAMILIES[family].reply("Hello you.", "They greet me.\n\nI greet back.")
    choice = ask(family, reply, on_text=pieces.append, on_thought=thoughts.append)
    assert choice.message.content == "".join(pieces) == "Hello you."
    assert choice.message.reasoning_content == "".join(thoughts) == "They greet me.\n\nI greet back."
    assert len(thoughts) > 2


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("family", THINKERS)
def test_a_tool_that_is_mentioned_in_thoughts_does_not_run(ask, family):
    mentioned = FAMILIES[family].call.split("<|call|>")[0].removeprefix("<|start|>assistant<|channel|>")
    choice = ask(family, FAMILIES[family].reply("Hello.", f"I could write {mentioned}, but won't."))
    assert (choice.message.content, choice.message.tool_calls) == ("Hello.", None)
    assert "won't" in choice.message.reasoning_content


@pytest.mark.parametrize("family", THINKERS)
@pytest.mark.parametrize("tokens", [1, 8])
def test_a_reply_that_ends_inside_the_thoughts_says_so(ask, family, tokens):
    reply = FAMILIES[family].reply("Hello.", "They greet me, and I wonder what they want from me now.")
    with pytest.raises(
        ValueError, match=rf"inside the model's thoughts, after {tokens} tokens?. Raise max_tok"
    ):
        ask(family, reply, max_tokens=tokens)


@pytest.mark.parametrize("family", THINKERS)
def test_a_stop_string_in_the_thoughts_is_named(ask, family):
    reply = FAMILIES[family].reply("Hello.", "They greet me, STOP, and so on.")
    with pytest.raises(ValueError, match="Leave out the stop string"):
        ask(family, reply, stop="STOP")


@pytest.mark.parametrize("family", THINKERS)
@pytest.mark.parametrize("text", ["", "\n", " \n\n"])
def test_a_model_may_think_and_say_nothing(ask, family, text):
    choice = ask(family, FAMILIES[family].reply(thought="They say nothing.") + text)
    assert (choice.message.content, choice.finish_reason) == ("", "stop")


@pytest.mark.parametrize("family", THINKERS)
def test_empty_thoughts_leave_nothing_in_the_reply(ask, family):
    pieces = []
    begin, end = FAMILIES[family].thinks
    choice = ask(
        family,
        ("" if FAMILIES[family].opened else begin) + end + FAMILIES[family].says.format("Hello."),
        on_text=pieces.append,
    )
    assert choice.message.content == "".join(pieces) == "Hello."


UNKNOWN = Family(template("do: {{ name }}", RESULT), "do: now", "", "", ("", ""))


def test_a_model_whose_marks_nobody_knows_says_that_its_calls_stay_text(record):
    model, tokenizer = record(UNKNOWN, "do: now")
    client = HuggingFaceModelClient({"model": "recorded"}, model, tokenizer)
    with pytest.warns(UserWarning, match="stays text: the tokenizer has no response_template"):
        [choice] = client.create({"messages": HI, "tools": TOOLS}).choices
    assert (choice.message.content, choice.finish_reason) == ("do: now", "stop")


def test_thoughts_that_only_end_are_thoughts_too(ask):
    choice = ask("Qwen 3", "They greet me.\n</think>\n\nHello.")
    assert (choice.message.content, choice.message.reasoning_content) == ("Hello.", "They greet me.")


# Calls --------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("written", ["call", "both"])
def test_calls_are_read_and_not_shown(ask, family, written):
    pieces = []
    choice = ask(
        family, FAMILIES[family].reply(call=getattr(FAMILIES[family], written)), on_text=pieces.append
    )
    assert called(choice) == [CALLED, ("now", {})][: 1 if written == "call" else 2]
    assert (choice.message.content, choice.finish_reason) == (None, "tool_calls")
    assert pieces == []


@pytest.mark.parametrize("family", FAMILIES)
def test_a_broken_call_does_not_lose_its_neighbour(ask, family):
    with pytest.warns(UserWarning, match="can't be read, so it is left out"):
        choice = ask(family, FAMILIES[family].reply(call=FAMILIES[family].broken))
    assert called(choice) == [("now", {})]


@pytest.mark.filterwarnings("ignore:A tool call in the reply can't be read")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("part", [0.3, 0.6, 0.8, 0.9])
def test_a_call_that_the_limit_cut_off_is_none_or_whole(ask, words, family, part):
    reply = FAMILIES[family].reply(call=FAMILIES[family].call)
    try:
        choice = ask(family, reply, max_tokens=int(part * len(words.encode(reply))))
    except ValueError as error:
        assert family in THINKERS and "inside the model's thoughts" in str(error)
    else:
        assert called(choice) in ([], [CALLED])
        assert choice.finish_reason in ("length", "tool_calls")


@pytest.mark.filterwarnings("error::UserWarning:kit")
@pytest.mark.parametrize("family", FAMILIES)
def test_autogen_runs_a_call_and_the_next_prompt_shows_it_with_its_result(talk, family):
    one = FAMILIES[family]
    thought = "They want a sum." if one.thinks else None
    chat, [first, second] = talk(family, one.reply(thought=thought, call=one.call), one.reply("It is 5."))
    _, call, result, answer = chat.chat_history
    assert json.loads(call["tool_calls"][0]["function"]["arguments"]) == {"a": 2, "b": 3}
    assert (result["role"], result["content"], answer["content"]) == ("tool", "5", "It is 5.")
    assert '"name": "add"' in first
    shown, answered = second.partition("What is 2 + 3?")[2].split(one.shown[0])
    assert one.shown[1] in answered
    assert "They want" not in str(chat.chat_history) + second


@pytest.mark.parametrize("family", FAMILIES)
def test_calls_made_at_once_all_run(talk, family):
    one = FAMILIES[family]
    chat, [_, second] = talk(family, one.reply(call=one.both), one.reply("Done."))
    results = [result["content"] for result in chat.chat_history[2]["tool_responses"]]
    assert results == ["5", "12:00"]
    after = second.partition("What is 2 + 3?")[2]
    assert after.count("12:00") == 1 and "now" in after
    assert chat.summary == "Done."
