"""An answer ends with a sentence when it comes near its limit, if the model lets it."""

from typing import Any

import pytest
import torch
from tiny_model import tiny_tokenizer

from rag.llm.ending import EndingProcessor, ends_sentence
from rag.llm.written_text import Vocabulary, WrittenText


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("It is fast.", " The"),
        ("It is fast [1].", " It"),
        ("It is fast. [1]", " It"),
        ("It is fast.[1, 2]", " It"),
        ("It is fast [1].", "\n\n"),
        ("It is fast. ", "The"),
        ('He said "it is fast."', " The"),
        ("It is **fast.**", " The"),
        ("- It is fast.\n- It is small.", "\n"),
        ("Is it fast?", " Yes"),
        ("很快。", "它"),
    ],
)
def test_a_sentence_is_over_when_another_begins(text: str, following: str) -> None:
    assert ends_sentence(text, following)


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("It is fast", " and"),
        ("It is fast.", " [1]"),
        ("It is fast.", "[1"),
        ("It is fast.", " "),
        ("It is fast.", '"'),
        ("It is fast.", ""),
        ("by 3.", "5"),
        ("It is fast, e.g.", " on"),
        ("as Smith et al.", " [2]"),
        ("as shown by Smith et al.", " Smith"),
        ("They are:\n1.", " First"),
        ("They are:\n- 2)", " Second"),
        ("It is fast [1", "]"),
        ("", " The"),
        ("Papers:", "\n"),
    ],
)
def test_a_sentence_that_goes_on_is_not_over(text: str, following: str) -> None:
    assert not ends_sentence(text, following)


class Writer:
    def __init__(self) -> None:
        self.tokenizer = tiny_tokenizer()
        self.vocabulary = Vocabulary(self.tokenizer)

    def write(self, wanted: str, limit: int, prompt: str = "") -> str:
        """Write a text as a model would that would write just that."""
        tokens = self.tokenizer(wanted)["input_ids"]
        written = WrittenText(self.vocabulary, 1)
        processor = EndingProcessor(written, limit, [self.tokenizer.eos_token_id], prompt)
        ids = [7]
        for token in tokens[:limit]:
            scores = torch.zeros(1, len(self.tokenizer))
            scores[0, token] = 1.0
            ids.append(int(processor(torch.tensor([ids]), scores).argmax()))
        text: str = self.tokenizer.decode(ids[1:]).split("<|im_end|>")[0]
        return text

    def count(self, text: str) -> int:
        return len(self.tokenizer(text)["input_ids"])


@pytest.fixture(scope="module")
def writer() -> Writer:
    return Writer()


ANSWER = (
    "It is a fast method [1]. It is small, too [2]. It needs no labels at all [3]. And it can be trained with ease [1]."
)


def test_an_answer_ends_with_the_last_sentence_before_the_limit(writer: Writer) -> None:
    three = ANSWER[: ANSWER.index(" And")]
    assert writer.write(ANSWER, writer.count(three) + 4) == three


def test_before_the_last_quarter_nothing_is_changed(writer: Writer) -> None:
    tokens = writer.count(ANSWER)
    assert writer.write(ANSWER, 4 * tokens) == ANSWER
    assert writer.write(ANSWER, tokens) in [ANSWER, ANSWER[: ANSWER.index(" And")]]


def test_a_sentence_longer_than_the_last_quarter_is_cut(writer: Writer) -> None:
    endless = "It is fast [1]. It is " + "very " * 200
    assert writer.count(writer.write(endless, 100)) == 100


@pytest.mark.parametrize(
    ("thought", "prompt"),
    [
        ("<think>", ""),
        ("", "<|im_start|>assistant\n<think>\n"),
        ("One. <think>Two.</think> <think>", ""),
        ("[THINK]", ""),
        ("◁think▷", ""),
        ("<|channel|>analysis<|message|>", ""),
    ],
)
def test_thinking_is_not_ended(writer: Writer, thought: str, prompt: str) -> None:
    text = thought + "It may be the first. It may be the second. It may be the third. It may be the fourth."
    assert writer.write(text, writer.count(text), prompt) == text


def test_what_comes_after_thinking_is_ended(writer: Writer) -> None:
    text = "It may be this.</think>" + ANSWER
    limit = writer.count(text[: text.index(" And")]) + 4
    assert writer.write(text, limit, "<think>") == text[: text.index(" And")]


def test_a_model_without_an_end_is_left_alone() -> None:
    written: Any = WrittenText(Vocabulary(tiny_tokenizer()), 1)
    scores = torch.rand(1, 10)
    assert EndingProcessor(written, 1, [])(torch.tensor([[1, 2]]), scores) is scores
