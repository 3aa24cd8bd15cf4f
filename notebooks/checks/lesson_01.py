"""Checks of lesson 01: the client."""

import contextlib
import inspect

from checks.exercise import exercise, prediction

predicted_1_two_answers = prediction(
    "b",
    a="`n` is read and the loop runs twice, but no line keeps what it builds.",
    b="each `choice` is built, and dropped when the loop goes on: nothing is appended to `response.choices`.",
    c="an empty list is a list: both calls are content with it. The error comes later, in an agent.",
)
predicted_1_four_keys = prediction(
    "c",
    a="AutoGen looks for the five keys and gives up quietly: it raises nothing, and logs nothing.",
    b="it takes all five keys or none, and does not fill in what is missing.",
    c="with one key missing, AutoGen drops all of them, without a word.",
)
predicted_1_shout = prediction(
    "a",
    a="AutoGen 0.14 calls `message_retrieval` for a response that has an `id`, and else reads the choices.",
    b="AutoGen wants the method to be there, but calls it only for a response that has an `id`.",
    c="it does so for a response without an `id`, as the first one is.",
)


@exercise("1a")
def check_1a(order):
    if isinstance(order, (set, frozenset)):
        return 'a set { } has no order: write a text or a list, for example `order = list("ABCDEF")`.'
    if not isinstance(order, (str, list, tuple)):
        return 'write the letters A to F once each, for example `order = list("ABCDEF")`.'
    letters = [letter for letter in "".join(map(str, order)).upper() if letter.isalnum()]
    if sorted(letters) != list("ABCDEF"):
        return "use each of the letters A to F once."
    place = letters.index
    if letters[-1] != "A":
        return "A ends the method: what stands below a `return` never runs. It comes last, after the loop."
    if place("D") > place("C"):
        return "D makes the response with its empty list: it comes before the loop (C) that fills it."
    if place("F") > place("C"):
        return "F reads the text that the loop needs: it comes before the `for` (C)."
    if place("C") > min(place("B"), place("E")):
        return "B and E are indented: they stand below the `for` (C)."
    if place("B") < place("E"):
        return "B appends the message that E makes: E comes first."
    return None


@exercise("1b")
def check_1b(client_class):
    if not isinstance(client_class, type):
        return THE_CLASS.format("check_1b(WordCounter)")
    if client_class.__init__ is object.__init__:
        return NO_CONSTRUCTOR.format("WordCounter")
    for model, text in (("counter-7", "count these four words"), ("counter-8", "two words")):
        client, words = client_class({"model": model}), len(text.split())
        response = client.create({"messages": [{"role": "user", "content": text}]})
        response.cost = client.cost(response)  # as AutoGen does before it asks for the usage
        if _mistake_two(client_class):
            return MISTAKE_TWO
        try:
            usage = client.get_usage(response)
        except (NameError, AttributeError) as error:
            if error.name not in ELSEWHERE:
                raise
            return ELSEWHERE[error.name]
        if usage is ...:
            return ...
        if not isinstance(usage, dict):
            return f"`get_usage` returns a dict, {{...}}, not {usage!r}."
        if any(value is ... for value in usage.values()):
            return "there are still dots in it: put something in the place of each `...`."
        expected = {
            "prompt_tokens": (words, "`response.prompt_words`"),
            "completion_tokens": (3, "`completion_words`"),
            "total_tokens": (words + 3, "the sum of the other two"),
            "cost": (response.cost, "`response.cost`"),
            "model": (model, "`response.model`"),
        }
        missing = [name for name in expected if name not in usage]
        if missing:
            return f"missing {missing}. With one key missing, AutoGen drops them all without a word."
        for name, (value, source) in expected.items():
            if usage[name] != value:
                asked = "" if words == 4 else f"asked {text!r} of the model {model}, "
                return f'{asked}"{name}" should be {value!r}: {source}. Yours is {usage[name]!r}.'
    return None


@exercise("1c")
def check_1c(client_class):
    if not isinstance(client_class, type):
        return THE_CLASS.format("check_1c(LoudClient)")
    if client_class.__init__ is object.__init__:
        return NO_CONSTRUCTOR.format("LoudClient")
    if name := _without_self(client_class):
        return f"`{name}` has one parameter, and gets two: the first one is `self`."
    client = client_class({"model": "my-model"})
    messages = [{"role": "user", "content": "first"}, {"role": "assistant", "content": "hello there"}]
    try:
        response = client.create({"messages": messages})
    except (KeyError, NameError) as error:
        name = error.name if isinstance(error, NameError) else error.args[0]
        if isinstance(name, int):
            return ONE_DICT
        if name != "n":
            raise
        return '`n` is in the params, but not always: `params.get("n", 1)` gives 1 where it is missing.'
    if response is ...:
        return ...
    three = client.create({"messages": messages, "n": 3})
    if three is response and hasattr(response, "choices"):
        return SAME_RESPONSE.format("SimpleNamespace(choices=[], model=self.model)")
    mistake = _loud(response, 1) or _loud(three, 3)
    if mistake:
        return mistake
    if _mistake_two(client_class):
        return MISTAKE_TWO
    response.cost = client.cost(response)  # AutoGen's order: `get_usage` may read it
    for method in ("message_retrieval", "cost", "get_usage"):
        if getattr(client, method)(response) in (..., None):
            return f"`create` works; `{method}` returns nothing yet."
    texts = client.message_retrieval(response)
    if isinstance(texts, str):
        return "`message_retrieval` returns a text: it should be a list of texts, [...], even of one."
    if texts != ["HELLO THERE"]:
        return f"`message_retrieval` should return the list ['HELLO THERE'], it returns {texts!r}."
    if response.cost != 0.5:
        return f"`cost` should return 0.5, it returns {response.cost!r}."
    if (dear := client.cost(three)) != 0.5:
        return f"every call costs 0.5, however many choices it has: with n=3, `cost` returns {dear!r}."
    summary = _ask_through_autogen(client_class, messages)[1]
    if summary is None:
        return "AutoGen keeps no bill: one of the five keys is missing in `get_usage`. This is mistake three."
    if abs(summary["total_cost"] - 0.5) > 1e-9:
        return (
            f"`cost` returns 0.5, but the bill says {summary['total_cost']}: return `response.cost` under "
            '"cost" in `get_usage`.'
        )
    return None


@exercise("1d")
def check_1d(client_class):
    from kit import check_model_client

    if not isinstance(client_class, type):
        return THE_CLASS.format("check_1d(MyClient)")
    if client_class.__bases__ == (object,) and not any(
        callable(value) for value in vars(client_class).values()
    ):
        return ...
    called = []

    def message_retrieval(self, response):
        called.append(response)
        return super(recorded, self).message_retrieval(response)

    report = check_model_client(client_class, timeout=5)
    findings = [found for found in report.findings if not found.warning or found.code == "response-model"]
    kind = _kind_of_content(client_class) if findings else ""
    if kind == "int":
        return (
            "the content of your message is an int: AutoGen wants text. Put `str(...)` around it in `create`."
        )
    if findings and ("method" in kind or "method' has no len()" in findings[0].message):
        return NO_BRACKETS
    if findings and "KeyError: -1" in findings[0].message:
        return ONE_DICT
    if _same_response(client_class):
        return SAME_RESPONSE.format('SimpleNamespace(id="1", choices=[], model=self.model)')
    if findings and findings[0].code == "no-content":
        return (
            "a choice needs two shells around the text: "
            "`SimpleNamespace(message=SimpleNamespace(content=text))`."
        )
    if findings and findings[0].code == "response-model":
        return "the response names no model: give it a `model=`, the one that the constructor got."
    if findings:
        return f"{findings[0].message} Fix: {findings[0].fix}"
    recorded = type(client_class.__name__, (client_class,), {"message_retrieval": message_retrieval})
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello there"}]
    texts, summary = _ask_through_autogen(recorded, messages)
    if texts[0] == "4":
        return "it counts the words of all messages: the last one is `messages[-1]`."
    if texts[0] == "11":
        return "it counts letters: `text.split()` makes a list of words."
    if texts[0] != "2":
        return f"asked 'hello there', the reply should be '2', it is {texts[0]!r}."
    if not called:
        return "AutoGen never called your `message_retrieval`: give the response an `id`."
    if summary is None:
        return "AutoGen keeps no bill: return all five keys in `get_usage`. This is mistake three."
    if summary["total_cost"] != 0:
        return f"it should cost 0, the bill says {summary['total_cost']}."
    return None


SAME_RESPONSE = (
    "`create` returns the same response at every call. Its first line must make a new one: `response = {}`."
)
ONE_DICT = (
    "`create` gets one dict, the params, whatever you call it: the messages are in it, under the name "
    '"messages".'
)
NO_BRACKETS = "without ( ) behind its name a method is not called: `text.upper()`, `text.split()`."
THE_CLASS = "hand over the class itself, without quotes and without ( ) after its name: `{}`."
NO_CONSTRUCTOR = "it has no constructor: write `class {}(EchoClient):`, and it inherits one."
ELSEWHERE = {
    "prompt_words": "`prompt_words` is in the response: `response.prompt_words`.",
    "completion_words": "`completion_words` is not in the response: the line above the `return` makes it.",
    "self": "`get_usage` has no `self`: what you need is in the response, `response.model` for example.",
    "params": "`get_usage` does not get the params: `response.prompt_words` has what went in.",
    "model": "`model` is in the response: `response.model`.",
    "cost": "`cost` is in the response: `response.cost`.",
}
MISTAKE_TWO = "`get_usage` has one parameter, and gets two. This is mistake two: `@staticmethod`."


def _mistake_two(client_class):
    """Return whether `get_usage` has the response as its one parameter, and no `@staticmethod`."""
    return _has_one_parameter(client_class, "get_usage")


def _without_self(client_class):
    """Return which of two methods lacks `self`, "" if none does."""
    names = [name for name in ("create", "cost") if _has_one_parameter(client_class, name)]
    return "".join(names[:1])


def _has_one_parameter(client_class, name):
    """Return whether a method that is called on an object has one parameter."""
    method = inspect.getattr_static(client_class, name, None)
    if not inspect.isfunction(method):
        return False
    kinds = [parameter.kind for parameter in inspect.signature(method).parameters.values()]
    return kinds == [inspect.Parameter.POSITIONAL_OR_KEYWORD]


def _same_response(client_class):
    """Return whether two calls of `create` return one object, as with a `response` from another cell."""
    with contextlib.suppress(Exception):
        client = client_class({"model": "my-model"})
        first, second = (client.create({"messages": [{"role": "user", "content": text}]}) for text in "ab")
        return first is second and hasattr(first, "choices")
    return False


def _kind_of_content(client_class):
    """Return the name of the type of what `create` puts into its message, "" if it makes none."""
    with contextlib.suppress(Exception):
        params = {"messages": [{"role": "user", "content": "hello there"}]}
        response = client_class({"model": "my-model"}).create(params)
        return type(response.choices[0].message.content).__name__
    return ""


def _loud(response, n):
    """Return what is wrong with the response to "hello there" in which `n` choices should shout it."""
    if response is None:
        return "`create` returns nothing: end it with `return response`."
    if not isinstance(getattr(response, "choices", None), (list, tuple)):
        return (
            f"`create` should return a response with a list `choices`, it returns {type(response).__name__}."
        )
    if any(isinstance(choice, str) for choice in response.choices):
        return "a choice is more than a text: AutoGen reads it at `choice.message.content`."
    if not all(hasattr(choice, "message") for choice in response.choices):
        return "a choice has no `message`: two shells around the text, the choice and in it the message."
    texts = [choice.message.content for choice in response.choices]
    if not texts:
        return "`choices` is empty. This is mistake one: append each choice."
    if isinstance(texts[0], dict):
        return 'the content is a whole message: take its text, `["content"]`.'
    if callable(texts[0]):
        return NO_BRACKETS
    if str(texts[0]).lower() == "first":
        return "the last message is the one to say again, whoever wrote it: `messages[-1]`."
    if texts[0] == "hello there":
        return "right text, but in small letters: `text.upper()` returns it in capitals."
    if len(texts) != n:
        asked = f"asked for n={n}" if n > 1 else "without `n` in the params"
        return f"{asked}, the response has {len(texts)} choice(s). Loop `n` times, and return after the loop."
    return None if texts == ["HELLO THERE"] * n else f"expected {['HELLO THERE'] * n}, got {texts}."


def _ask_through_autogen(client_class, messages):
    """Return the texts and the bill that AutoGen gets from a client."""
    from autogen import OpenAIWrapper

    entry = {"model": "my-model", "model_client_cls": client_class.__name__}
    wrapper = OpenAIWrapper(config_list=[entry])
    wrapper.register_model_client(client_class)
    response = wrapper.create(messages=messages)
    return wrapper.extract_text_or_completion_object(response), wrapper.actual_usage_summary
