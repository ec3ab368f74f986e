"""Load a language model and its tokenizer through transformers. Generates nothing, and downloads nothing.

Weights are read from safetensors files only: the older format is a pickle, a program that runs when it is read.
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from index.embedding.device import Device, torch_device
from index.errors import ModelLoadError

from .hub_cache import cache_folder, is_complete
from .memory import ADVICE, ran_out_of_memory, release_memory
from .source import FolderSource, HubSource

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Quantization = Literal["none", "8bit", "4bit"]

_INSTEAD = "Or leave out --llm to use the evidence reader."
_PICKLES = ("*.bin", "*.pt", "*.pth")
_COMPUTES_BFLOAT16 = {"avx512_bf16", "amx_bf16"}  # x86; of other processors nothing was measured


def load_transformers_model(
    source: FolderSource | HubSource,
    *,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantization: Quantization = "none",
    trust_remote_code: bool = False,
) -> tuple[Any, Any]:
    """Return a tokenizer and a model that is ready to generate.

    Args:
        source: A folder, or a model of the hub cache.
        device: Where it runs; "auto": a GPU that torch can use, else the CPU.
        dtype: What its weights are; see :func:`chosen_dtype`.
        quantization: Whether the weights are made smaller while they are loaded.
        trust_remote_code: Whether program code of the model's own may run.

    Raises:
        ModelLoadError: If it is missing, damaged, too large or in need of what is not there; the message says what to
            do.
    """
    name = source.name
    folder = _folder(source)
    where = torch_device(device, "answering.device")
    try:
        options = _options(where, dtype, quantization)
        tokenizer, model = _load(folder, options, trust_remote_code)
        if model.device.type != where:  # one with fewer bits was loaded to where it runs, and may not be moved
            model = model.to(where)
        return tokenizer, model.eval()
    except ModelLoadError:
        raise
    except Exception as exc:  # a model's files, and its own code, can make the libraries raise anything
        if ran_out_of_memory(exc):
            release_memory(exc)
            raise ModelLoadError(f"The memory is too small for the language model {name}. {ADVICE}") from exc
        if "trust_remote_code" in str(exc):
            raise ModelLoadError(
                f"The language model {name} comes with program code of its own and cannot be loaded without it. "
                "If you trust those who made it: CITEWELL_ANSWERING__TRUST_REMOTE_CODE=true "
                f"(the setting answering.trust_remote_code). {_INSTEAD}"
            ) from exc
        raise ModelLoadError(f"The language model {name} cannot be loaded: {first_line(exc)} {_INSTEAD}") from exc


def chosen_dtype(dtype: Dtype, device: str) -> Any:
    """Return the torch dtype of a model's weights.

    "auto" is bfloat16, half the memory of float32, where the processor computes in it, and what is next best elsewhere:
    float16 on a GPU, float32 on a CPU. On two cores of a CPU with AVX512_BF16 (AMD EPYC, Zen 5) random models of the
    shape of Qwen3 read 512 tokens 3 times as fast in bfloat16 as in float32 (121 million parameters: 0.28 s instead of
    0.84 s; 596 million: 1.3 s instead of 4.1 s) and write a token 1.6 times as fast (21 ms instead of 36; 93 instead of
    142). AMX was not at hand; other processors get float32.
    """
    import torch

    if dtype != "auto":
        return getattr(torch, dtype)
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device == "mps":
        return torch.bfloat16 if torch.backends.mps.is_macos_or_newer(14, 0) else torch.float16
    return torch.bfloat16 if _COMPUTES_BFLOAT16 & _cpu_flags() else torch.float32


def first_line(exc: Exception) -> str:
    """Return the first line of an error's message as a sentence; libraries put pages after it."""
    line = next(iter(str(exc).strip().splitlines()), "") or type(exc).__name__
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _cpu_flags() -> set[str]:
    """Return what the processor can do, in Linux' words; nothing on other systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith("flags") for flag in line.partition(":")[2].split()}


def _folder(source: FolderSource | HubSource) -> Path:
    """Return the folder that holds a model's files.

    Raises:
        ModelLoadError: If the model is not on this machine, or without weights that can be read.
    """
    if isinstance(source, FolderSource):
        folder = source.path
        next_step = "Copy the whole folder"
    else:
        folder = _hub_folder(source.model_id)
        next_step = f"Download it again: citewell models pull {source.model_id}"
    if not is_complete(folder):
        name = source.name
        if not any(folder.glob("*.safetensors")) and any(found for kind in _PICKLES for found in folder.glob(kind)):
            raise ModelLoadError(
                f"The language model {name} has no safetensors weights, only pickles (.bin, .pt), which are programs "
                f"and are not loaded. Take a model, or a version of it, with model.safetensors. {_INSTEAD}"
            )
        raise ModelLoadError(f"The language model {name} is not whole: weights are missing. {next_step}. {_INSTEAD}")
    return folder


def _hub_folder(model_id: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model_id, local_files_only=True, cache_dir=cache_folder()))
    except (LocalEntryNotFoundError, HFValidationError) as exc:
        raise ModelLoadError(
            f"The model {model_id} is not on this machine. Download it once: citewell models pull {model_id}. "
            f"{_INSTEAD}"
        ) from exc


def _options(device: str, dtype: Dtype, quantization: Quantization) -> dict[str, Any]:
    options: dict[str, Any] = {"dtype": chosen_dtype(dtype, device)}
    if quantization == "none":
        return options
    missing = [package for package in ("bitsandbytes", "accelerate") if importlib.util.find_spec(package) is None]
    if missing:
        raise ModelLoadError(
            f"The setting answering.quantization is {quantization}, which needs {' and '.join(missing)}: "
            f"pip install {' '.join(missing)}"
        )
    import transformers

    config: Any = transformers.BitsAndBytesConfig
    kind: dict[str, Any] = (
        {"load_in_8bit": True}
        if quantization == "8bit"
        else {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": options["dtype"]}
    )
    return {**options, "quantization_config": config(**kind), "device_map": {"": device}}


def _load(folder: Path, options: dict[str, Any], trust_remote_code: bool) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": trust_remote_code}
    tokenizer = AutoTokenizer.from_pretrained(folder, **local)
    # The first call puts the tokenizer into the state in which all others leave it: two threads may then share it.
    tokenizer("a")
    with _no_bar():
        return tokenizer, AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, **options, **local)


@contextmanager
def _no_bar() -> Iterator[None]:
    """Keep transformers from drawing its bar on the terminal, where ours may stand."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
