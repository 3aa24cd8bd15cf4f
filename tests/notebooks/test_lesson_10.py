"""Lesson 10: its predictions and checks accept every right answer, and name each misconception."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import nbformat
import openai
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))
import checks  # noqa: E402
from checks import lesson_10  # noqa: E402


def verdict(capsys, number, answer):
    getattr(checks, f"check_{number}")(answer)
    return capsys.readouterr().out


CHOICES = {"A": "entry", "B": "client", "C": "client", "D": "entry", "E": "client", "F": "entry"}


def stub(agents, question):
    messages = [{"role": "user", "content": question}]

    def ask(agent):
        return ...

    with ThreadPoolExecutor(max_workers=...) as pool:
        return list(pool.map(..., agents, messages))


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("10a", ...),
        ("10a", None),
        ("10a", dict.fromkeys("ABCDEF", ...)),
        ("10a", {**CHOICES, "F": ...}),
        ("10b", (lesson_10.ANNA, lesson_10.BEN, lesson_10.CLEO)),
        ("10c", ...),
        ("10c", stub),
        ("10d", ...),
        ("10d", lambda agent, question, tries, pause: ...),
    ],
)
def test_an_exercise_that_was_not_started_is_no_mistake(capsys, number, answer):
    assert verdict(capsys, number, answer).startswith(f"○ {number}: not solved yet")


def test_the_stubs_are_those_of_the_lesson(capsys):
    cells = nbformat.read(NOTEBOOKS / "10_one_model_for_the_class.ipynb", as_version=4).cells
    stubs = {}
    for cell in cells:
        if cell.source.startswith(("anna = ", "def ask_all")):
            exec(cell.source, stubs)
    assert "not solved yet" in verdict(capsys, "10b", tuple(stubs[name] for name in ("anna", "ben", "cleo")))
    assert "not solved yet" in verdict(capsys, "10c", stubs["ask_all"])


# 10a ----------------------------------------------------------------------------------------------


def test_10a_accepts_the_right_choices_however_they_are_written(capsys):
    assert verdict(capsys, "10a", CHOICES) == "✔ 10a: right!\n"
    assert "right!" in verdict(
        capsys, "10a", {letter: f" {word.title()}" for letter, word in CHOICES.items()}
    )


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"A": "client"}, "A is no case for a client of your own: Ollama speaks"),
        ({"B": "entry"}, "B is no case for an entry alone: its protocol is not OpenAI's"),
        ({"C": "entry"}, "only to be had in your own process"),
        ({"D": "client"}, "only base_url changes"),
        ({"E": "entry"}, "a test should need no server"),
        ({"F": "client", "E": "entry"}, "E is no case for an entry"),
        ({"F": "client"}, "would only repeat AutoGen's"),
        ({"F": "server"}, "F is 'server': choose"),
    ],
)
def test_10a_explains_each_wrong_choice(capsys, wrong, why):
    out = verdict(capsys, "10a", {**CHOICES, **wrong})
    assert out.startswith("✘ 10a: ") and why in out


@pytest.mark.parametrize("answer", ["ABCDEF", ["entry"], {"A": "entry"}])
def test_10a_wants_a_dict_of_six(capsys, answer):
    assert "write a dict with the letters A to F" in verdict(capsys, "10a", answer)


# 10b ----------------------------------------------------------------------------------------------

FIXED = {**lesson_10.ANNA, "model": "class-model"}


@pytest.mark.parametrize(
    "entries",
    [
        (FIXED, FIXED, {**FIXED, "max_tokens": 100}),
        [FIXED, {**FIXED, "temperature": 0}, FIXED],
        (FIXED, {**FIXED, "base_url": "http://teacher:8000/v1/"}, {**FIXED, "max_completion_tokens": 100}),
        {"anna": FIXED, "ben": {**FIXED, "temperature": None, "timeout": 60}, "cleo": FIXED},
    ],
)
def test_10b_accepts_every_entry_that_such_a_server_would(capsys, entries):
    assert verdict(capsys, "10b", entries) == "✔ 10b: right!\n"


@pytest.mark.parametrize(
    ("anna", "why"),
    [
        ({"model": "SmolLM2"}, "anna: the server says: 404 There is no model 'SmolLM2' here"),
        ({"base_url": "http://teacher:8000"}, '404: "base_url" has to end in /v1'),
        ({"base_url": "http://teacher:8000/v2"}, '404: "base_url" has to end in /v1'),
        ({"base_url": "http://localhost:8000/v1"}, "Connection error. The server of the class is at http://"),
        ({"temperature": 0.7}, '400 "temperature" is 0 for everybody here'),
        ({"max_tokens": 1000}, '"max_tokens" has to be a whole number from 1 to 256'),
        ({"stop": ["."]}, 'This server can\'t do "stop"'),
        ({"api_key": "sk-mine"}, "AuthenticationError 401"),
        ({"api_key": None}, "Missing credentials"),
        ({"params": {}}, "unexpected keyword argument 'params'"),
        ({"max_length": 100}, "what is the limit of a reply called there?"),
        ({"model_client_cls": "MyClient"}, "This server needs none"),
    ],
)
def test_10b_says_what_the_server_would_say(capsys, anna, why):
    out = verdict(capsys, "10b", ({**FIXED, **anna}, FIXED, FIXED))
    assert out.startswith("✘ 10b: anna: ") and why in out, out


def test_10b_names_whose_entry_it_is_one_mistake_after_the_other(capsys):
    ben, cleo = lesson_10.BEN, lesson_10.CLEO
    assert "ben: NotFoundError 404" in verdict(capsys, "10b", (FIXED, ben, cleo))
    ben = {**ben, "base_url": FIXED["base_url"]}
    assert 'ben: the server says: 400 "temperature"' in verdict(capsys, "10b", (FIXED, ben, cleo))
    assert "cleo: TypeError" in verdict(capsys, "10b", (FIXED, FIXED, cleo))
    assert "an entry is a dict" in verdict(capsys, "10b", (FIXED, [FIXED], cleo))
    assert "hand over the three" in verdict(capsys, "10b", (FIXED, FIXED))


# 10c ----------------------------------------------------------------------------------------------


def ask(agent, question):
    return agent.generate_reply(messages=[{"role": "user", "content": question}])


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


def with_futures(agents, question):
    with ThreadPoolExecutor(20) as pool:
        return [future.result() for future in [pool.submit(ask, agent, question) for agent in agents]]


def with_map(agents, question):
    with ThreadPoolExecutor(len(agents)) as pool:
        return tuple(pool.map(lambda agent: ask(agent, question), agents))


@pytest.mark.parametrize("answer", [with_threads, with_futures, with_map])
def test_10c_accepts_threads_futures_and_map(capsys, answer):
    assert verdict(capsys, "10c", answer) == "✔ 10c: right!\n"


def test_10c_names_what_is_wrong(capsys):
    def in_turn(agents, question):
        return [ask(agent, question) for agent in agents]

    def two_threads(agents, question):
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(ask, agents, [question] * len(agents)))

    def as_they_come(agents, question):
        with ThreadPoolExecutor(3) as pool:
            done = as_completed([pool.submit(ask, agent, question) for agent in agents])
            return [future.result() for future in done]

    def generator(agents, question):
        with ThreadPoolExecutor(3) as pool:
            return pool.map(ask, agents, [question] * len(agents))

    def futures(agents, question):
        with ThreadPoolExecutor(3) as pool:
            return [pool.submit(ask, agent, question) for agent in agents]

    def nothing(agents, question):
        with_map(agents, question)

    def named(agents, question):
        return dict(zip([agent.name for agent in agents], with_map(agents, question), strict=True))

    def other_question(agents, question):
        return with_map(agents, "Hello!")

    def never_asked(agents, question):
        return [agent.name for agent in agents]

    def methods(agents, question):
        return [agent.generate_reply for agent in agents]

    def doubled(agents, question):
        return [*with_map(agents, question), "Bye."]

    def one_blank_left(agents, question):
        with ThreadPoolExecutor(max_workers=...) as pool:
            return list(pool.map(ask, agents))

    for answer, why in [
        (in_turn, "did not answer at once"),
        (two_threads, "one thread for each is needed"),
        (as_they_come, "it begins with 'cleo says Paris.'. `pool.map` keeps it"),
        (generator, "a generator came back, not a list"),
        (futures, "those are futures"),
        (nothing, "it returns nothing"),
        (named, "a dict came back"),
        (other_question, "were asked 'Hello!', not the question"),
        (never_asked, "0 of the 3 agents were asked"),
        (methods, "those are functions"),
        (doubled, "the replies should be"),
        (one_blank_left, "1 of the three blanks still to go"),
        (["Paris."], "hand over the function itself"),
    ]:
        out = verdict(capsys, "10c", answer)
        assert out.startswith("✘ 10c: ") and why in out, out


# 10d ----------------------------------------------------------------------------------------------


def loop(agent, question, tries=5, pause=2.0):
    for _ in range(tries):
        try:
            return ask(agent, question)
        except openai.APIConnectionError:
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


@pytest.mark.parametrize("answer", [loop, counting, recursive])
def test_10d_accepts_loops_and_recursion(capsys, answer):
    assert verdict(capsys, "10d", answer) == "✔ 10d: right!\n"


def test_10d_names_what_is_wrong(capsys):
    def not_caught(agent, question, tries=5, pause=2.0):
        return ask(agent, question)

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

    def no_pause(agent, question, tries=5, pause=2.0):
        return loop(agent, question, tries, 0)

    def own_pause(agent, question, tries=5, pause=2.0):
        return loop(agent, question, tries, 0.6)

    def one_too_many(agent, question, tries=5, pause=2.0):
        return loop(agent, question, tries + 1, pause)

    def five(agent, question, tries=5, pause=2.0):
        return loop(agent, question, 5, pause)

    def silent(agent, question, tries=5, pause=2.0):
        for _ in range(tries):
            try:
                return ask(agent, question)
            except openai.APIConnectionError:
                time.sleep(pause)
        return None

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

    def everything(agent, question, tries=5, pause=2.0):
        for _ in range(tries):
            try:
                return ask(agent, question)
            except Exception:
                time.sleep(pause)
        raise RuntimeError(f"No answer in {tries} tries.")

    def swallowed(agent, question, tries=5, pause=2.0):
        try:
            return loop(agent, question, tries, pause)
        except openai.AuthenticationError:
            return "no"

    def asks_on(agent, question, tries=5, pause=2.0):
        return [ask(agent, question) for _ in range(tries)][-1]

    def no_reply(agent, question, tries=5, pause=2.0):
        loop(agent, question, tries, pause)

    def other_question(agent, question, tries=5, pause=2.0):
        return loop(agent, "Hello!", tries, pause)

    def broken(agent, question, tries=5, pause=2.0):
        return agent.ask(question)

    for answer, why in [
        (not_caught, "the first failure comes out of it"),
        (
            two_tries_only,
            "the third try had an answer, but try 2 ended in APIConnectionError: Connection error.",
        ),
        (no_import, "try 1 ended in NameError: name 'nowhere' is not defined"),
        (for_ever, "after 20 tries it still goes on"),
        (no_pause, "wait `pause` seconds after a failure"),
        (own_pause, "sleep as long as `pause` says"),
        (one_too_many, "asked 4 times in all, it was asked 5 times"),
        (five, "asked 4 times in all, it was asked 5 times"),
        (silent, "None came back, as if all was well"),
        (vague, "how often it was tried. Yours: RuntimeError: The server is down."),
        (last_error, "in the end it raises APIConnectionError: Connection error."),
        (everything, "a wrong key was tried 3 times"),
        (swallowed, "refused the key, and 'no' came back"),
        (asks_on, "asked 3 times: return its reply"),
        (no_reply, "the agent said 'Paris.', and None came back"),
        (other_question, "asked 'Hello!', not the question"),
        (broken, "the server is up, and still it raises AttributeError"),
        (lambda agent, question, tries, pause: "Paris.", "the agent was never asked"),
        (lambda agent, question: "Paris.", "it takes four arguments"),
        ("ask_patiently", "write a function"),
    ]:
        out = verdict(capsys, "10d", answer)
        assert out.startswith("✘ 10d: ") and why in out, (answer, out)


def test_the_checks_are_instant():
    begin = time.perf_counter()
    checks.check_10b((FIXED, FIXED, FIXED))
    checks.check_10c(with_map)
    checks.check_10d(loop)
    assert time.perf_counter() - begin < 2
