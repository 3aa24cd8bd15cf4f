"""HuggingFaceModelClient with vision-language models: what they see is what transformers alone shows them."""

import base64
import copy
import io
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from PIL import Image
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    MllamaConfig,
    MllamaForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLProcessor,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from kit.clients.huggingface_fast import HuggingFaceModelClient, image_sources

# As the templates of most of these models do, it writes parts only: a text would be lost.
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% elif part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TURNS = (
    "{% for m in messages %}{% if (m.role == 'user') != loop.index0 is even %}{{ raise_exception('turns') }}"
)
IMAGE_TOKENS = 4  # of an image in the tiny model: 2 x 2 patches
SIZES = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}


def picture(color="red", kind="PNG", size=(20, 30)):
    """The bytes of an image: a white one with a bar of some color."""
    image = Image.new("RGB", size, "white")
    image.paste(color, (0, 0, size[0] // 2, size[1]))
    data = io.BytesIO()
    image.save(data, kind)
    return data.getvalue()


def url(data, kind="image/png"):
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def text(words):
    return {"type": "text", "text": words}


def image(source):
    return {"type": "image_url", "image_url": {"url": source, "detail": "low"}}


def user(*parts):
    return {"role": "user", "content": list(parts)}


RED, BLUE = image(url(picture("red"))), image(url(picture("blue")))
QUESTION = [user(text("What is it?"), RED)]


def keen(model):
    """A random model, changed so that each word and each image changes the reply."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(8 if weight.dim() > 1 else 1)
    return model.eval()


def tokenizer_with(folder, *marks):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": list(marks)})
    return tokenizer


def llama(tokenizer, **more):
    ends = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    return {**SIZES, **ends, "vocab_size": len(tokenizer), "num_hidden_layers": 1, **more}


@pytest.fixture(scope="module")
def seeing_folder(local_model_folder, tmp_path_factory):
    """A folder with a tiny model of LLaVA's kind: random weights, and a window of 256 tokens."""
    tokenizer = tokenizer_with(local_model_folder, "<image>")
    config = LlavaConfig(
        text_config=LlamaConfig(**llama(tokenizer, max_position_embeddings=256)),
        vision_config=CLIPVisionConfig(**SIZES, num_hidden_layers=2, image_size=8, patch_size=4),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = keen(LlavaForConditionalGeneration(config))
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 8}, crop_size={"height": 8, "width": 8}),
        tokenizer,
        patch_size=4,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    folder = tmp_path_factory.mktemp("models") / "seeing"
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def seeing(seeing_folder):
    """That model and its processor, as transformers loads them."""
    model = AutoModelForImageTextToText.from_pretrained(seeing_folder, dtype="float32")
    return model, AutoProcessor.from_pretrained(seeing_folder)


@pytest.fixture
def client(seeing):
    """A function that makes a client of a copy of that model; its arguments are fields of the entry."""
    model, processor = copy.deepcopy(seeing[0]), seeing[1]
    return lambda **entry: HuggingFaceModelClient(
        {"model": "seeing", "max_tokens": 6, **entry}, model, processor
    )


def alone(seeing, messages, **options):
    """The new tokens of each choice that transformers alone gives, and the number of tokens of the prompt."""
    model, processor = copy.deepcopy(seeing[0]), seeing[1]
    parts = [
        {
            **message,
            "content": [text(message["content"])]
            if isinstance(message["content"], str)
            else message["content"],
        }
        for message in messages
    ]
    inputs = processor.apply_chat_template(
        parts,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        add_generation_prompt=True,
        sanitize_control_tokens=True,
    )
    rows = model.generate(**inputs, **{"max_new_tokens": 6, "do_sample": False, **options})
    width = inputs["input_ids"].shape[1]
    return processor.tokenizer.batch_decode(rows[:, width:], skip_special_tokens=True), width


def said(response):
    return [choice.message.content for choice in response.choices], response.usage.prompt_tokens


def cached(response):
    return response.usage.prompt_tokens_details.cached_tokens


# What the model sees ------------------------------------------------------------------------------

CHATS = {
    "an image": [user(RED)],
    "a question and an image": QUESTION,
    "an image between texts": [user(text("This: "), RED, text("\n\nis what?"))],
    "two images": [user(text("Compare"), RED, BLUE)],
    "the other way round": [user(text("Compare"), BLUE, RED)],
    "a history": [
        {"role": "system", "content": "Be brief."},
        *QUESTION,
        {"role": "assistant", "content": "A flag."},
        user(text("And this?"), BLUE),
        {"role": "assistant", "content": "Another."},
        {"role": "user", "content": "Which is nicer?"},
    ],
    "no image": [{"role": "user", "content": "Hi"}],
    "marks in a text": [user(text("<image> and <|im_end|>"), RED)],
    "a mark and no image": [{"role": "user", "content": "What is <image> for?"}],
}


@pytest.mark.parametrize("chat", CHATS)
def test_a_model_that_was_loaded_says_what_it_says_with_transformers_alone(seeing, seeing_folder, chat):
    entry = {"model": str(seeing_folder), "dtype": "float32", "max_tokens": 6}
    assert said(HuggingFaceModelClient(entry).create({"messages": CHATS[chat]})) == alone(seeing, CHATS[chat])


def test_each_image_makes_a_difference(seeing):
    asked = (QUESTION, [user(text("What is it?"), BLUE)], [user(text("What is it?"))])
    assert len({alone(seeing, messages)[0][0] for messages in asked}) == 3  # or the tests here would be blind


def test_usage_counts_the_tokens_of_an_image(client):
    one, two = (client().create({"messages": [user(text("Hi"), *images)]}) for images in ([RED], [RED, BLUE]))
    assert two.usage.prompt_tokens - one.usage.prompt_tokens == IMAGE_TOKENS


def test_options_hold_for_images(client, seeing):
    told = []
    model, processor = client().model, seeing[1]
    streaming = HuggingFaceModelClient(
        {"model": "seeing", "max_tokens": 6}, model, processor, on_text=told.append
    )
    whole = said(streaming.create({"messages": QUESTION}))[0][0]
    assert "".join(told) == whole == alone(seeing, QUESTION)[0][0]
    options = {"n": 3, "temperature": 0.9, "seed": 7}
    several = client().create({"messages": QUESTION, **options})
    torch.manual_seed(7)
    sampled = {"do_sample": True, "temperature": 0.9, "num_return_sequences": 3}
    assert said(several) == alone(seeing, QUESTION, **sampled)
    stop = whole[4:7]
    assert said(client().create({"messages": QUESTION, "stop": stop}))[0] == [whole[: whole.index(stop)]]


def test_images_stay_in_their_place_where_the_template_wants_other_messages(seeing):
    model, processor = seeing[0], copy.deepcopy(seeing[1])
    processor.chat_template = TURNS + "{% endif %}{% endfor %}" + TEMPLATE
    strict = HuggingFaceModelClient({"model": "seeing", "max_tokens": 6}, copy.deepcopy(model), processor)
    group = [
        {"role": "system", "content": "Be brief."},
        {**user(text("Look: "), RED), "name": "Ann"},
        {**user(BLUE), "name": "Bob"},
    ]
    merged = [user(text("Be brief.\n\nAnn: Look: "), RED, text("\nBob: "), BLUE)]
    assert said(strict.create({"messages": group})) == alone(seeing, merged)


def test_content_stays_a_text_where_the_template_writes_texts(seeing):
    model, processor = seeing[0], copy.deepcopy(seeing[1])
    place = "{% for part in message.content %}"
    processor.chat_template = TEMPLATE.replace(
        place, "{% if message.content is string %}({{ message.content }}){% endif %}" + place
    )
    client = HuggingFaceModelClient({"model": "seeing", "max_tokens": 6}, copy.deepcopy(model), processor)
    messages = [{"role": "system", "content": "Be brief."}, *QUESTION]
    in_brackets = [{"role": "system", "content": "(Be brief.)"}, *QUESTION]
    assert said(client.create({"messages": messages})) == alone(seeing, in_brackets)


# Prefixes and batches -----------------------------------------------------------------------------


def test_text_alone_shares_prefixes_and_batches_as_with_any_model(client, seeing, ask_at_once):
    maker, first = client(), [{"role": "user", "content": "Hi"}]
    reply = said(maker.create({"messages": first}))[0][0]
    messages = [*first, {"role": "assistant", "content": reply}, {"role": "user", "content": "Go on."}]
    second = maker.create({"messages": messages})
    assert cached(second) > 10 and said(second) == alone(seeing, messages)
    chats = [[{"role": "user", "content": "Hello" + "!" * count}] for count in range(4)]
    futures, sizes = ask_at_once(*((maker, {"messages": chat}) for chat in chats))
    assert sizes == [1, 3]
    assert [said(future.result()) for future in futures] == [alone(seeing, chat) for chat in chats]


def test_an_image_is_never_taken_for_another_nor_left_out(client, seeing, ask_at_once):
    maker, hello = client(), CHATS["no image"]
    red, blue = ([user(text("What is it?"), one)] for one in (RED, BLUE))
    chats = [red, hello, blue, red, hello, blue]
    futures, sizes = ask_at_once(*((maker, {"messages": chat}) for chat in chats))
    assert sorted(sizes) == [1, 1, 1, 1, 2]  # text goes with text, an image alone
    assert [said(future.result()) for future in futures] == [alone(seeing, chat) for chat in chats]
    assert {cached(future.result()) for future in futures} == {0}


class VideolessProcessor(Qwen2VLProcessor):
    """Qwen's processor without its part for videos, which needs torchvision."""

    def check_argument_for_proper_class(self, argument_name, argument):
        pass


@pytest.fixture(scope="module")
def turning(local_model_folder):
    """A tiny model of Qwen2-VL's kind, where an image moves the positions of what follows."""
    marks = {name: f"<|{name}|>" for name in ("image_pad", "video_pad", "vision_start", "vision_end")}
    tokenizer = tokenizer_with(local_model_folder, *marks.values())
    ids = {name: tokenizer.convert_tokens_to_ids(mark) for name, mark in marks.items()}
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
    more = {"num_key_value_heads": 2, "max_position_embeddings": 512, "rope_parameters": rope}
    vision = {"embed_dim": 16, "hidden_size": 16, "num_heads": 2, "depth": 1, "mlp_ratio": 1, "patch_size": 4}
    config = Qwen2VLConfig(
        text_config=llama(tokenizer, **more),
        vision_config=vision,
        image_token_id=ids["image_pad"],
        video_token_id=ids["video_pad"],
        vision_start_token_id=ids["vision_start"],
        vision_end_token_id=ids["vision_end"],
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = keen(Qwen2VLForConditionalGeneration(config))
    sizes = {"shortest_edge": 64, "longest_edge": 1024}
    reader = Qwen2VLImageProcessorPil(patch_size=4, merge_size=2, temporal_patch_size=2, size=sizes)
    mark = "<|vision_start|><|image_pad|><|vision_end|>"
    return model, VideolessProcessor(reader, tokenizer, chat_template=TEMPLATE.replace("<image>", mark))


def test_an_image_moves_no_text_of_other_chats(turning):
    model, processor = copy.deepcopy(turning[0]), turning[1]
    model.set_attn_implementation("sdpa_packed")  # as the client loads models for a CPU
    client = HuggingFaceModelClient({"model": "turning", "max_tokens": 6}, model, processor)
    asked = [user(text("What is it?"), image(url(picture(size=(64, 32)))))]
    hello = [{"role": "user", "content": "Hello"}]
    for chat, known in ((hello, 0), (asked, 0), (hello, 9), (asked, 0)):
        response = client.create({"messages": chat})
        assert said(response) == alone(turning, chat)
        assert cached(response) == known


def test_a_model_with_layers_for_images_alone_answers_to_text(local_model_folder):
    tokenizer = AutoTokenizer.from_pretrained(local_model_folder)
    vision = {"num_hidden_layers": 1, "num_global_layers": 1, "attention_heads": 2, "image_size": 16}
    vision |= {"hidden_size": 16, "intermediate_size": 16, "patch_size": 8, "vision_output_dim": 32}
    vision |= {"intermediate_layers_indices": [0], "supported_aspect_ratios": [[1, 1]], "max_num_tiles": 1}
    more = {"num_hidden_layers": 2, "num_key_value_heads": 2, "cross_attention_layers": [1]}
    config = MllamaConfig(text_config=llama(tokenizer, **more), vision_config=vision)
    model = MllamaForConditionalGeneration(config).eval()
    client = HuggingFaceModelClient({"model": "mllama", "max_tokens": 3}, model, tokenizer)
    for _ in range(2):
        response = client.create({"messages": CHATS["no image"], "n": 2, "temperature": 1.0})
        assert response.usage.completion_tokens == 6 and cached(response) == 0


# AutoGen ------------------------------------------------------------------------------------------


def test_autogens_multimodal_agent_sees_the_image_of_a_tag(seeing, folder):
    from autogen import ConversableAgent, LLMConfig
    from autogen.agentchat.contrib.multimodal_conversable_agent import MultimodalConversableAgent

    (folder / "flag.png").write_bytes(picture())
    entry = {"model": "seeing", "model_client_cls": "HuggingFaceModelClient", "max_tokens": 6}
    agent = MultimodalConversableAgent(
        "eyes", "Be brief.", llm_config=LLMConfig(entry), human_input_mode="NEVER"
    )
    agent.register_model_client(
        HuggingFaceModelClient, loaded_model=copy.deepcopy(seeing[0]), tokenizer=seeing[1]
    )
    person = ConversableAgent("person", llm_config=False, human_input_mode="NEVER")
    chat = person.initiate_chat(agent, message="What is it? <img flag.png>", max_turns=1, silent=True)
    asked = [{"role": "system", "content": "Be brief."}, user(text("What is it? "), RED)]
    [reply], width = alone(seeing, asked)
    assert chat.chat_history[-1]["content"] == reply
    assert agent.get_total_usage()["seeing"]["prompt_tokens"] == width


# Where images come from ---------------------------------------------------------------------------


@pytest.fixture
def flag(folder):
    """An image in the current folder, and one in a folder beside it that messages may not name."""
    here, elsewhere = folder / "here", folder / "elsewhere"
    for place in (here, elsewhere):
        place.mkdir()
        (place / "my flag.png").write_bytes(picture())
    return here / "my flag.png"


@pytest.mark.parametrize(
    "source",
    [
        "my flag.png",
        "./my flag.png",
        "{here}/my flag.png",
        "{address}",
        "../here/my flag.png",
        url(picture()),
        url(picture(kind="BMP"), "image/bmp"),
    ],
)
def test_an_image_comes_from_a_data_url_or_a_file(client, seeing, flag, monkeypatch, source):
    monkeypatch.chdir(flag.parent)
    source = source.format(here=flag.parent, address=flag.as_uri())
    assert said(client().create({"messages": [user(text("What is it?"), image(source))]})) == alone(
        seeing, QUESTION
    )


def test_image_folder_names_another_folder(client, seeing, flag):
    messages = [user(text("What is it?"), image("my flag.png"))]
    assert said(client(image_folder=str(flag.parent)).create({"messages": messages})) == alone(
        seeing, QUESTION
    )
    with pytest.raises(ValueError, match="no image"):
        client().create({"messages": messages})


@pytest.mark.parametrize(
    "source",
    [
        "../elsewhere/my flag.png",
        "{elsewhere}/my flag.png",
        "{address}",
        "link.png",
        "file://server/my%20flag.png",
        "//server/share/flag.png",
        "../none.png",
    ],
)
def test_a_message_reads_no_file_outside_of_the_folder(client, flag, monkeypatch, source):
    monkeypatch.chdir(flag.parent)
    elsewhere = flag.parents[1] / "elsewhere"
    if source == "link.png":
        try:
            (flag.parent / source).symlink_to(elsewhere / "my flag.png")
        except OSError:
            pytest.skip("this system lets us make no links")
    source = source.format(elsewhere=elsewhere, address=(elsewhere / "my flag.png").as_uri())
    with pytest.raises(ValueError, match="is not in the folder"):
        client().create({"messages": [user(image(source))]})


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (image("https://example.org/flag.png"), "fetch_images"),
        (image("HTTP://example.org/flag.png"), "fetch_images"),
        (image("ftp://example.org/flag.png"), "no data URL, no file"),
        (image("none.png"), "There is no image 'none.png'"),
        (image("sub"), "There is no image 'sub'"),
        (image("notes.txt"), "is broken, or none of PNG"),
        (image("half.png"), "is broken"),
        (image("scan.tiff"), "is broken, or none of"),
        (image(url(b"no image")), "is broken"),
        (image("data:image/png;base64,@@@"), "not the data URL of an image"),
        (image("data:image/png,abc"), "not the data URL of an image"),
        (image("data:text/plain;base64,SGk="), "not the data URL of an image"),
        (image("data:"), "not the data URL of an image"),
        (image(None), "must read"),
        ({"type": "image_url"}, "must read"),
        ({"type": "image_url", "image_url": "my flag.png"}, "must read"),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "holds input_audio"),
        ({"type": "video_url", "video_url": {"url": "film.mp4"}}, "holds video_url"),
        ({"image_url": {"url": "my flag.png"}}, "content must be"),
    ],
)
def test_what_is_no_image_to_read_is_refused_in_words(client, folder, part, words):
    (folder / "sub").mkdir()
    (folder / "notes.txt").write_text("PNG")
    (folder / "half.png").write_bytes(picture()[:60])
    (folder / "scan.tiff").write_bytes(picture(kind="TIFF"))
    with pytest.raises(ValueError, match=words) as caught:
        client().create({"messages": [user(text("What is it?"), part)]})
    assert len(str(caught.value)) < 400


@pytest.fixture
def website():
    """A server with one image, /flag.png, and what it was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200 if self.path == "/flag.png" else 404)
            self.end_headers()
            self.wfile.write(picture())

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_an_address_is_fetched_only_where_the_entry_asks_for_it(client, seeing, website):
    address, asked = website
    messages = [user(text("What is it?"), image(f"{address}/flag.png"))]
    with pytest.raises(ValueError, match="nothing is fetched"):
        client().create({"messages": messages})
    assert asked == []
    assert said(client(fetch_images=True).create({"messages": messages})) == alone(seeing, QUESTION)
    assert asked == ["/flag.png"]
    for wrong, words in ((f"{address}/none.png", "404"), ("http://127.0.0.1:1/flag.png", "can't be fetched")):
        with pytest.raises(ValueError, match=words):
            client(fetch_images=True).create({"messages": [user(image(wrong))]})


# What can't be ------------------------------------------------------------------------------------


def test_images_that_fill_the_context_window_are_refused(client):
    with pytest.raises(ValueError, match="context window of 'seeing' holds 256"):
        client().create({"messages": [user(*[RED] * 70)]})


def test_a_model_that_reads_text_alone_refuses_images(tiny_client):
    with pytest.raises(ValueError, match="text only; a message holds image_url"):
        tiny_client().create({"messages": QUESTION})


def test_a_template_without_a_place_for_images_is_named(seeing):
    model, processor = copy.deepcopy(seeing[0]), copy.deepcopy(seeing[1])
    processor.chat_template = TEMPLATE.replace("<image>", "")
    client = HuggingFaceModelClient({"model": "seeing", "max_tokens": 6}, model, processor)
    with pytest.raises(ValueError, match="refuses the messages"):
        client.create({"messages": QUESTION})


def test_without_its_processor_a_model_reads_text_and_says_why_no_images(seeing, seeing_folder, tmp_path):
    folder = shutil.copytree(seeing_folder, tmp_path / "text")
    (folder / "processor_config.json").unlink()
    for loaded in ({}, {"loaded_model": copy.deepcopy(seeing[0]), "tokenizer": seeing[1].tokenizer}):
        entry = {"model": str(folder), "dtype": "float32", "max_tokens": 6}
        client = HuggingFaceModelClient(entry, **loaded)
        assert said(client.create({"messages": CHATS["no image"]})) == alone(seeing, CHATS["no image"])
        with pytest.raises(ValueError, match="came without the processor"):
            client.create({"messages": QUESTION})


def test_without_pillow_the_pip_command_is_named(client, monkeypatch):
    monkeypatch.setattr(image_sources, "is_vision_available", lambda: False)
    with pytest.raises(ImportError, match="pip install pillow"):
        client().create({"messages": QUESTION})


def test_template_options_reach_only_a_template_that_knows_them(seeing, client, transformers_log):
    options = {"chat_template_kwargs": {"enable_thinking": False}}
    assert said(client(**options).create({"messages": QUESTION})) == alone(seeing, QUESTION)
    assert transformers_log.text == ""
