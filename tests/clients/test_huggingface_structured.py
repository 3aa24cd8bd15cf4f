"""HuggingFaceModelClient held to a `response_format`: JSON that fits, whatever the model would write.

Most of these replies are noise: a tiny model with random weights, sampled at temperature 1.
"""

import enum
import json
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from pydantic import BaseModel, Field, TypeAdapter
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LogitsProcessor

from kit.clients.huggingface_fast import HuggingFaceModelClient
from kit.clients.huggingface_fast.schemas import schema_of

HI = [{"role": "user", "content": "Hi"}]


class City(BaseModel):
    name: str
    population: int


class Color(enum.Enum):
    RED = "red"
    GREEN = "grün 😀"


class Animal(BaseModel):
    name: str
    legs: int = Field(ge=0, le=8)
    weight: float
    color: Color
    foods: list[str]
    wild: bool


class Trip(BaseModel):
    start: City
    stops: list[City] = Field(max_length=2)
    größe: Literal["groß", "größer"]
    code: str = Field(pattern="^[0-9]{3,9}$")
    note: str | None = None


class Choice(BaseModel):
    what: int | str | City | list[int]
    why: dict[str, float]


class Tree(BaseModel):
    value: int
    left: "Tree | None" = None
    right: "Tree | None" = None


class Loose(BaseModel, extra="allow"):
    name: str


SCHEMA = City.model_json_schema()
OPENAI = {"type": "json_schema", "json_schema": {"name": "city", "strict": True, "schema": SCHEMA}}


@pytest.fixture(scope="module")
def babble(tiny_folder):
    """A client of a model that babbles in the words of this file and in marks of JSON."""
    sources = ['[], {}, "", [["a"], "b"], ' * 1000, Path(__file__).read_text(encoding="utf-8")]
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder).train_new_from_iterator(sources, vocab_size=2000)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        AutoConfig.from_pretrained(tiny_folder, vocab_size=len(tokenizer), max_position_embeddings=1000)
    )
    return HuggingFaceModelClient(
        {"model": "babble", "temperature": 1.0, "max_tokens": 120}, model, tokenizer
    )


@pytest.fixture
def ask(babble):
    """A function that asks for a reply in a format; it returns the texts of all choices."""

    def ask(response_format, **call):
        response = babble.create({"messages": HI, "response_format": response_format, "seed": 0, **call})
        return [choice.message.content for choice in response.choices]

    return ask


def is_valid(kind, text):
    """Whether a text is JSON that pydantic takes for this type; if not, an error says why."""
    return TypeAdapter(kind).validate_json(text, strict=True) is not Ellipsis


# What may be asked for ----------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [City, SCHEMA, OPENAI], ids=["pydantic", "schema", "openai"])
def test_a_format_is_a_pydantic_class_a_schema_or_openais_dictionary(ask, asked):
    [text] = ask(asked)
    assert is_valid(City, text)
    assert text.startswith('{"name": "') and '", "population": ' in text


def test_any_type_that_pydantic_knows_is_a_format(ask):
    assert is_valid(list[int], ask(list[int])[0])
    assert is_valid(dict[str, list[bool]], ask(dict[str, list[bool]])[0])
    assert ask(Literal["yes"]) == ['"yes"']


def test_json_object_is_any_object(ask):
    assert all(isinstance(json.loads(text), dict) for text in ask({"type": "json_object"}, n=10))


@pytest.mark.parametrize("asked", [None, {"type": "text"}])
def test_text_is_what_comes_without_a_format(babble, ask, asked):
    free = babble.create({"messages": HI, "seed": 0}).choices[0].message.content
    assert ask(asked) == [free]
    assert "{" not in free[:1]


def test_an_agent_replies_in_the_format_of_its_entry(agent, babble):
    bot = agent(
        HuggingFaceModelClient,
        {**babble.config, "response_format": City},
        loaded_model=babble.model,
        tokenizer=babble.tokenizer,
    )
    assert is_valid(City, bot.generate_reply(HI))
    assert bot.get_total_usage()["babble"]["completion_tokens"] <= 120


def test_a_call_may_ask_for_another_format_than_the_entry(babble):
    config = {**babble.config, "response_format": Animal}
    client = HuggingFaceModelClient(config, babble.model, babble.tokenizer)
    for call, kind in (({}, Animal), ({"response_format": City}, City)):
        assert is_valid(kind, client.create({"messages": HI, **call}).choices[0].message.content)


# Every reply fits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", [City, Animal, Trip, Choice, Tree, str, list[list[str]], dict[str, Any]], ids=str
)
def test_noise_fits_every_time(ask, kind):
    texts = ask(kind, n=50)
    assert len(set(texts)) > 25
    assert all(is_valid(kind, text) for text in texts)


def test_noise_fits_with_any_seed(ask):
    texts = [ask(City, seed=seed)[0] for seed in range(25)]
    assert len(set(texts)) > 15
    assert all(is_valid(City, text) for text in texts)


def test_greedy_replies_fit_and_are_always_the_same(ask):
    assert is_valid(Animal, ask(Animal, temperature=0)[0])
    assert ask(Animal, temperature=0) == ask(Animal, temperature=0)


def rather(babble, marks, strength):
    """Options that make tokens with one of these marks more likely, or less."""
    ids = [id for token, id in babble.tokenizer.get_vocab().items() if any(mark in token for mark in marks)]
    return {"sequence_bias": {(id,): strength for id in ids}}


@pytest.mark.parametrize("limit", [20, 100])
def test_a_model_that_never_ends_a_text_has_to_in_the_second_half_of_the_limit(babble, limit):
    text = {"type": "string", "minLength": 1}
    options = {"max_tokens": limit, "seed": 0, "params": rather(babble, '"', -100.0)}
    response = babble.create({"messages": HI, "response_format": text, **options})
    assert response.choices[0].finish_reason == "stop"
    # The quotation mark and the end token, and perhaps the rest of a character that was half written.
    assert limit // 2 + 2 <= response.usage.completion_tokens <= limit // 2 + 5


@pytest.mark.parametrize(
    ("kind", "marks", "strength"),
    [
        (City, "{[", 30.0),
        (Animal, '"', 30.0),
        (Tree, "{[", 30.0),
        (dict[str, Any], "{[", 30.0),
        (list[int], "0123456789", 30.0),
        (list[int], ",", 30.0),
        (City, ",", 30.0),
        (list[list[str]], "]}", -100.0),
        (int, "0123456789", 30.0),
        (list[list[str]], ",", 30.0),
    ],
    ids=str,
)
def test_a_model_that_loves_or_hates_a_mark_ends_too(babble, ask, kind, marks, strength):
    texts = ask(kind, n=10, params=rather(babble, marks, strength))
    assert all(is_valid(kind, text) for text in texts)


def test_a_limit_that_is_wide_enough_changes_nothing(ask):
    assert ask(Literal["a", "b", "c"], n=5, max_tokens=20) == ask(Literal["a", "b", "c"], n=5, max_tokens=500)


def test_a_model_with_more_tokens_than_its_tokenizer_fits_too(tiny):
    model, tokenizer = tiny
    model.resize_token_embeddings(len(tokenizer) + 100)
    client = HuggingFaceModelClient(
        {"model": "padded", "temperature": 1.0, "max_tokens": 60}, model, tokenizer
    )
    response = client.create({"messages": HI, "response_format": City, "n": 5, "seed": 0})
    assert all(is_valid(City, choice.message.content) for choice in response.choices)


def test_a_real_model_fills_in_what_it_knows(real):
    client = HuggingFaceModelClient({"model": "smol", "max_tokens": 60, "temperature": 0}, *real)
    for country in ("France", "Japan"):
        question = f"Describe the capital of {country} as JSON."
        response = client.create(
            {"messages": [{"role": "user", "content": question}], "response_format": City}
        )
        assert is_valid(City, response.choices[0].message.content)
        assert response.choices[0].finish_reason == "stop"


def test_requests_that_wait_for_each_other_fit_in_one_batch(babble, ask_at_once):
    questions = ([{"role": "user", "content": "word " * count}] for count in (3, 1, 5, 9))
    futures, sizes = ask_at_once(
        *((babble, {"messages": question, "response_format": Animal}) for question in questions)
    )
    assert sizes == [1, 3]
    assert all(is_valid(Animal, future.result().choices[0].message.content) for future in futures)


def test_pieces_of_a_streamed_reply_join_to_json(babble):
    pieces = []
    client = HuggingFaceModelClient(babble.config, babble.model, babble.tokenizer, on_text=pieces.append)
    client.create({"messages": HI, "response_format": Animal})
    assert is_valid(Animal, "".join(pieces))
    assert len(pieces) > 5


@pytest.mark.parametrize(
    ("kind", "open_objects"),
    [(City, 0), (Animal, 0), (Trip, 0), (Tree, 0), (Choice, 1), (Loose, 1), (dict[str, City], 1)],
    ids=str,
)
def test_a_pydantic_class_forbids_further_fields_as_openais_strict_mode_does(kind, open_objects):
    def objects(node):
        if isinstance(node, dict):
            if node.get("type") == "object":
                yield node
            for value in node.values():
                yield from objects(value)
        elif isinstance(node, list):
            for value in node:
                yield from objects(value)

    further = [node["additionalProperties"] for node in objects(json.loads(schema_of(kind)))]
    assert len(further) - further.count(False) == open_objects


def test_a_field_called_properties_stays_a_field(ask):
    class Odd(BaseModel):
        type: Literal["object"]
        properties: City

    assert is_valid(Odd, ask(Odd)[0])


def test_a_schema_given_as_a_dictionary_stays_as_it_is():
    assert json.loads(schema_of(SCHEMA)) == SCHEMA


# What goes wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [{"max_tokens": 3}, {"max_tokens": 3, "n": 2}])
def test_a_limit_too_small_for_the_format_is_said_so(ask, call):
    with pytest.raises(
        ValueError, match=f"{call['max_tokens']} tokens were too few for a reply that fits"
    ) as caught:
        ask(City, **call)
    assert "Raise max_tokens, or bound the schema's texts and lists (maxLength, maxItems)." in str(
        caught.value
    )


def test_a_timeout_too_short_for_the_format_is_said_so(ask):
    with pytest.raises(ValueError, match="The timeout was too short for a reply that fits"):
        ask(City, timeout=1e-9)


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "nonsense"}, "Invalid type: nonsense"),
        ({"$ref": "#/$defs/none"}, "Pointer '/$defs/none' does not exist"),
        ({"type": "string", "pattern": "(?=a)"}, "look-ahead and look-behind, is not supported"),
        ({"type": "integer", "minimum": 5, "maximum": 3}, r"minimum \(5\) is greater than maximum \(3\)"),
        ({"not": {"type": "string"}}, r'Unimplemented keys: \["not"\]'),
    ],
)
def test_a_schema_that_can_not_be_followed_is_refused_with_its_problem(ask, schema, problem):
    problem = problem.replace("$", r"\$")
    with pytest.raises(
        ValueError, match=f"(?s)`response_format` holds a schema that .*followed: .*{problem}"
    ):
        ask(schema)
    assert is_valid(City, ask(City)[0])  # and the next one works


def test_without_llguidance_the_error_names_the_pip_command(ask, monkeypatch):
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(ImportError, match="^`response_format` needs llguidance: pip install llguidance$"):
        ask(City)
    assert ask(None)


NO_SCHEMA = {"type": "json_schema", "json_schema": {"name": "city", "schema": "City"}}


@pytest.mark.parametrize(
    "asked",
    [
        3,
        "json",
        ["name"],
        {"type": {1, 2}},
        {"type": "json_schema"},
        NO_SCHEMA,
    ],
    ids=str,
)
def test_what_is_no_format_is_refused_by_name(ask, asked):
    with pytest.raises(ValueError, match="`response_format` must be a pydantic class or a JSON schema, not "):
        ask(asked)


def test_a_text_from_a_config_file_is_not_executed(ask, folder):
    with pytest.raises(ValueError, match="response_format"):
        ask("open('executed', 'w') and None")
    assert not (folder / "executed").exists()


def test_beams_are_refused(ask):
    with pytest.raises(ValueError, match="`response_format` does not work with beam search"):
        ask(City, temperature=0, params={"num_beams": 3})


def test_a_stop_string_does_not_cut_a_reply_that_has_to_fit(ask):
    with pytest.raises(ValueError, match="leave out stop"):
        ask(City, stop="population")


def test_a_logits_processor_from_params_still_runs(ask):
    calls = []

    class Watch(LogitsProcessor):
        def __call__(self, input_ids, scores):
            calls.append(input_ids.shape)
            return scores

    [text] = ask(City, params={"logits_processor": [Watch()]})
    assert is_valid(City, text)
    assert calls
