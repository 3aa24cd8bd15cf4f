"""Loading: what can't continue a text is refused in a sentence; an adapter goes into its base's weights."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import transformers
from huggingface_hub import HfApi, hf_hub_download
from transformers import AutoTokenizer, PreTrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)
from transformers.utils import cached_file, is_peft_available
from transformers.utils.peft_utils import find_adapter_config_file

FITTING = {*MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values(), *MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.values()}


def is_local(name: str, revision: str | None) -> bool:
    """Return whether to load without the model hub: a folder, or its cache where the hub is out of reach."""
    folder = Path(name)
    if folder.exists():
        if any((folder / file).is_file() for file in ("config.json", "adapter_config.json")):
            return True
        raise ValueError(
            "it has no config.json, so it isn't a transformers model. A GGUF file has to be converted first; "
            "of a download, name the folder that holds config.json."
        )
    try:  # the hub's own answer, in a second: from_pretrained would retry for minutes
        HfApi().model_info(name, revision=revision, timeout=10)
        return False
    except Exception as error:  # no network, no such model, a model with terms to accept: all end here
        with contextlib.suppress(OSError, ValueError):
            return bool(hf_hub_download(name, "config.json", revision=revision, local_files_only=True))
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    raise ValueError(
        f"it isn't a folder (looked from {Path.cwd().name!r}), and the model hub doesn't give it: {reason}. "
        "Check the spelling. Without a network, name the folder of a model that you have."
    )


def base_of(where: str, origin: dict[str, Any]) -> str | None:
    """Return the model that an adapter was made for, None for what is a model itself.

    Raises:
        ValueError: the adapter can't be loaded.
    """
    adapter = find_adapter_config_file(where, **origin)
    if not adapter:
        return None
    if list(Path(where).glob("model*.safetensors")):
        raise ValueError(
            "it holds both a model and an adapter: move adapter_config.json and the adapter's weights into "
            "a folder of their own, or delete them."
        )
    if not is_peft_available():
        raise ValueError("it is an adapter, and to load one takes peft: pip install peft.")
    config = json.loads(Path(adapter).read_text(encoding="utf-8"))
    if not config.get("base_model_name_or_path"):
        raise ValueError("its adapter_config.json names no base_model_name_or_path: write the model's there.")
    return str(config["base_model_name_or_path"])


def merged(model: Any, tokenizer: Any, where: str, origin: dict[str, Any]) -> tuple[Any, Any]:
    """Return a model with an adapter in its weights, and the adapter's tokenizer if it brings one."""
    from peft import PeftModel

    if cached_file(where, "tokenizer_config.json", **origin, _raise_exceptions_for_missing_entries=False):
        tokenizer = AutoTokenizer.from_pretrained(where, **origin, trust_remote_code=False)
        if len(tokenizer) > model.get_input_embeddings().num_embeddings:
            model.resize_token_embeddings(len(tokenizer))
    adapted = PeftModel.from_pretrained(model, where, **origin)
    if not hasattr(adapted, "merge_and_unload"):
        raise ValueError(
            f"an adapter of the kind {adapted.peft_type} can't be merged: only LoRA and its relatives can."
        )
    return adapted.merge_and_unload(), tokenizer


def check(where: str, origin: dict[str, Any]) -> None:
    """Refuse what loads as a language model, but is none (BERT), and what doesn't load (T5).

    Raises:
        ValueError: the model was made for something else.
    """
    config, _ = PreTrainedConfig.get_config_dict(where, **origin)
    for name in config.get("architectures") or []:
        if name not in FITTING and hasattr(transformers, name):
            raise ValueError(
                f"it holds a {name}, and this client needs a model that continues a text (its architecture, "
                "in config.json, mostly ends in ForCausalLM)."
            )


def reason(where: str, error: Exception) -> str:
    """Return why a model could not be loaded, and what to do, where transformers does not say it well."""
    files = [path.name for path in Path(where).glob("*")]
    if "trust_remote_code" in str(error):
        return (
            "it needs Python code of its own, which this client does not run: read that code, load the model "
            "with trust_remote_code=True, and register with loaded_model= and tokenizer=."
        )
    if "tokenizer" in str(error) and files and not any(name.startswith("token") for name in files):
        return "it has no tokenizer: copy tokenizer.json and tokenizer_config.json from where the model came."
    if any(name.endswith(".bin") for name in files) and not any(".safetensors" in name for name in files):
        return (
            "its weights are pickled (.bin), which can run any code: take a version with safetensors, or if "
            "you trust it, load and save it once with transformers."
        )
    return str(error)
