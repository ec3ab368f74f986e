"""Cleaning: what must change, what must not, and that doing it twice changes nothing."""

import re
import sys
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index import text
from index.bundled import bundled_papers
from index.text import clean_text, strip_invisible


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        # From the listing, where the backslashes of commands were lost.
        ("up to 2times inference speed-up", "up to 2× inference speed-up"),
        (r"while achieving sim2-4\% higher mAP", "while achieving ~2-4% higher mAP"),
        ("geq 81.3% top-1", "≥ 81.3% top-1"),
        ("a 1.8%sim8.2% improvement", "a 1.8%~8.2% improvement"),
        (r"only sim 10\% of the parameters", "only ~10% of the parameters"),
        ("3.3times, 1.8times, and 2.5times", "3.3×, 1.8×, and 2.5×"),
        ("1.3-2.4times -- equivalent", "1.3-2.4× -- equivalent"),
        (r"a backbone, called {\SST}, for 3D", "a backbone, called SST, for 3D"),
        (r"a quantity {\Psi} and Spearman's {\rho}", "a quantity Ψ and Spearman's ρ"),
        ("kernel size ktimes 2^ell for", "kernel size k× 2^ℓ for"),
        ("only ell+2 times", "only ℓ+2 times"),
        ("linear text{Sur}rogate costs", "linear Surrogate costs"),
        # Signs and commands that kept theirs.
        (r"95\% \& more \_ \#1", "95% & more _ #1"),
        (r"is $\sim$5 and $\geq 3$ and \leq 2", "is ~5 and ≥ 3 and ≤ 2"),
        (r"$2\times$ faster, 10$^{-3}$", "2× faster, 10^{-3}"),
        (r"\textbf{bold \textit{and} more}", "bold and more"),
        (r"$\mathcal{\Psi}$", "Ψ"),
        (r"\HyperRouter stays", r"\HyperRouter stays"),
        ("for $ H $ steps of $ x_1 $", "for H steps of x_1"),
        ("$2$-approx of $3$", "2-approx of 3"),
        # Quotes.
        ("a ``seed graph'' and", "a “seed graph” and"),
        ('termed ``Meta-SpikeFormer", whose', "termed “Meta-SpikeFormer”, whose"),
        ('the ``texture sticking" issue', "the “texture sticking” issue"),
        ("``a `b' c'' d", "“a `b' c” d"),
        ("``is 'it'''", "“is 'it'”"),
        ("f''(x) < 0", "f''(x) < 0"),
        # White space and what cannot be seen.
        ("  a\n b\t\tc  ", "a b c"),
        ("page\x0cbreak line\x85end", "page break line end"),
        ("zero\u200bwidth\ufeff so\u00adft", "zerowidth soft"),
        ("right\u202eleft\x00", "rightleft"),
        ("e\u0301te\u0301", "été"),
        ("e\u200b\u0301", "é"),
    ],
)
def test_cleaned(raw: str, cleaned: str) -> None:
    assert clean_text(raw) == cleaned
    assert clean_text(cleaned) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "sometimes it takes 3 times longer",
        "Simulation of similar sim2real transfer, real2sim2real and sim2art",
        "at times, simple simulators; the times were similar",
        "compute sem_sim 0.459 as a simile",
        "10pm is late; 3 pm; spam",
        "bell cells sell; geqrf is a routine",
        "costs $5 and $7",
        "between $1M and $2M, from US$5 to US$7",
        "costs $250, and an average of $1.52 million",
        "(about $0.08) reduced costs by 98.1% (about $0.05)",
        "costs $5 per hour, 6$ for two",
        "a 'quoted' word and it's \"quoted\" too",
        "x = {a, b}; f(x)_i^2",
        "线性代数。第二句。",
    ],
)
def test_normal_words_are_left_alone(text: str) -> None:
    assert clean_text(text) == text


@pytest.mark.parametrize(("raw", "cleaned"), [(r"\$5 and \$7", "$5 and $7"), (r"\$5 of $x$", "$5 of x")])
def test_escaped_dollars_are_prices(raw: str, cleaned: str) -> None:
    assert clean_text(raw) == cleaned


TEX_PIECES = st.sampled_from(
    [*"\\{}$%`'\"“” \t\n12x^_,.", "``", "''", "\\text{", "text{", "{\\SST}", "\\sim", "sim", "2times", "times3", "pm",
     "\\geq", "geq", "ell", "\\textbf{", "\\$", "\u200b", "\u0301", "é", "\ud800", "\x0c"]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(TEX_PIECES, max_size=40).map("".join)))
def test_cleaning_twice_changes_nothing(raw: str) -> None:
    cleaned = clean_text(raw)
    assert clean_text(cleaned) == cleaned


@given(st.one_of(st.text(), st.lists(TEX_PIECES, max_size=40).map("".join)))
def test_result_is_one_line_of_encodable_nfc(raw: str) -> None:
    cleaned = clean_text(raw)
    assert unicodedata.is_normalized("NFC", cleaned)
    assert cleaned == " ".join(cleaned.split())
    assert cleaned == strip_invisible(cleaned)
    cleaned.encode()


@given(st.lists(st.from_regex(r"[A-Za-z]{2,12}[.,;:!?]?", fullmatch=True), max_size=30))
def test_plain_words_pass_through(words: list[str]) -> None:
    lost_commands = {"geq", "leq", "text", "ell"}
    plain = [
        word for word in words if word.strip(".,;:!?") not in lost_commands and not word.strip(".,;:!?")[1:] == "times"
    ]
    assert clean_text(" ".join(plain)) == " ".join(plain)


def test_strip_invisible_keeps_line_ends() -> None:
    assert strip_invisible("a\tb\r\nc\x07\u200d") == "a\tb\r\nc"


@pytest.mark.parametrize(
    "hidden",
    ["\u00ad", "\u061c", "\u180e", "\u200b", "\u200d", "\u202e", "\u2060", "\u2066", "\u2069", "\ufeff", "\ufff9",
     "\U000e0001", "\U000e0041", "\U000e007f", "\x00", "\x1b", "\x7f", "\x9b"],
)  # fmt: skip
def test_what_is_never_seen_is_dropped(hidden: str) -> None:
    assert strip_invisible(f"a{hidden}b") == "ab"
    assert clean_text(f"a{hidden}b {hidden} c") == "ab c"


def test_every_format_character_is_dropped() -> None:
    characters = [chr(n) for n in range(sys.maxunicode + 1) if unicodedata.category(chr(n)) == "Cf"]
    assert strip_invisible("".join(characters)) == ""


@pytest.mark.parametrize("depth", [1, 5, 12, 500])
def test_styles_nested_without_end_cost_little_and_settle(depth: int) -> None:
    raw = "\\textbf{" * depth + "x" + "}" * depth
    cleaned = clean_text(raw)
    assert clean_text(cleaned) == cleaned
    assert cleaned in ("x", raw)
    assert depth > 5 or cleaned == "x"


@pytest.mark.parametrize(
    "piece", ["x", "\\textbf{", "{", "$ a", "“", "$1", "\\", "``", "$ ^", "\\emph{a} ", "\u200b ", "''"]
)
def test_long_text_of_any_kind_takes_little_time(piece: str) -> None:
    began = time.perf_counter()
    clean_text(piece * (100_000 // len(piece)))
    assert time.perf_counter() - began < 2


# -- early exits ----------------------------------------------------------------------------------------------


def cleaned_by_every_rule(raw: str) -> str:
    """What ``clean_text`` is to return, with each rule tried on each text and written as it reads best."""
    rules = (
        (r"\\([%&_#$])", r"\1"),
        (rf"\\(?:{text._TEX_STYLES})\s*\{{([^{{}}]*)\}}", r"\1"),
        (r"(?<![A-Za-z\\])text\{([^{}]*)\}", r"\1"),
        (r"``", "“"),
        (r"(“[^“”\"]{1,300}?)''(?!')", r"\1”"),
        (r"(“[^“”\"]{1,80})\"", r"\1”"),
        (r"(?<=\d)times(?![A-Za-z])", "×"),
        (r"\b([A-Za-z])times\b", r"\1×"),
        (r"(?<![A-Za-z\\_])sim\s?(?=\d)(?!2[A-Za-z])", "~"),
        (r"\bgeq\b", "≥"),
        (r"\bleq\b", "≤"),
        (r"(?<=\d)pm(?=\d)", "±"),
        (r"(?<=\^)ell\b", "ℓ"),
        (r"\bell(?=[\^_+]| levels\b)", "ℓ"),
    )
    plain = now = unicodedata.normalize("NFC", re.sub(r"\s+", " ", strip_invisible(re.sub(r"\s+", " ", raw))).strip())
    for _ in range(text._ROUNDS):
        after = text._MATHEMATICS.sub(lambda m: m[m.lastindex or 0].strip(), text._TEX_COMMAND.sub(text._symbol, now))
        for pattern, replacement in rules:
            after = re.sub(pattern, replacement, after)
        after = unicodedata.normalize("NFC", re.sub(r"\s+", " ", after).strip())
        if after == now:
            return now
        now = after
    return plain


PIECES = st.sampled_from(
    ["\\", "$", "{", "}", "text{", "``", "''", '"', "“", "times", "sim", "geq", "leq", "pm", "ell", " levels", "^", "_",
     "+", "2", "7", "a", "k", "Z", "é", "e\u0301", " ", "\n", "\x1c", "\u2028", "\u200b", "\\textbf{", "\\alpha", ".",
     "²"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=25).map("".join))
@settings(max_examples=1000)
def test_a_rule_is_passed_over_only_where_it_would_change_nothing(raw: str) -> None:
    assert clean_text(raw) == cleaned_by_every_rule(raw)


def test_the_same_on_real_abstracts() -> None:
    for paper in bundled_papers():
        raw = f"{paper.title}\n{paper.abstract} $x$ 3times, sim 5"
        assert clean_text(raw) == cleaned_by_every_rule(raw)
