"""What a statement commits itself to."""

import time

import pytest

from rag.claims import addresses, amounts, is_unit, markup, names, negation, numbers, opposites, turned_round, units


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It has 1,000 layers.", {"1,000": "1000"}),
        ("from 3.5 to 12,5", {"3.5": "3.5", "12,5": "12,5"}),
        ("Two of the seven sets", {"Two": "2", "seven": "7"}),
        ("one model is enough", {"one": "1"}),
        ("one of them, and one can see, no one, this one", {}),
        ("one another", {}),
        ("nothing", {}),
    ],
)
def test_numbers(text, expected):
    assert numbers(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We train BERT on ImageNet", ["BERT", "ImageNet"]),
        ("GPT-4 and ResNet50 win", ["GPT", "ResNet50"]),  # the 4 is judged as a number
        ("Models by Adam are used", ["Adam"]),
        ("The model is small", []),
    ],
)
def test_names(text, expected):
    assert list(dict.fromkeys(names(text))) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It does not help", "not"),
        ("Not only fast but small", ""),
        ("It can't help", "n't"),
        ("It fails to converge", "fails to"),
        ("See no. 5", ""),
        ("Without labels", "Without"),
        ("It helps", ""),
    ],
)
def test_negation(text, expected):
    assert negation(text) == expected


def test_opposites():
    assert "lower" in opposites("Higher")
    assert "higher" in opposites("lower")
    assert opposites("graph") == []


@pytest.mark.parametrize(
    ("statement", "sentence", "expected"),
    [
        ("higher accuracy", "lower accuracy", "higher"),
        ("higher accuracy", "accuracy", ""),
        ("higher accuracy", "a higher accuracy at lower cost", ""),
        ("with labels", "without labels", "with"),
        ("Before training", "after training", "before"),
    ],
)
def test_turned_round(statement, sentence, expected):
    assert turned_round(statement, sentence) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It takes 5 msec and 10%.", {"5": {"ms"}, "10": {"%"}}),
        ("by 10 percent", {"10": {"%"}}),
        ("by 2 percentage points", {"2": {"point"}}),
        ("2x faster, 3 times smaller", {"2": {"times"}, "3": {"times"}}),
        ("1,000 images and 12 layers", {"1000": {"image"}, "12": {"layer"}}),
        ("5 GB", {"5": {"gb"}}),
        ("7 dwarfs", {}),
    ],
)
def test_units(text, expected):
    assert units(text) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [("seconds", True), ("second", True), ("GB", True), ("ms", True), ("s", True), ("Layers", True), ("%", True),
     ("as", False), ("is", False), ("model", False), ("", False)],
)  # fmt: skip
def test_what_is_counted_or_measured_in(word, expected):
    assert is_unit(word) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See https://www.a.org/b?c=d, or (www.b.com).", {"a.org/b?c=d", "b.com"}),
        ("Open javascript:alert(1) or data:text/html,x", {"javascript:alert(1", "data:text/html,x"}),
        ("Ask ada.l@mail.example.org!", {"ada.l@mail.example.org"}),
        (
            "At evil.com:8080/x, 10.0.0.1/y, //c.io/z, ftp://d/e",
            {"evil.com:8080/x", "10.0.0.1/y", "c.io/z", "ftp://d/e"},
        ),
        ("exаmple.com/leak", {"exаmple.com/leak"}),  # with a Cyrillic letter
        ("ASP.NET, Node.js, e.g. 3.5/4.2 of the data: and/or v1.2. It", set()),
    ],
)
def test_addresses(text, expected):
    assert addresses(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a <b>c</b> d", {"<b>", "</b>"}),
        ("![x](y) and [z][w]", {"![x](", "[z]["}),
        ("<|im_end|> &lt; {{x}} ${y}", {"<|", "|>", "&lt;", "{{", "${"}),
        ('{"name": 1} and onerror=1', {'{"name":', "onerror=1"}),
        ("5 < 7 > 3, [MASK], p(x|y), O(n), {a, b}, R&D and x & y", set()),
    ],
)
def test_markup(text, expected):
    assert markup(text) == expected


@pytest.mark.parametrize(
    "bit", ["a.", "a-", "a@", "<a", "[x", "on", "http://", "1.", "&", "data:", "a/", "</", "![", "x."]
)
def test_the_time_grows_with_the_text(bit):
    began = time.perf_counter()
    addresses(bit * 5000)
    markup(bit * 5000)
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10,000 images", ["10000"]),
        ("10k, 10K, 2M and 1.5B images", ["10000", "10000", "2000000", "1500000000.0"]),
        ("ten thousand or two million images", ["10000", "2000000"]),
        ("10m, 5MB, 4kHz and 2.5x", ["10", "5", "4", "2.5"]),  # no multiples
        ("-0.8, −3 and $-4$", ["-0.8", "-3", "-4"]),
        ("5-10, 3 - 4 and GPT-4", ["5", "10", "3", "4", "4"]),  # no minus
        ("1.2.3 and 1,2", []),
        ("CIFAR10 and x2y", []),
    ],
)
def test_amounts(text, expected):
    found = amounts(text)
    assert [f"{'-' * amount.negative}{amount.value}" for amount in found] == expected
    assert all(text[amount.start : amount.end].startswith(amount.written) for amount in found)
