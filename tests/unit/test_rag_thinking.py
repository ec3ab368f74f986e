"""Thinking is told from an answer, whatever tags a family of models puts around it and however they come in pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering.thinking import Restart, ThinkingFilter
from rag.safety import neutralise
from rag.thinking_tags import is_inside, opens_at_end, tags_among

BLOCKS = [
    ("<think>", "</think>"),
    ("<Thought>", "</Thought>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    (
        "<|channel|>analysis<|message|>Look.<|end|><|start|>assistant<|channel|>commentary to=f json<|message|>",
        "<|call|><|start|>assistant<|channel|>final json<|message|>",
    ),
]


def passed(text: str, size: int, prompt: str = "") -> list[str | Restart]:
    thinking = ThinkingFilter(prompt)
    parts = [part for start in range(0, len(text), size) for part in thinking.feed(text[start : start + size])]
    return [*parts, thinking.end()]


def joined(text: str, size: int, prompt: str = "") -> str:
    parts = passed(text, size, prompt)
    last = max((place + 1 for place, part in enumerate(parts) if isinstance(part, Restart)), default=0)
    return "".join(part for part in parts[last:] if isinstance(part, str))


@pytest.mark.parametrize(("begin", "end"), BLOCKS)
@given(size=st.integers(1, 40))
def test_only_the_answer_is_passed_on(begin: str, end: str, size: int) -> None:
    assert joined(f"{begin}I guess 7 < 9. {end}It needs [40].", size) == "It needs [40]."
    assert joined(f"I guess 7.{end}It needs 40.", size) == "It needs 40."
    assert joined(f"{begin}I guess 7.", size) == ""
    assert joined(f"I guess 7.{end}It needs 40.", size, f"assistant\n{begin}\n") == "It needs 40."


@given(size=st.integers(1, 40))
def test_a_final_channel_alone_takes_nothing_back(size: int) -> None:
    parts = passed("<|channel|>final<|message|>It needs 40.", size)
    assert "".join(part for part in parts if isinstance(part, str)) == "It needs 40."
    assert not [part for part in parts if isinstance(part, Restart)]


@pytest.mark.parametrize("text", ["a < b <| c [T] <|channel|> of it", "x<", "<|end", "[/", "<|channel|>fi"])
@given(size=st.integers(1, 40))
def test_what_is_no_tag_is_passed_on(text: str, size: int) -> None:
    assert joined(text, size) == text


@pytest.mark.parametrize(("begin", "end"), BLOCKS)
def test_whether_a_text_ends_within_thinking(begin: str, end: str) -> None:
    assert is_inside(f"{begin}Let me see. ")
    assert not is_inside(f"{begin}Let me see. {end}It is")
    assert not is_inside(f"Let me see. {end}It is", inside=True)
    assert is_inside("Let me see.", inside=True)
    assert not is_inside("It is so.")
    assert not opens_at_end(f"{begin}{end}")


@pytest.mark.parametrize(("begin", "end"), BLOCKS)
def test_no_tag_of_thinking_stands_in_a_prompt(begin: str, end: str) -> None:
    text = neutralise(f"We show {begin} that {end} it works")
    assert not [sign for sign in "<>◁▷" if sign in text]
    assert "THINK]" not in text


def test_which_tokens_are_tags() -> None:
    assert tags_among({"<s>": 1, "[THINK]": 2, "◁/think▷": 3, "<|end|>": 4, "<|im_end|>": 5}) == {2, 3}
    assert tags_among({"<|channel|>": 1, "<|end|>": 2, "<|return|>": 3, "<|message|>": 4, "<|start|>": 5}) == {
        1,
        2,
        4,
        5,
    }
    assert tags_among({"</s>": 1}) == set()
