"""Measure what Citewell adds to a language model that runs here, and how soon the first paper is shown.

    python -m eval.bench.llm_overhead [--layers 28] [--rounds 5] [--out FOLDER]

The model has the shape of Qwen3-0.6B and random weights, so that every step costs what it costs with the real ones;
what it writes is forced upon it, token by token, so that there is something to ground. The same prompt and the same
tokens go through bare ``model.generate`` with a streamer, and through ``PaperQA.stream``: citation rules, stopping,
sentences, grounding of every sentence by the evidence reader on the same cores. Both in turn, in one run.
"""

import argparse
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from index.bundled import bundled_papers
from rag import CancelToken, Done, PaperQA, Sentence, Settings, Sources, Token
from rag.llm.source import FolderSource
from rag.llm.transformers_model import LocalLLM

from ..cli import EXAMPLE_QUESTIONS
from ..dataset import load_questions
from .measuring import machine, peak_megabytes, spread
from .tables import table

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VOCABULARY = 151_936  # of Qwen3: the last layer costs a tenth of a step
QUESTION = "Which paper removes token mixers from a vision backbone, and how does it avoid the accuracy drop?"
ANSWER = (
    "RIFormer removes the token mixers in the basic building blocks of a vision backbone while keeping it effective "
    "[1]. Removing them directly leads to an incomplete model structure prior and brings a significant accuracy drop "
    "[1]. A RepIdentityFormer based on the re-parameterizing idea is developed to study the token mixer free "
    "architecture [1]. An improved learning paradigm breaks the limitation of the simple token mixer free backbone [1]."
)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(prog="python -m eval.bench.llm_overhead", description=__doc__)
    parser.add_argument("--layers", type=int, default=28, help="layers of the model; fewer for a quick try")
    parser.add_argument("--rounds", type=int, default=5, help="answers of each kind")
    parser.add_argument("--out", type=Path, default=Path("bench-llm"), help="where model, index and figures are kept")
    arguments = parser.parse_args()
    folder = build_model(arguments.out / f"model-{arguments.layers}", arguments.layers)
    qa, llm = _open(arguments.out, folder)
    script = llm._tokenizer(ANSWER)["input_ids"]
    _force(llm._model, script)
    bare = _bare_model(folder, script)
    taken: dict[str, list[float]] = {"bare": [], "Citewell": []}
    kept = 0
    prompt = _prompt(qa)
    for number in range(arguments.rounds + 1):  # the first round warms up
        rates = {"bare": _bare_rate(bare, llm._tokenizer, prompt, len(script))}
        rates["Citewell"], kept = _own_rate(qa, len(script))
        if number:
            for name, rate in rates.items():
                taken[name].append(rate)
    sources = _first_sources(qa)
    loss = [1 - own / other for own, other in zip(taken["Citewell"], taken["bare"], strict=True)]
    result = {
        "machine": machine(),
        "layers": arguments.layers,
        "dtype": str(llm._model.dtype),
        "prompt_tokens": llm.count_tokens(prompt),
        "written_tokens": len(script),
        "sentences_kept": kept,
        "tokens_per_second": {name: spread(rates) for name, rates in taken.items()},
        "overhead": round(float(np.median(loss)), 4),
        "first_sources_ms": spread(sources),
        "peak_megabytes": peak_megabytes(),
    }
    (arguments.out / "llm-overhead.json").write_text(json.dumps(result, indent=2), encoding="utf-8")
    rows = [("", "tokens/s, median", "range")]
    rows += [(name, f"{np.median(r):.2f}", f"{min(r):.2f} to {max(r):.2f}") for name, r in taken.items()]
    print(table(rows))
    print(f"\nOverhead {result['overhead']:.1%} (median of the rounds' differences); {kept} sentences kept.")
    print(f"First papers shown after {result['first_sources_ms']} ms.")


def build_model(folder: Path, layers: int) -> Path:
    """Save a model of random weights with a tokenizer that knows the words of the bundled papers, once."""
    if (folder / "model.safetensors").exists():
        return folder
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8000,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator((paper.abstract for paper in bundled_papers()), trainer)
    make: Any = PreTrainedTokenizerFast
    fast = make(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=layers,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        eos_token_id=fast.eos_token_id,
        pad_token_id=fast.pad_token_id,
        bos_token_id=None,
    )
    model: Any = Qwen3ForCausalLM(config)
    model.to(torch.bfloat16).save_pretrained(folder)
    return folder


def _open(out: Path, folder: Path) -> tuple[PaperQA, LocalLLM]:
    llm = LocalLLM(FolderSource(folder))
    qa = PaperQA.open(out / "example.idx", llm=llm, settings=Settings(index={"cache_dir": out}))
    qa.add(bundled_papers())
    return qa, llm


def _bare_model(folder: Path, script: list[int]) -> Any:
    from transformers import AutoModelForCausalLM

    from rag.llm.transformers_loading import chosen_dtype

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=chosen_dtype("auto", "cpu"))
    _force(model.eval(), script)
    return model


def _force(model: Any, script: list[int]) -> None:
    """Make the model write a text, then end: in each step the next token of the script gets the highest score."""
    written = 0

    def lift(module: Any, positional: Any, named: dict[str, Any], result: Any) -> None:
        nonlocal written
        if named["input_ids"].shape[1] > 1:  # it reads a prompt
            written = 0
        wanted = script[written] if written < len(script) else model.config.eos_token_id
        result.logits[:, -1, wanted] += 1e4
        written += 1

    model.register_forward_hook(lift, with_kwargs=True)


def _prompt(qa: PaperQA) -> str:
    answer = qa.ask(QUESTION)
    return answer.trace.prompt


def _bare_rate(model: Any, tokenizer: Any, prompt: str, tokens: int) -> float:
    """Return the tokens per second after the first, of plain generation with a streamer that somebody reads."""
    from transformers import TextIteratorStreamer

    inputs = tokenizer(prompt, return_tensors="pt")
    streamer: Any = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    options = {"max_new_tokens": tokens + 1, "do_sample": False, "streamer": streamer}
    thread = threading.Thread(target=lambda: model.generate(**inputs, **options))
    thread.start()
    begun = 0.0
    for piece in streamer:
        begun = begun or (time.perf_counter() if piece else 0.0)
    ended = time.perf_counter()
    thread.join()
    return (tokens - 1) / (ended - begun)


def _own_rate(qa: PaperQA, tokens: int) -> tuple[float, int]:
    """Return the tokens per second after the first, to the finished answer, and the sentences that were kept."""
    begun, kept = 0.0, 0
    for event in qa.stream(QUESTION):
        if isinstance(event, Token):
            begun = begun or time.perf_counter()
        elif isinstance(event, Sentence):
            kept += 1
        elif isinstance(event, Done):
            return (tokens - 1) / (time.perf_counter() - begun), kept
    raise AssertionError("a stream ends with Done")


def _first_sources(qa: PaperQA) -> list[float]:
    """Return the milliseconds from question to first papers, for the example questions."""
    taken = []
    for question in load_questions(EXAMPLE_QUESTIONS):
        history = [{"role": turn.role, "content": turn.content} for turn in question.history]
        cancel = CancelToken()
        begun = time.perf_counter()
        events: Iterator[Any] = qa.stream(question.question, history or None, cancel=cancel)
        for event in events:
            if isinstance(event, Sources):
                taken.append(1e3 * (time.perf_counter() - begun))
                break
        cancel.cancel()
        events.close()  # type: ignore[attr-defined]  # it is a generator: nothing is written
    return taken


if __name__ == "__main__":
    main()
