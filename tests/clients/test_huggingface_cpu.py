"""HuggingFaceModelClient on a CPU: weights in 8 or 4 bits, and an attention that reads each key once."""

import gc
import types
import weakref

import pytest
import torch
from transformers import (
    AttentionInterface,
    AutoModelForCausalLM,
    DynamicCache,
    GPT2Config,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    RwkvConfig,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from kit.clients import huggingface
from kit.clients.huggingface_fast import HuggingFaceModelClient
from kit.clients.huggingface_fast.cpu import Int4Linear, Int8Linear, packed_attention

HI = [{"role": "user", "content": "Hi"}]
CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]
TEXT = """
The Earth is the third planet from the Sun and the only one known to harbour life. About 71 percent of its
surface is covered with water, most of it in the oceans; the rest is land, made up of continents and
islands. The atmosphere consists mostly of nitrogen and oxygen. Water vapour and carbon dioxide trap energy
from the Sun near the surface, which keeps the planet warm enough for liquid water. The Moon is the only
natural satellite of the Earth. It causes the tides, and it has slowed down the rotation of the Earth over
billions of years. A day lasts about 24 hours, and a year about 365 days. The axis of the Earth is tilted,
and therefore there are seasons: summer in the north is winter in the south. Humans have lived on every
continent, and some have even travelled to the Moon and returned safely home.
"""


@pytest.fixture(autouse=True)
def no_models_yet():
    """Start each test as a new process would."""
    HuggingFaceModelClient.unload()


@pytest.fixture(scope="module")
def folder(tiny_folder, tiny_model, tmp_path_factory):
    """A folder with random weights whose sizes fit groups of 32."""
    folder = tmp_path_factory.mktemp("models") / "groups"
    config = LlamaConfig.from_pretrained(tiny_folder, hidden_size=64, intermediate_size=128, head_dim=32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tiny_model[1].save_pretrained(folder)
    return folder


def load(folder, **entry):
    return HuggingFaceModelClient({"model": str(folder), "device": "cpu", **entry})


def linears(model):
    """The linear layers of a model by name, quantized or not."""
    kinds = (Int8Linear, torch.nn.Linear)
    return {name: module for name, module in model.named_modules() if isinstance(module, kinds)}


def distance(one, other):
    """How far apart two tensors are, relative to the size of the second."""
    return float((one.float() - other.float()).norm().detach() / other.float().norm().detach())


# Loading ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_linear_layers_are_quantized_and_others_stay_as_they_are(folder, quantization):
    plain = load(folder, dtype="float32").model
    model = load(folder, dtype="float32", quantization=quantization).model
    assert len(linears(model)) == 8  # of one decoder layer, and the head
    assert linears(model).keys() == linears(plain).keys()
    for name, layer in linears(model).items():
        small = quantization == "int4" and name != "lm_head"  # whose 4 bits would cost quality
        assert type(layer) is (Int4Linear if small else Int8Linear)
        assert layer.weight.dtype == torch.int8
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert torch.equal(model.get_input_embeddings().weight, plain.get_input_embeddings().weight)
    assert torch.equal(model.model.norm.weight, plain.model.norm.weight)


def test_what_does_not_fit_groups_of_32_gets_8_bits(tiny_folder):
    model = load(tiny_folder, quantization="int4").model  # with layers of 16 by 16
    assert {type(layer) for layer in linears(model).values()} == {Int8Linear}


def test_weights_take_a_quarter_of_float32(tiny_folder):
    def size(model):
        return sum(layer.weight.nbytes for layer in linears(model).values())

    plain = load(tiny_folder, dtype="float32").model
    assert size(load(tiny_folder, dtype="float32", quantization="int8").model) == size(plain) / 4


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_the_weights_that_were_there_before_are_freed(monkeypatch, folder, quantization):
    before = []
    from_pretrained = AutoModelForCausalLM.from_pretrained

    def watch(*args, **options):
        model, info = from_pretrained(*args, **options)
        before.extend(weakref.ref(layer) for layer in linears(model).values())
        return model, info

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", watch)
    client = load(folder, quantization=quantization)
    gc.collect()
    assert client.model and len(before) == 8
    assert not any(layer() for layer in before)


def test_clients_share_weights_of_one_quantization_only(folder):
    one, two = (load(folder, quantization="int8", temperature=t) for t in (0, 1))
    small, plain = load(folder, quantization="int4"), load(folder)
    assert one.model is two.model
    assert len({id(client.model) for client in (one, small, plain)}) == 3
    assert {type(layer) for layer in linears(plain.model).values()} == {torch.nn.Linear}


@pytest.mark.parametrize("name", ["int3", "fp8", "bnb", 8, True])
def test_another_quantization_is_refused_with_those_there_are(tiny_folder, name):
    with pytest.raises(
        ValueError, match=f"{name!r} on 'cpu': there is 'int8' and 'int4', on 'cpu'"
    ) as caught:
        load(tiny_folder, quantization=name)
    assert "register with loaded_model= and tokenizer=" in str(caught.value)


@pytest.mark.parametrize("quantization", ["int8", "int4"])
@pytest.mark.parametrize("entry", [{"device": "cuda"}, {"device": "auto"}, {"device": "mps"}])
def test_a_quantization_is_refused_where_the_device_is_no_cpu(tiny_folder, monkeypatch, entry, quantization):
    monkeypatch.setattr(huggingface, "_device", lambda name: "cuda" if name == "auto" else name)
    with pytest.raises(ValueError, match=f"No quantization '{quantization}' on '(cuda|mps)': there is"):
        load(tiny_folder, quantization=quantization, **entry)


@pytest.mark.parametrize("device_map", ["auto", "cpu"])
def test_int8_is_refused_with_a_device_map(tiny_folder, device_map):
    with pytest.raises(ValueError, match="No quantization 'int8' on 'device_map'"):
        load(tiny_folder, quantization="int8", device_map=device_map)


SMALL = {"vocab_size": 64, "hidden_size": 64, "num_hidden_layers": 2}


@pytest.mark.parametrize("quantization", ["int8", "int4"])
@pytest.mark.parametrize(
    ("config", "why"),
    [
        (MambaConfig(**SMALL, state_size=4), "reads the weights of its layers past them"),
        (RwkvConfig(**SMALL), "reads the weights of its layers past them"),
        (GPT2Config(vocab_size=64, n_embd=64, n_layer=1, n_head=2), "has no linear layers"),
    ],
    ids=["Mamba", "RWKV", "GPT-2"],
)
def test_a_model_that_cant_be_quantized_is_refused(tmp_path, tiny_model, quantization, config, why):
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    tiny_model[1].save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f"{why}.*leave out `quantization`"):
        load(tmp_path, quantization=quantization)


# One layer ----------------------------------------------------------------------------------------


@pytest.fixture(params=[torch.float32, torch.bfloat16, torch.float16], ids=str)
def layer(request):
    """A linear layer with a bias."""
    torch.manual_seed(0)
    return torch.nn.Linear(64, 128, dtype=request.param)


@pytest.mark.parametrize("rows", [(1,), (24,), (25,), (200,), (2, 3), (3, 20)])
@pytest.mark.parametrize(("kind", "far"), [(Int8Linear, 0.0065), (Int4Linear, 0.09)])
def test_a_layer_gives_nearly_what_it_gave_before(layer, rows, kind, far):
    x = torch.randn(*rows, 64, dtype=layer.weight.dtype)
    before, after = layer(x), kind(layer)(x)
    assert (after.shape, after.dtype) == (before.shape, before.dtype)
    assert 0 < distance(after, before) < far


@pytest.mark.parametrize(
    ("kind", "where", "operator"),
    [
        (Int8Linear, torch, "_weight_int8pack_mm"),
        (Int4Linear, torch.ops.aten, "_weight_int4pack_mm_for_cpu"),
    ],
)
def test_pytorchs_own_operator_is_for_few_rows_only(layer, monkeypatch, kind, where, operator):
    shapes, real = [], getattr(where, operator)
    monkeypatch.setattr(where, operator, lambda rows, *rest: shapes.append(len(rows)) or real(rows, *rest))
    for rows in (1, 24, 25, 200):
        kind(layer)(torch.randn(rows, 64, dtype=layer.weight.dtype))
    assert shapes == [1, 24]


@pytest.mark.parametrize(("kind", "far"), [(Int8Linear, 0.005), (Int4Linear, 0.09)])
def test_few_rows_and_many_agree(layer, kind, far):
    x = torch.randn(48, 64, dtype=layer.weight.dtype)
    quantized = kind(layer)
    many, few = quantized(x), torch.cat([quantized(x[:24]), quantized(x[24:])])
    assert distance(few, many) < far


def test_weights_that_have_16_levels_per_group_lose_nothing_in_4_bits():
    torch.manual_seed(0)
    layer = torch.nn.Linear(64, 64, bias=False, dtype=torch.bfloat16)
    levels = torch.randint(16, (64, 2, 32))
    levels[:, :, :2] = torch.tensor([0, 15])  # both ends are there
    layer.weight.data = ((levels - 3.0) * 0.25).flatten(1).bfloat16()
    x = torch.randn(1, 64, dtype=torch.bfloat16)
    assert distance(Int4Linear(layer)(x), layer.float()(x.float())) < 0.004  # bfloat16's own


@pytest.mark.parametrize("kind", [Int8Linear, Int4Linear])
def test_each_output_has_a_scale_of_its_own(layer, kind):
    with torch.no_grad():
        layer.weight[3] *= 1000
        layer.weight[5] = 0
    x = torch.randn(2, 64, dtype=layer.weight.dtype)
    before, after, far = layer(x), kind(layer)(x), 0.02 if kind is Int8Linear else 0.15
    assert distance(after[:, 3], before[:, 3]) < far
    assert distance(after[:, 6:], before[:, 6:]) < far
    assert torch.equal(after[:, 5], before[:, 5])  # the bias alone


@pytest.mark.parametrize("kind", [Int8Linear, Int4Linear])
@pytest.mark.parametrize("rows", [1, 30])
def test_a_bias_is_kept(layer, rows, kind):
    x = torch.zeros(rows, 64, dtype=layer.weight.dtype)
    assert torch.equal(kind(layer)(x), layer(x))


# A model ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("length", [1, 100])
@pytest.mark.parametrize(("quantization", "far"), [("int8", 0.02), ("int4", 0.12)])
def test_a_models_numbers_are_close_to_those_without(folder, dtype, length, quantization, far):
    ids = torch.arange(1000, 1000 + length)[None]
    with torch.inference_mode():
        plain = load(folder, dtype=dtype).model(ids).logits
        close = load(folder, dtype=dtype, quantization=quantization).model(ids).logits
    assert close.dtype == plain.dtype
    assert 0 < distance(close, plain) < far


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_a_quantized_model_answers_in_choices_and_from_its_prefix_cache(folder, quantization):
    client = load(folder, quantization=quantization, max_tokens=5)
    client.create({"messages": HI})
    response = client.create({"messages": HI, "n": 3, "temperature": 1.0})
    assert response.usage.prompt_tokens_details.cached_tokens > 0
    assert len({choice.message.content for choice in response.choices}) == 3


@pytest.mark.parametrize("quantization", ["int8", "int4"])
def test_the_real_model_says_nearly_the_same_and_knows_paris(real, local_model_folder, quantization):
    plain, tokenizer = real
    client = load(local_model_folder, quantization=quantization, max_tokens=20, temperature=0)
    ids, cache = tokenizer(TEXT, return_tensors="pt").input_ids, DynamicCache(config=plain.config)
    with torch.inference_mode():  # few at a time, as new tokens are computed
        rows = [client.model(piece, past_key_values=cache).logits for piece in ids.split(20, 1)]
        same = plain(ids).logits.argmax(-1) == torch.cat(rows, 1).argmax(-1)
    assert same.numel() > 150
    assert 0.8 < same.float().mean() < 1
    assert "Paris" in client.create({"messages": CAPITAL}).choices[0].message.content


# The packed attention -----------------------------------------------------------------------------


@pytest.fixture
def attend():
    """A function that gives a query of this length to both attentions; it returns the two outputs."""

    def attend(heads=6, groups=3, length=1, batch=1, keys=50, dtype=torch.bfloat16, mask=None, scaling=0.3):
        torch.manual_seed(0)
        query = torch.randn(batch, heads, length, 16, dtype=dtype)
        key, value = (torch.randn(batch, heads // groups, keys, 16, dtype=dtype) for _ in range(2))
        module = types.SimpleNamespace(num_key_value_groups=groups, is_causal=True, training=False)
        inputs = (module, query, key, value, mask)
        return [
            attention(*inputs, dropout=0.0, scaling=scaling)[0]
            for attention in (packed_attention, sdpa_attention_forward)
        ]

    return attend


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"heads": 9, "groups": 3},
        {"heads": 4, "groups": 1},
        {"heads": 4, "groups": 4},
        {"batch": 3},
        {"scaling": 0.05},
        {"keys": 1},
    ],
    ids=str,
)
def test_thepacked_attention_gives_the_same_numbers_for_one_new_token(attend, case):
    packed, plain = attend(**case)
    assert (packed.shape, packed.dtype) == (plain.shape, plain.dtype)
    assert distance(packed, plain) < 0.01


@pytest.mark.parametrize(
    "case",
    [
        {"length": 7, "keys": 7},
        {"dtype": torch.float32},
        {"mask": torch.ones(1, 1, 1, 50, dtype=torch.bool).tril(40)},
    ],
    ids=["prompt", "float32", "mask"],
)
def test_all_else_is_left_to_pytorch(attend, case):
    packed, plain = attend(**case)
    assert torch.equal(packed, plain)


def test_a_model_loaded_on_a_cpu_uses_it_for_new_tokens(tiny_folder, monkeypatch):
    lengths = []

    def watch(module, query, *args, **options):
        lengths.append(query.shape[2])
        return packed_attention(module, query, *args, **options)

    client = load(tiny_folder, max_tokens=3)
    client.model.step = None  # which has an attention of its own
    monkeypatch.setitem(AttentionInterface._global_mapping, "sdpa_packed", watch)
    client.create({"messages": HI})
    assert lengths[0] > 1 and lengths[1:] == [1, 1]


def test_a_model_that_was_passed_in_keeps_its_attention(tiny):
    model, tokenizer = tiny
    client = HuggingFaceModelClient({"model": "tiny", "device": "cpu"}, model, tokenizer)
    client.create({"messages": HI, "max_tokens": 1})
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_thepacked_attention_changes_no_reply(tmp_path, tiny_folder, tiny, dtype):
    _, tokenizer = tiny
    torch.manual_seed(0)
    config = LlamaConfig.from_pretrained(
        tiny_folder, hidden_size=32, num_attention_heads=4, num_key_value_heads=2
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path / "grouped")
    tokenizer.save_pretrained(tmp_path / "grouped")
    packed = load(tmp_path / "grouped", dtype=dtype, max_tokens=10)
    assert packed.model.config._attn_implementation == "sdpa_packed"
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "grouped", dtype=dtype)
    alone = HuggingFaceModelClient({"model": "alone", "max_tokens": 10}, plain, tokenizer)
    for call in ({}, {"n": 2, "temperature": 1.0, "seed": 0}):
        one, two = (client.create({"messages": HI, **call}) for client in (packed, alone))
        assert [choice.message.content for choice in one.choices] == [c.message.content for c in two.choices]
