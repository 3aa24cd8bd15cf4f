"""Images, for vision-language models: loaded with their processor, and read by it from OpenAI's parts.

Until the chat template is rendered, a mark in the text stands for each image, so that nothing else has to
know of images.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

import transformers
from jinja2 import TemplateError

from .image_sources import image_of


class Tokenizers:
    """AutoTokenizer, or for a vision-language model AutoProcessor."""

    @staticmethod
    def from_pretrained(where: str, **origin: Any) -> Any:
        if reads_images(transformers.AutoConfig.from_pretrained(where, **origin)):
            try:
                return transformers.AutoProcessor.from_pretrained(where, **origin)
            except (ImportError, OSError):  # a package or a file that only images need
                pass
        return transformers.AutoTokenizer.from_pretrained(where, **origin)


class Models:
    """AutoModelForCausalLM, or for a vision-language model AutoModelForImageTextToText."""

    @staticmethod
    def from_pretrained(where: str, **options: Any) -> Any:
        origin = {name: options[name] for name in ("revision", "local_files_only", "trust_remote_code")}
        images = reads_images(transformers.AutoConfig.from_pretrained(where, **origin))
        kind = transformers.AutoModelForImageTextToText if images else transformers.AutoModelForCausalLM
        return kind.from_pretrained(where, **options)


def reads_images(config: Any) -> bool:
    return type(config) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING


def split(tokenizer: Any) -> tuple[Any, Any]:
    """Return the processor, if that is what was loaded or passed in, and the tokenizer."""
    if not isinstance(tokenizer, transformers.ProcessorMixin):
        return None, tokenizer
    if tokenizer.chat_template:  # where the two differ; marks of thoughts and calls are looked up in it
        tokenizer.tokenizer.chat_template = tokenizer.chat_template
    return tokenizer, tokenizer.tokenizer


class Reader:
    """Reads the messages of one call in the tokenizer's place.

    `inputs` is what `generate` takes beside the token ids: empty for a prompt of text alone, which therefore
    shares prefixes and batches.
    """

    def __init__(self, client: Any, settings: dict[str, Any]) -> None:
        self.client, self.settings, self.active = client, settings, reads_images(client.model.config)
        self.images: list[Any] = []
        self.inputs: dict[str, Any] = {}
        self.key = uuid.uuid4().hex  # so that no message can hold a mark of its own

    def marked(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return a message with marks for its images, which are loaded."""
        content = message.get("content")
        if not self.active or not isinstance(content, list):
            return message
        return {**message, "content": [self._mark(part) for part in content]}

    def _mark(self, part: Any) -> Any:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in (None, "text"):
            return part
        if kind != "image_url":
            raise ValueError(f"This model reads text and images; a message holds {kind}.")
        if self.client.processor is None:
            raise ValueError(
                "A message holds an image, and this model came without the processor that reads images. "
                "AutoProcessor.from_pretrained tells why, often a missing package (pillow, torchvision). "
                "It can be passed at registration, as tokenizer= beside loaded_model=."
            )
        self.images.append(image_of(part, self.settings))
        return {"type": "text", "text": f"<{self.key} {len(self.images) - 1}>"}

    def apply_chat_template(self, messages: list[dict[str, Any]], **kwargs: Any) -> list[int]:
        """Return the token ids of the rendered prompt, as the tokenizer's own method does."""
        tokenizer, processor = self.client.tokenizer, self.client.processor
        if self.active:
            messages = [{**message, "content": self._parts(message["content"])} for message in messages]
        if processor is None:
            return tokenizer.apply_chat_template(messages, **kwargs)
        # The processor would take what the template doesn't know for an option of its own.
        kwargs = {name: value for name, value in kwargs.items() if name in tokenizer.chat_template}
        kwargs |= {"add_generation_prompt": True, "sanitize_control_tokens": True}
        kwargs |= {"tokenize": True, "return_dict": True, "return_tensors": "pt"}
        try:
            inputs = processor.apply_chat_template(messages, tokenizer.chat_template, **kwargs)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"The model's chat template or processor refuses the messages: {error}"
            ) from None
        [ids] = inputs.pop("input_ids").tolist()
        del inputs["attention_mask"]
        if self.images:
            self.inputs = dict(inputs.to(self.client.model.device, dtype=self.client.model.dtype))
        return ids

    def _parts(self, content: str) -> str | list[dict[str, Any]]:
        """Return a text with marks as the parts of text and images that it was."""
        pieces = re.split(rf"\n?<{self.key} (\d+)>\n?", content)  # text, image, text, ..., image, text
        if len(pieces) == 1 and self._takes_text():
            return content
        parts: list[dict[str, Any]] = [{"type": "text", "text": piece} for piece in pieces]
        parts[1::2] = [{"type": "image", "image": self.images[int(piece)]} for piece in pieces[1::2]]
        return [part for part in parts if part.get("text") != ""]

    def _takes_text(self) -> bool:
        """Return whether the chat template writes content that is a text; some know only parts."""
        probe = [{"role": "user", "content": "probe"}]
        try:
            return "probe" in self.client.tokenizer.apply_chat_template(probe, tokenize=False)
        except (TemplateError, TypeError):
            return False
