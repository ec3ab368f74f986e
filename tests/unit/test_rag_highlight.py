"""The words that answer are marked only where their form tells which they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering.highlight import answering_span


@pytest.mark.parametrize(
    ("question", "sentence", "marked"),
    [
        ("how much faster is GENet?", "GENet is up to 6.4 times faster than EfficientNet.", "up to 6.4 times"),
        ("What accuracy does it reach?", "It reaches 81.3% top-1 accuracy.", "81.3%"),
        ("How many languages are covered?", "We cover 12 languages with 300 hours of speech.", "12"),
        ("how many hours of speech?", "We cover 12 languages with 300 hours of speech.", "300 hours"),
        ("What score on ImageNet?", "It reaches 81.3% on ImageNet and 99.0% on CIFAR-10.", ""),  # two could be it
        ("How fast is 4.3x?", "It is 4.3x faster.", ""),  # the question holds it already
        ("How does it work?", "It runs 4.3x faster.", ""),  # no quantity is asked for
        ("What is the algorithm called?", "We name it RHIP, a general algorithm.", "RHIP"),
        ("which datasets were used?", "We use CIFAR-10 and ImageNet.", ""),
        ("Which dataset was RIFormer trained on?", "RIFormer is trained on ImageNet.", "ImageNet"),
        ("how many parameters?", "ResNet-50 has 25 M parameters.", "25 M"),
        ("what accuracy", "Trained with GPT-4 and v1.5, it is accurate.", ""),  # numbers inside names
    ],
)
def test_what_is_marked(question: str, sentence: str, marked: str) -> None:
    span = answering_span(question, sentence)
    assert ("" if span is None else sentence[span[0] : span[1]]) == marked


@given(st.text(max_size=80), st.text(max_size=200))
def test_a_span_is_inside_the_sentence(question: str, sentence: str) -> None:
    span = answering_span(f"How many {question}", sentence)
    assert span is None or 0 <= span[0] < span[1] <= len(sentence)
