"""Lesson 10: its checks accept every right answer, and name each misconception."""

import asyncio
import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import checks
import nbformat
import openai
import pytest
from autogen import UserProxyAgent
from checks.lesson_10 import ANNA, BEN, CLEO

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
CHOICES = {"A": "entry", "B": "client", "C": "client", "D": "entry", "E": "client", "F": "entry"}
FIXED = {**ANNA, "model": "class-model"}
CLEOS = {**FIXED, "max_tokens": 100}


def with_anna(**fields):
    """The three entries of 10b, of which only anna's is not right."""
    return {**FIXED, **fields}, FIXED, CLEOS


def with_cleo(**fields):
    return FIXED, FIXED, {**FIXED, **fields}


def ask(agent, question):
    return agent.generate_reply(messages=[{"role": "user", "content": question}])


# Answers to 10c


def with_threads(agents, question):
    replies = [None] * len(agents)

    def work(index):
        replies[index] = ask(agents[index], question)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(agents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return replies


def mapped(agents, question, threads=5):
    return ThreadPoolExecutor(threads).map(ask, agents, [question] * len(agents))


def submitted(agents, question):
    pool = ThreadPoolExecutor(20)
    return [pool.submit(ask, agent, question) for agent in agents]


def filled(first, second, third):
    """The function of 10c as the lesson has it, its blanks filled in."""
    space = {"ThreadPoolExecutor": ThreadPoolExecutor}
    source = f"""
def ask_all(agents, question):
    messages = [{{"role": "user", "content": question}}]

    def ask(agent):
        return {first}

    with ThreadPoolExecutor(max_workers={second}) as pool:
        return list(pool.map({third}, agents))
"""
    exec(source, space)
    return space["ask_all"]


def three_blanks(agents, question):
    messages = [{"role": "user", "content": question}]

    def ask(agent):
        return ...

    with ThreadPoolExecutor(max_workers=...) as pool:
        return list(pool.map(..., agents, messages))


def one_blank(agents, question):
    with ThreadPoolExecutor(max_workers=...) as pool:
        return list(pool.map(ask, agents))


def in_loop(agents, question):
    async def all_of_them():
        return await asyncio.gather(*[asyncio.to_thread(ask, agent, question) for agent in agents])

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, all_of_them()).result()


async def never_awaited(agents, question):
    return [ask(agent, question) for agent in agents]


# Answers to 10d


def loop(agent, question, tries=5, pause=2.0, failure=openai.APIConnectionError):
    for _ in range(tries):
        try:
            return ask(agent, question)
        except failure:
            time.sleep(pause)
    raise RuntimeError(f"No answer in {tries} tries.")


def counting(agent, question, tries=5, pause=2.0):
    tried = 0
    while True:
        try:
            return ask(agent, question)
        except openai.APIConnectionError as error:
            tried += 1
            if tried == tries:
                raise TimeoutError(f"tried it {tried} times") from error
            time.sleep(pause)


def recursive(agent, question, tries=5, pause=2.0, tried=1):
    try:
        return ask(agent, question)
    except openai.APIError as error:
        if not isinstance(error, openai.APIConnectionError):
            raise
        if tried == tries:
            raise ConnectionError(f"{tries} tries") from None
    time.sleep(pause)
    return recursive(agent, question, tries, pause, tried + 1)


def two_tries_only(agent, question, tries=5, pause=2.0):
    try:
        return ask(agent, question)
    except openai.APIConnectionError:
        time.sleep(pause)
        return ask(agent, question)


def no_import(agent, question, tries=5, pause=2.0):
    try:
        return ask(agent, question)
    except nowhere.APIConnectionError:  # noqa: F821
        time.sleep(pause)


def for_ever(agent, question, tries=5, pause=2.0):
    while True:
        try:
            return ask(agent, question)
        except openai.APIConnectionError:
            time.sleep(pause)


def silent(agent, question, tries=5, pause=2.0):
    with contextlib.suppress(RuntimeError):
        return loop(agent, question, tries, pause)


def vague(agent, question, tries=5, pause=2.0):
    try:
        return loop(agent, question, tries, pause)
    except RuntimeError:
        raise RuntimeError("The server is down.") from None


def last_error(agent, question, tries=5, pause=2.0):
    for attempt in range(tries):
        try:
            return ask(agent, question)
        except openai.APIConnectionError:
            if attempt == tries - 1:
                raise
            time.sleep(pause)
    return None


def swallowed(agent, question, tries=5, pause=2.0):
    try:
        return loop(agent, question, tries, pause)
    except openai.AuthenticationError:
        return "no"


def everything(agent, question, tries=5, pause=2.0):
    return loop(agent, question, tries, pause, Exception)


def asks_on(agent, question, tries=5, pause=2.0):
    return [ask(agent, question) for _ in range(tries)][-1]


def no_reply(agent, question, tries=5, pause=2.0):
    loop(agent, question, tries, pause)


def with_chat(agent, question, tries=5, pause=2.0):
    user = UserProxyAgent("user", human_input_mode="NEVER", code_execution_config=False)
    for _ in range(tries):
        try:
            return user.initiate_chat(agent, message=question, max_turns=1, silent=True).summary
        except openai.APIConnectionError:
            time.sleep(pause)
    raise RuntimeError(f"{tries} tries")


def with_else(agent, question, tries=5, pause=2.0):
    last = None
    for _ in range(tries):
        try:
            reply = ask(agent, question)
        except (openai.APIConnectionError, openai.APITimeoutError) as error:
            last = error
            time.sleep(pause)
        else:
            return reply
    raise RuntimeError("Tried " + str(tries) + " times.") from last


def another_error(agent, question, tries=5, pause=2.0):
    return loop(agent, question, tries, pause, ConnectionError)


def no_return(agent, question, tries=5, pause=2.0):
    for _ in range(tries):
        ask(agent, question)
    raise RuntimeError(f"{tries} tries")


def hint_three(agent, question, tries=5, pause=2.0):
    for _ in range(...):
        ask(agent, question)


def a_generator(agent, question, tries=5, pause=2.0):
    yield loop(agent, question, tries, pause)


async def a_coroutine(agent, question, tries=5, pause=2.0):
    return loop(agent, question, tries, pause)


ANSWERS = [
    ("10a", CHOICES, "right"),
    ("10a", list(CHOICES.values()), "right"),
    ("10a", tuple(CHOICES.values()), "right"),
    ("10a", {letter.lower(): word.upper() for letter, word in CHOICES.items()}, "right"),
    ("10a", {letter: f" {word.title()}" for letter, word in CHOICES.items()}, "right"),
    ("10a", {**CHOICES, "A": "client"}, "A is not a case for a client of your own: Ollama speaks"),
    ("10a", {**CHOICES, "B": "entry"}, "B is not a case for an entry alone: its protocol is not"),
    ("10a", {**CHOICES, "C": "entry"}, "only to be had in your own process"),
    ("10a", {**CHOICES, "D": "client"}, "only base_url changes"),
    ("10a", {**CHOICES, "E": "entry"}, "a test should need no server"),
    ("10a", {**CHOICES, "F": "client", "E": "entry"}, "E is not a case for an entry"),
    ("10a", {**CHOICES, "F": "client"}, "would only repeat AutoGen's"),
    ("10a", {**CHOICES, "F": "server"}, "F is 'server': choose"),
    ("10a", "ABCDEF", "write a dict with the letters A to F"),
    ("10a", ["entry"], "write a dict with the letters A to F"),
    ("10a", {"A": "entry"}, "right so far. Still to go: B, C, D, E, F."),
    ("10a", {"A": "client", "B": ...}, "A is not a case for a client"),
    ("10a", dict.fromkeys("ABCDEF", "entry"), "B is not a case for an entry alone"),
    ("10a", {letter: word == "entry" for letter, word in CHOICES.items()}, 'A is True: choose "entry"'),
    ("10a", {**CHOICES, "G": "entry"}, "write a dict with the letters A to F"),
    ("10a", {"entry": "ADF", "client": "BCE"}, "write a dict with the letters A to F"),
    ("10a", {**CHOICES, "B": "a client"}, "B is 'a client': choose"),
    ("10a", dict.fromkeys("ABCDEF", ...), "not started"),
    ("10a", {**CHOICES, "F": ...}, "right so far. Still to go: F."),
    ("10a", {**CHOICES, "F": None}, "right so far. Still to go: F."),
    ("10b", (FIXED, FIXED, CLEOS), "right"),
    ("10b", [FIXED, {**FIXED, "temperature": 0}, CLEOS], "right"),
    ("10b", iter((FIXED, FIXED, {**CLEOS, "max_tokens": 99})), "right"),
    (
        "10b",
        (FIXED, {**FIXED, "base_url": "http://teacher:8000/v1/"}, {**FIXED, "max_completion_tokens": 100}),
        "right",
    ),
    ("10b", {"anna": FIXED, "ben": {**FIXED, "temperature": None, "timeout": 60}, "cleo": CLEOS}, "right"),
    ("10b", {"Cleo": CLEOS, "Anna": FIXED, "Ben": FIXED}, "right"),
    ("10b", with_cleo(), "cleo: the server answers her now, but nothing limits her replies"),
    ("10b", with_cleo(max_tokens=128), "cleo: she wants at most 100 tokens, and 128 are allowed"),
    ("10b", with_cleo(max_tokens="100"), 'cleo: the server says: 400 "max_tokens" has to be a whole'),
    ("10b", with_cleo(params={"max_tokens": 100}), "unexpected keyword argument 'params'"),
    ("10b", with_anna(base_url="http://teacher:80000/v1"), "anna: APIConnectionError: Connection error."),
    ("10b", with_anna(base_url=None), "anna: there is no base_url"),
    ("10b", with_anna(base_url="http://teacher:8000/v1/chat/completions"), "has to end in /v1"),
    ("10b", (FIXED, None, CLEOS), "ben: an entry is a dict, not None"),
    ("10b", FIXED, "hand over the three"),
    ("10b", 3, "hand over the three"),
    ("10b", with_anna(model="SmolLM2"), "anna: the server says: 404 There is no model 'SmolLM2' here"),
    ("10b", with_anna(base_url="http://teacher:8000"), 'anna: NotFoundError 404: "base_url"'),
    ("10b", with_anna(base_url="http://teacher:8000/v2"), 'anna: NotFoundError 404: "base_url"'),
    ("10b", with_anna(base_url="http://localhost:8000/v1"), "anna: APIConnectionError: Connection error."),
    ("10b", with_anna(logprobs=True), 'anna: the server says: 400 This server can\'t do "logprobs"'),
    ("10b", with_anna(temperature=0.7, stop=["."]), "right"),
    ("10b", with_anna(max_tokens=1000), 'anna: the server says: 400 "max_tokens" has to be a whole'),
    ("10b", with_anna(n=99), 'anna: the server says: 400 "n" has to be'),
    ("10b", with_anna(api_key="sk-mine"), "anna: AuthenticationError 401"),
    ("10b", with_anna(api_key=None), "anna: OpenAIError: Missing credentials"),
    ("10b", with_anna(params={}), "anna: TypeError: Completions.create() got an unexpected"),
    ("10b", with_anna(max_length=100), "what is the limit of a reply called there?"),
    ("10b", with_anna(model_client_cls="MyClient"), "anna: it names a class now"),
    ("10b", (FIXED, BEN, CLEO), "ben: NotFoundError 404"),
    ("10b", (FIXED, {**BEN, "base_url": FIXED["base_url"]}, CLEO), 'ben: the server says: 400 "max_tokens"'),
    ("10b", (FIXED, FIXED, CLEO), "cleo: TypeError"),
    ("10b", (FIXED, [FIXED], CLEO), "ben: an entry is a dict"),
    ("10b", (FIXED, FIXED), "hand over the three"),
    ("10b", (ANNA, BEN, CLEO), "not started"),
    ("10c", with_threads, "right"),
    ("10c", lambda agents, question: [future.result() for future in submitted(agents, question)], "right"),
    ("10c", lambda agents, question: tuple(mapped(agents, question)), "right"),
    ("10c", lambda agents, question: [ask(agent, question) for agent in agents], "did not answer at once"),
    ("10c", lambda agents, question: list(mapped(agents, question, 4)), "one thread for each is needed"),
    (
        "10c",
        lambda agents, question: [future.result() for future in as_completed(submitted(agents, question))],
        "it begins with 'eve says Paris.'. `pool.map` keeps it",
    ),
    ("10c", mapped, "a generator came back, not a list"),
    ("10c", submitted, "those are futures"),
    ("10c", lambda agents, question: list(mapped(agents, question)) and None, "it returns nothing"),
    (
        "10c",
        lambda agents, question: dict(zip("abcde", mapped(agents, question), strict=True)),
        "a dict came back",
    ),
    ("10c", lambda agents, question: list(mapped(agents, "Hello!")), "were asked 'Hello!', not the question"),
    ("10c", lambda agents, question: [agent.name for agent in agents], "0 of the 5 agents were asked"),
    ("10c", lambda agents, question: [agent.generate_reply for agent in agents], "those are functions"),
    ("10c", lambda agents, question: [*mapped(agents, question), "Bye."], "the replies should be"),
    ("10c", filled("agent.generate_reply(messages=messages)", "len(agents)", "ask"), "right"),
    (
        "10c",
        filled("agent.generate_reply(messages=messages)", "len(agents)", "ask()"),
        "the third blank: `ask`",
    ),
    ("10c", filled("agent.generate_reply(messages)", "len(agents)", "ask(agent)"), "the third blank: `ask`"),
    (
        "10c",
        filled("agent.generate_reply(messages=messages)", "agents", "ask"),
        "the second blank is a number",
    ),
    (
        "10c",
        filled("agent.generate_reply(messages=messages)", "3", "'ask'"),
        "the third blank is the function",
    ),
    ("10c", in_loop, "right"),
    ("10c", filled("ask_it(agent)", "9", "lambda agent: agent.generate_reply(messages)"), "right"),
    ("10c", filled("agent.generate(messages)", "3", "ask"), "raised AttributeError"),
    ("10c", filled("print(agent.generate_reply(messages))", "5", "ask"), "all replies are None"),
    ("10c", filled("agent.generate_reply(messages=question)", "5", "ask"), "a list with a dict"),
    ("10c", filled("agent.generate_reply()", "5", "ask"), "a list with a dict"),
    ("10c", filled("agents.generate_reply(messages)", "5", "ask"), "one call is for one `agent`"),
    ("10c", filled("agent.initiate_chat(message=question)", "5", "ask"), "comes from `generate_reply`"),
    ("10c", filled("agent.generate_reply(messages)", "'len(agents)'", "ask"), "the second blank is a number"),
    ("10c", filled("agent.generate_reply(messages)", "5", "..."), "1 of the three blanks still to go"),
    ("10c", never_awaited, "begin the function with `def`"),
    ("10c", lambda agents: [], "it takes two arguments"),
    ("10c", ThreadPoolExecutor, "hand over the function itself"),
    ("10c", one_blank, "1 of the three blanks still to go"),
    ("10c", ["Paris."], "hand over the function itself"),
    ("10c", three_blanks, "not started"),
    ("10d", loop, "right"),
    ("10d", counting, "right"),
    ("10d", recursive, "right"),
    ("10d", with_chat, "right"),
    ("10d", with_else, "right"),
    ("10d", another_error, "the first failure comes out of it"),
    ("10d", no_return, "the agent answered, and still it raises RuntimeError"),
    ("10d", hint_three, "there are still dots in it"),
    ("10d", a_generator, "write a plain function"),
    ("10d", a_coroutine, "write a plain function"),
    ("10d", lambda agent, question, tries, pause: agent.generate_reply(question), "is a list with a dict"),
    ("10d", lambda agent, question, tries, pause: ask(agent, question), "the first failure comes out"),
    ("10d", two_tries_only, "the third try had an answer, but try 2 ended in APIConnectionError"),
    ("10d", no_import, "try 1 ended in NameError: name 'nowhere' is not defined"),
    ("10d", for_ever, "after 20 tries it still goes on"),
    ("10d", lambda agent, question, tries, pause: loop(agent, question, tries, 0), "wait `pause` seconds"),
    ("10d", lambda agent, question, tries, pause: loop(agent, question, tries, 0.6), "as `pause` says"),
    ("10d", lambda agent, question, tries, pause: loop(agent, question, tries + 1, 0.05), "asked 5 times"),
    ("10d", lambda agent, question, tries, pause: loop(agent, question, 5, pause), "asked 5 times"),
    ("10d", silent, "None came back, as if all was well"),
    ("10d", vague, "how often it was tried. Yours: RuntimeError: The server is down."),
    ("10d", last_error, "in the end it raises APIConnectionError: Connection error."),
    ("10d", everything, "a wrong key was tried 3 times"),
    ("10d", swallowed, "refused the key, and 'no' came back"),
    ("10d", asks_on, "asked 3 times: return its reply"),
    ("10d", no_reply, "the agent said 'Paris.', and None came back"),
    ("10d", lambda agent, question, tries, pause: loop(agent, "Hello!"), "asked 'Hello!', not the question"),
    ("10d", lambda agent, question, tries, pause: agent.ask(), "and still it raises AttributeError"),
    ("10d", lambda agent, question, tries, pause: "Paris.", "the agent was never asked"),
    ("10d", lambda agent, question: "Paris.", "it takes four arguments"),
    ("10d", "ask_patiently", "write a function"),
    ("10d", lambda agent, question, tries, pause: ..., "not started"),
]


@pytest.mark.parametrize(("exercise", "answer", "expected"), ANSWERS)
def test_each_answer_gets_its_verdict(check_says, exercise, answer, expected):
    check_says(exercise, answer, expected)


def test_the_stubs_are_those_of_the_lesson(check_says):
    stubs = {}
    for cell in nbformat.read(NOTEBOOKS / "10_one_model_for_the_class.ipynb", as_version=4).cells:
        if cell.source.startswith(("anna = ", "def ask_all")):
            exec(cell.source, stubs)
    check_says("10b", tuple(stubs[name] for name in ("anna", "ben", "cleo")), "not started")
    check_says("10c", stubs["ask_all"], "not started")


def test_the_checks_are_instant():
    begin = time.perf_counter()
    checks.check_10b((FIXED, FIXED, CLEOS))
    checks.check_10c(with_threads)
    checks.check_10d(loop)
    assert time.perf_counter() - begin < 2
