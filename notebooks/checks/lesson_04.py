"""Checks of lesson 04: a real model."""

import copy
import uuid

from checks.exercise import exercise


def _choices(entry, **params):
    """Return the response of the real model for an entry, or what is wrong with the entry."""
    from kit import HuggingFaceModelClient
    from kit.config_list import check_config_list

    problems = check_config_list([entry])
    if problems:
        return None, str(problems[0])
    if entry.get("model_client_cls") != "HuggingFaceModelClient":
        return None, "the entry should still name the class HuggingFaceModelClient."
    messages = [{"role": "user", "content": "Tell me about the sea."}]
    return HuggingFaceModelClient(entry).create({"messages": messages, **params}), None


@exercise("4a")
def check_4a(entry):
    response, mistake = _choices(entry)
    if mistake:
        return mistake
    tokens = response.usage.completion_tokens
    return None if tokens <= 10 else f"asked about the sea, the model wrote {tokens} new tokens."


@exercise("4b")
def check_4b(entry):
    response, mistake = _choices(entry, max_tokens=15)
    if mistake:
        return mistake
    texts = [choice.message.content for choice in response.choices]
    if len(texts) != 3:
        return f"asked about the sea, it gave {len(texts)} choice(s), not 3."
    if len(set(texts)) < 3:
        return "some of the three choices are the same text: allow more chance."
    return None


@exercise("4c")
def check_4c(with_time):
    from kit import HuggingFaceModelClient, local_model

    client = HuggingFaceModelClient({"model": local_model(), "device": "cpu", "max_tokens": 1})
    rules = "You are a guide at the harbour. " + "Answer kindly, in one short sentence. " * 30
    chat = [{"role": "system", "content": rules}, {"role": "user", "content": "When is the next ferry?"}]
    longer = [*chat, {"role": "assistant", "content": "At nine."}, {"role": "user", "content": "And then?"}]
    for messages in (chat, longer):
        now = f"{uuid.uuid4().hex[:8]} o'clock"  # a time that no earlier run of this check has used
        timed = with_time(copy.deepcopy(messages), now)
        texts = [str(message["content"]) for message in timed]
        if now not in " ".join(texts):
            return f"asked to put in {now!r}, it returned messages without that text."
        if any(not any(message["content"] in text for text in texts) for message in messages):
            return "a message of the chat got lost: keep them all."
        usage = client.create({"messages": timed}).usage
    share = usage.prompt_tokens_details.cached_tokens / usage.prompt_tokens
    if share < 0.8:
        return f"only {share:.0%} of the second prompt came out of the cache: what changes must stand last."
    return None
