"""Checks of lesson 01: the client."""

from checks.exercise import exercise


@exercise("1a")
def check_1a(client_class):
    client = client_class({"model": "echo"})
    messages = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    try:
        response = client.create({"messages": messages})
    except KeyError as error:
        return f"{error} is not always in the params: `params.get({error}, 1)` gives 1 where it is missing."
    if response is ...:
        return ...
    if response is None:
        return "`create` returns nothing: end it with `return response`."
    texts = [choice.message.content for choice in response.choices]
    if not texts:
        return "`choices` is empty. This is mistake one again: append each choice."
    if isinstance(texts[0], dict):
        return 'the content is a whole message: take its text, `["content"]`.'
    if texts[0] == "one":
        return "the last message is the one to echo, whoever wrote it: `messages[-1]`."
    if texts != ["two"]:
        return f"without `n` in the params, expected ['two'], got {texts}."
    texts = [choice.message.content for choice in client.create({"messages": messages, "n": 3}).choices]
    if len(texts) != 3:
        return f"asked for n=3, got {len(texts)} choice(s). Loop `n` times, and return after the loop."
    return None if texts == ["two"] * 3 else f"all three choices should be 'two', they are {texts}."


@exercise("1b")
def check_1b(client_class):
    client = client_class({"model": "counter-7"})
    response = client.create({"messages": [{"role": "user", "content": "count these four words"}]})
    response.cost = 0  # AutoGen stores what `cost` returned before it asks for the usage
    usage = client.get_usage(response)
    if usage is ...:
        return ...
    if not isinstance(usage, dict):
        return f"`get_usage` returns a dict, not {usage!r}."
    expected = {
        "prompt_tokens": 4,
        "completion_tokens": 3,
        "total_tokens": 7,
        "cost": 0,
        "model": "counter-7",
    }
    missing = set(expected) - set(usage)
    if missing:
        return f"missing {sorted(missing)}. With one key missing, AutoGen drops them all without a word."
    wrong = {name: usage[name] for name, value in expected.items() if usage[name] != value}
    return f"expected {expected}, but yours has {wrong}." if wrong else None


@exercise("1c")
def check_1c(client_class):
    from autogen import OpenAIWrapper

    name = client_class.__name__
    missing = [
        n for n in ("create", "message_retrieval", "cost", "get_usage") if not hasattr(client_class, n)
    ]
    if missing:
        return f"{name} has no method {', '.join(missing)}."
    wrapper = OpenAIWrapper(config_list=[{"model": "my-model", "model_client_cls": name}])
    wrapper.register_model_client(client_class)
    client = wrapper._clients[0]
    messages = [{"role": "user", "content": "first"}, {"role": "user", "content": "hello there"}]
    response = client.create({"messages": messages})
    if response is ...:
        return ...
    response.cost = client.cost(response)  # AutoGen's order: `get_usage` may read it
    for method in ("message_retrieval", "cost", "get_usage"):
        if getattr(client, method)(response) in (..., None):
            return f"`create` works; `{method}` returns nothing yet."
    if client.message_retrieval(response) != ["hello there"]:
        return f"`message_retrieval` should return ['hello there'], got {client.message_retrieval(response)}."
    response = wrapper.create(messages=messages)
    if wrapper.actual_usage_summary is None:
        return "AutoGen keeps no bill: one of the five keys is missing in `get_usage`."
    if abs(wrapper.actual_usage_summary["total_cost"] - 0.5) > 1e-9:
        return (
            f"`cost` should be 0.5, the bill says {wrapper.actual_usage_summary['total_cost']}: return 0.5 "
            'in `cost`, and `response.cost` under "cost" in `get_usage`.'
        )
    return None
