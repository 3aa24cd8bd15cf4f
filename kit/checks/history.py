"""What a chat has left in its agents: read for what went wrong without an exception; nothing is run."""

from __future__ import annotations

import builtins
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from kit.agents.inside import (
    USAGE_KEYS,
    answered,
    asks_always,
    clients_of,
    ends_at,
    entries_of,
    group_of,
    is_a,
    nested_triggers,
    runs_code,
    selector_config,
)
from kit.checks.catalogue import catalogue, found
from kit.checks.explain import explain
from kit.checks.protocol import functions_of, words_in
from kit.checks.report import Finding
from kit.checks.tool_calls import Chat, Message, calls_in, text_in, tools
from kit.config_list.secrets import fit

CODE = re.compile(r"```(?:python|sh|bash|shell)\b")
RAN = re.compile("exitcode: ")
ENDS = re.compile(r"(?<!with )(?<!say )(?<!answer )(?<!reply )(?<!type )\bTERMINATE\b\W*$")
CODE_FAILED = re.compile(r"exitcode: (?!0\b)\d+ \(execution failed\)\s*Code output:(.*)", re.DOTALL)
SENTENCE_ENDS = ".!?…。！？:;)]}>\"'”»`*"
# Tokens of a reply where nothing else is asked for: at /v1/completions, in generate and TGI, in Ollama.
DEFAULT_LIMITS = (16, 20, 100, 128)
# What a model says to a message without text.
EMPTY = re.compile(
    r"(?i)\b(?:empty|blank)\b|(?:didn't|did not|haven't|have not) (?:provide|send|sent|say|type|enter|includ)"
)
# What is seen in a reply, and is only part of something else that was found.
HIDES = {"call-as-text": ("special-tokens",), "repeats-prompt": ("runs-on", "special-tokens")}


def chats_of(agent: Any) -> list[Chat]:
    """Return the chats in which an agent has answered, by a model.

    A manager answers nothing itself, and where nested chats do, they stand in place of the model.
    """
    histories = dict(getattr(agent, "chat_messages", None) or {})
    nested = nested_triggers(agent)
    chats = [Chat(agent, one, messages) for one, messages in histories.items() if one not in nested]
    has_model = entries_of(agent) and not group_of(agent)
    # The first message was given.
    return [chat for chat in chats if has_model and any(map(chat.is_own, chat.messages[1:]))]


def asked(agent: Any) -> bool:
    """Return whether an agent has asked its model for anything; a manager asks for nothing itself."""
    wrapper = getattr(agent, "client", None)
    replied = getattr(wrapper, "total_usage_summary", None) or chats_of(agent)
    return bool(entries_of(agent) and not group_of(agent) and replied)


def said(agents: list[Any]) -> Iterator[Finding]:
    """Yield what is odd about what the agents said, and about how it came about."""
    for chat in [chat for agent in agents for chat in chats_of(agent)]:
        agent, messages, own = chat.agent, chat.messages, chat.own
        if chat.partner is agent:
            yield found("talks-to-itself", agent=agent.name)
            continue
        findings = [*tools(chat)]
        pairs = zip(map(text_in, messages), messages[1:], strict=False)
        if any(chat.is_own(one) and _repeats(agent, question, text_in(one)) for question, one in pairs):
            findings.append(found("repeats-prompt", agent=agent.name))
        hidden = {name for finding in findings for name in HIDES.get(finding.code, ())}
        if not any("model_client_cls" in entry for entry in entries_of(agent)):
            hidden.add("error-as-reply")  # AutoGen's own clients raise errors
        yield from [*marks(agent.name, [text_in(one) for one in own], hidden), *findings]
        if empty := sum(not (text_in(one).strip() or calls_in(one)) for one in own):
            yield found("empty-reply", agent=agent.name, count=f"{empty} time{'s' * (empty > 1)}")
        yield from _failed_code(chat)
        if is_a(agent, "MultimodalConversableAgent"):
            tags = [tag for message in messages for tag in re.findall(r"<img\s[^>]*>", text_in(message))]
            yield from [found("image-unread", agent=agent.name, shown=tag) for tag in tags[:1]]
        if not group_of(chat.partner):
            yield from _unrun_code(chat)
            yield from _silence(chat)
            yield from _ending(chat)
            yield from _circles(chat)
    for agent in filter(entries_of, agents):
        if asked(agent):
            yield from _clients(agent)
            continue
        for one in nested_triggers(agent):
            if agent.chat_messages.get(one):
                yield found("nested-instead", agent=agent.name, partner=one.name)
    for manager in filter(group_of, agents):
        ends = [*_end_of_group(manager)]
        yield from ends
        if not any(finding.code == "termination-unseen" for finding in ends):  # they spoke on after the end
            yield from _selection(manager)


def marks(agent: str, texts: list[str], hidden: Iterable[str] = ()) -> Iterator[Finding]:
    """Yield what no reply should hold, by the patterns of the catalogue: the first text of each kind."""
    for entry in catalogue():
        if "reply" not in entry or entry["code"] in hidden:
            continue
        if there := next(filter(None, (re.search(entry["reply"], text) for text in texts)), None):
            known = explain(there[0]) if entry["code"] == "error-as-reply" else None
            why = f" It means: {known.message}" if known and known.code != "error" else ""
            yield found(entry["code"], agent=agent, shown=fit(repr(there[0].strip()), 60), why=why)


def _silence(chat: Chat) -> Iterator[Finding]:
    """Yield that the partner sent empty messages, if they went on to its limit or puzzled the model."""
    agent, partner, messages = chat.agent, chat.partner, chat.messages
    empty = [message.get("role") == "user" and message.get("content") == "" for message in messages]
    around = [*zip(messages, empty[1:], messages[2:] + [{}], strict=False)]
    asked_for = [text for before, was, _ in around if was and (text := text_in(before).rstrip())[-1:] == "?"]
    puzzled = [text_in(after) for _, was, after in around if was and EMPTY.search(text_in(after))]
    then = ""
    if sum(empty) >= partner.max_consecutive_auto_reply(agent):
        then = ", up to its limit"
    elif asked_for:
        then = f", where it was asked {fit(repr(asked_for[0][-60:]), 80)}"
    elif puzzled:
        then = f", and got: {fit(repr(puzzled[0]), 60)}"
    if any(empty) and then:
        yield found("nothing-to-say", agent=agent.name, partner=partner.name, count=sum(empty), then=then)


def _repeats(agent: Any, question: str, text: str) -> bool:
    """Return whether a reply holds both the system message and what was asked, so all of a prompt."""
    system = str(agent.system_message)
    return len(system) > 5 and system in text and bool(question) and question in text


def _ending(chat: Chat) -> Iterator[Finding]:
    """Yield the word that should have ended the chat, and what ended or held up one that was not over."""
    partner, messages = chat.partner, chat.messages
    default, last = getattr(partner, "_default_auto_reply", ""), messages[-1]
    ended = "TERMINATE" in str(default) and not chat.is_own(last) and text_in(last) == default
    if ended and "TERMINATE" not in text_in(messages[-2]):
        yield found("ended-by-itself", partner=partner.name, shown=repr(default))
    for message, after in zip(messages, messages[1:], strict=False):
        if chat.is_own(message) and not chat.is_own(after) and _unseen(message, partner):
            yield _unseen_end(message, chat.agent.name, partner)
            return


def _circles(chat: Chat) -> Iterator[Finding]:
    """Yield that an agent and its partner have each said the same three times at the end."""
    last = [" ".join(text_in(message).split()).lower() for message in chat.messages[-6:]]
    if all(last[:2]) and last == 3 * last[:2] and chat.is_own(chat.messages[-1]):
        facts = {"agent": chat.agent.name, "partner": chat.partner.name}
        yield found("in-circles", **facts, shown=fit(repr(last[-1]), 60))


def _unseen(message: Message, reader: Any, went_on: bool = False) -> bool:
    """Return whether a message ends with the word TERMINATE, and the check of its reader wants more.

    AutoGen's own check is asked; one of people's own is known by it that the chat `went_on`.
    """
    seen = ends_at(reader, message) if ENDS.search(text_in(message)) else True
    return seen is False or seen is None and went_on


def _unseen_end(message: Message, writer: Any, reader: Any) -> Finding:
    shown = fit(repr(text_in(message)[-40:]), 60)
    return found("termination-unseen", agent=writer, shown=shown, partner=reader.name)


def _unrun_code(chat: Chat) -> Iterator[Finding]:
    """Yield why code that was written for the partner did not run."""
    agent, partner, messages = chat.agent, chat.partner, chat.messages
    facts, runs = {"agent": agent.name, "partner": partner.name}, runs_code(partner)
    for message, after in zip(messages, messages[1:], strict=False):
        if not (chat.is_own(message) and CODE.search(text_in(message))) or chat.is_own(after):
            continue
        reply = text_in(after)
        if after.get("content") == "" and not runs:
            yield found("code-not-run", **facts)
            return
        if reply and runs and asks_always(partner) and not RAN.match(reply):
            yield found("asks-before-code", **facts, shown=fit(repr(reply), 60))
            return
    last = text_in(messages[-1]) if chat.is_own(messages[-1]) else ""
    if runs and CODE.search(last) and "TERMINATE" in last:
        yield found("ended-before-code", **facts)


def _failed_code(chat: Chat) -> Iterator[Finding]:
    """Yield that the last code that was run for an agent ended with an error, and the error."""
    ran = [text_in(message) for message in chat.messages if RAN.match(text_in(message))]
    if failed := CODE_FAILED.match(ran[-1]) if ran else None:
        last = ([line.strip() for line in failed[1].splitlines() if line.strip()] or ["no output"])[-1]
        code = "code-language" if last.startswith("unknown language") else "code-failed"
        yield found(code, agent=chat.agent.name, partner=chat.partner.name, shown=fit(last, 200))


def _clients(agent: Any) -> Iterator[Finding]:
    """Yield what AutoGen did not ask of an agent's clients, though it has replies of them."""
    wrapper, entries = getattr(agent, "client", None), entries_of(agent)
    total, actual = (getattr(wrapper, f"{kind}_usage_summary", None) for kind in ("total", "actual"))
    if _tokens(total) > (paid := _tokens(actual)):
        yield found("from-the-cache", agent=agent.name, how_many="some" if paid else "all")
    # Of several clients it is not known which one has answered; the first is asked first.
    for client, entry in zip(clients_of(agent)[:1], entries, strict=False):
        yield from _cut_replies(agent, entry, total or {})
        if "model_client_cls" not in entry:
            yield from _cut_prompts(agent, total or {})
            if _tokens(total) and not (total or {}).get("total_cost") and "price" not in entry:
                yield found("no-price", agent=agent.name, model=entry.get("model"))
            continue
        if not answered(agent) and does_more(client):
            yield found("no-id", name=type(client).__name__)
        spoken_of = set().union(*map(words_in, functions_of(type(wrapper))))  # what is the wrapper's own
        for name in {*vars(wrapper)} & {*getattr(client, "__dict__", ())} - spoken_of:
            yield found("set-on-wrapper", agent=agent.name, name=name, client=type(client).__name__)
        if not total:
            words = words_in(getattr(type(client), "get_usage", None), texts=True)
            missing = [key for key in USAGE_KEYS if key not in words]
            if 0 < len(missing) < len(USAGE_KEYS):
                yield found("usage-dropped", name=type(client).__name__, missing=", ".join(missing))
            elif entry.get("price"):
                yield found("no-bill", agent=agent.name, entry=0, keys=", ".join(USAGE_KEYS))


def _cut_replies(agent: Any, entry: dict[str, Any], usage: dict[str, Any]) -> Iterator[Finding]:
    """Yield that each reply of an agent is as long as it may be, and one of them ends in mid-sentence.

    Where nothing sets a limit, it may be one of those that servers have by default.
    """
    settings = {**(agent.llm_config or {}), **entry}
    nested = settings.get("params")
    settings |= nested if isinstance(nested, dict) else {}
    name = next(filter(settings.get, ("max_tokens", "max_completion_tokens", "max_new_tokens")), "")
    own = [text_in(message) for chat in chats_of(agent) for message in chat.own]
    cut = next((text for text in own if text.strip() and text.rstrip()[-1] not in SENTENCE_ENDS), "")
    limits = [settings[name]] if name else DEFAULT_LIMITS
    limit = next((one for one in limits if _tokens(usage, "completion") == len(own) * one), 0)
    if cut and limit and (name or len(cut.encode()) >= limit):  # a token is a byte at least
        shown = fit(repr(cut[-40:]), 60)
        code = "cut-replies" if name else "cut-by-default"
        yield found(code, agent=agent.name, name=name, tokens=limit, shown=shown)


def _cut_prompts(agent: Any, usage: dict[str, Any]) -> Iterator[Finding]:
    """Yield that a server counted far fewer tokens than the prompts of an agent must have had.

    In any language a token has fewer than 12 letters on average. The usage has to be that of these replies,
    and nothing of AutoGen's may have shortened the prompts.
    """
    prompts = replies = 0
    for chat in chats_of(agent):
        before = len(str(agent.system_message))
        for message in chat.messages:
            length = len(" ".join(text_in(message).split()))
            if chat.is_own(message):
                prompts, replies = prompts + before, replies + length
            before += length
    asked_of, answered_with = _tokens(usage, "prompt"), _tokens(usage, "completion")
    transformed = agent.hook_lists.get("process_all_messages_before_reply")
    if 1000 < asked_of < prompts / 12 and answered_with > replies / 8 and not transformed:
        yield found("prompts-cut", agent=agent.name, tokens=asked_of, letters=prompts)


def _tokens(summary: dict[str, Any] | None, kind: str = "total") -> int:
    return sum(used[f"{kind}_tokens"] for used in (summary or {}).values() if isinstance(used, dict))


def does_more(client: Any) -> bool:
    """Return whether message_retrieval does more than to collect the texts of the choices."""
    names = words_in(getattr(type(client), "message_retrieval", None))
    return bool(names - {"choices", "message", "content", "tool_calls", "function_call", *vars(builtins)})


def _selection(manager: Any) -> Iterator[Finding]:
    """Yield that one member spoke again and again, or had nothing to say, or that a group only took turns.

    It takes turns when the replies of its selector name nobody.
    """
    group = group_of(manager)
    empty = Counter(message.get("name") for message in group.messages if message.get("content") == "")
    silent, count = next(iter(empty.most_common(1)), ("", 0))
    if count > 1:
        yield found("silent-member", agent=silent, count=count)
    names = [agent.name for agent in group.agents]
    spoke = [message.get("name") for message in group.messages if message.get("role") != "tool"][1:]
    if not selector_config(manager) or not spoke or spoke[0] not in names:
        return
    last = next((name for name, run in groupby(spoke) if len([*run]) > 2), "")
    if last and last != silent and group.speaker_selection_method == "auto":
        yield found("one-speaker", agent=last)
    if len(names) < 3 or len(spoke) < 2 * len(names):
        return
    first = names.index(spoke[0])
    if spoke == [names[(first + turn) % len(names)] for turn in range(len(spoke))]:
        yield found("in-turn", group=", ".join(names), count=len(spoke))


def _end_of_group(manager: Any) -> Iterator[Finding]:
    """Yield why a group chat went on to its limit, if that can be seen."""
    group = group_of(manager)
    models = {agent.name for agent in group.agents if entries_of(agent)}
    for message, after in zip(group.messages, group.messages[1:], strict=False):
        # A check of people's own is not run: it did not end the chat, if a model or an empty reply came next.
        went_on = after.get("name") in models or not after.get("content")
        if _unseen(message, manager, went_on):
            yield _unseen_end(message, message.get("name"), manager)
            return
    spoke = {message.get("name") for message in group.messages}
    silent = [agent.name for agent in group.agents if agent.name not in spoke]
    if not isinstance(group.max_round, int) or len(group.messages) < group.max_round:
        return
    last = group.messages[-1]
    own_checks = [agent.name for agent in group.agents if ends_at(agent, last) is None]
    if group.max_round == type(group).max_round:
        yield found("default-rounds")
    elif silent and group.speaker_selection_method == "round_robin":  # a selector may leave one out
        yield found("rounds-were-few", rounds=group.max_round, silent=" and ".join(silent))
    elif own_checks and ends_at(manager, last) is not None:
        yield found("check-on-member", agent=own_checks[0])
