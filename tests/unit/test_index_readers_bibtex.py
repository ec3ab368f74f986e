"""Reading BibTeX: values, macros, names, LaTeX, and what damage costs."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.paper import Paper
from index.readers import Rejected, bibtex
from index.readers.latex import plain_text


def read(text: str) -> list[Paper | Rejected]:
    return list(bibtex.read(io.StringIO(text), "f"))


def one(fields: str, before: str = "") -> Paper:
    (paper,) = read(f"{before}@misc{{k, title = {{T}}, abstract = {{A.}}, {fields}}}\n")
    assert isinstance(paper, Paper), paper
    return paper


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"G{\"o}del, G\"odel, G\"{o}del, {\"{o}}", "Gödel, Gödel, Gödel, ö"),
        (r"\'{\i} \'i {\'\i} \v{\j}", "í í í ǰ"),
        (r"Erd{\H o}s \c{c} \c c \v Cech \k{a} \u{g} \r{a} \.z \=a \d{s} \b{d}", "Erdős ç ç Čech ą ğ å ż ā ṣ ḏ"),
        (r"\ss \o\O \l{} \L{}odz \ae \AE{} \aa ngstrom {\OE}uvre", "ßøØł Łodz æÆ ångstrom Œuvre"),
        (r"50\% \& \$5 \#1 a\_b \{x\}", "50% & $5 #1 a_b {x}"),
        (r"{T}he {\em Best} {\it of} \textbf{all} \emph{\textit{deep}} \texttt{x}", "The Best of all deep x"),
        (r"a~b\ c\,d\\e\-f", "a b c d ef"),
        (r"$x_{1}^{2} \geq \alpha$ stays", r"$x_{1}^{2} \geq \alpha$ stays"),
        (r"\unknown{kept} \alpha", r"\unknown{kept} \alpha"),
        (r"\textbackslash{}textbraceleft\textbraceleft{}\textasciitilde{}", "\\textbraceleft{~"),
        ("-- --- ``q''", "-- --- ``q''"),
        ("nothing to do", "nothing to do"),
    ],
)
def test_latex_is_read(latex: str, text: str) -> None:
    assert plain_text(latex) == text


@pytest.mark.parametrize(
    ("names", "authors"),
    [
        ("Lovelace, Ada and Alan Turing", ("Lovelace, Ada", "Alan Turing")),
        ("{Barnes and Noble} and Doe, J.", ("Barnes and Noble", "Doe, J.")),
        ("A. Anderson\n    and\n    B. Sand", ("A. Anderson", "B. Sand")),
        ("Doe, J. and others", ("Doe, J.",)),
        (r"{\'E}mile AND Zo{\"e}", ("Émile", "Zoë")),
        ("", ()),
    ],
)
def test_names(names: str, authors: tuple[str, ...]) -> None:
    assert one(f"author = {{{names}}}").authors == authors


@pytest.mark.parametrize(
    ("fields", "attribute", "value"),
    [
        ("year = 2001", "year", 2001),
        ('year = "c. 2001"', "year", 2001),
        ("year = {2001a}", "year", 2001),
        ("date = {2001-05}", "year", 2001),
        ("year = {in press}", "extra", {"date": "in press", "key": "k", "type": "misc"}),
        ("keywords = {a b, c}", "tags", ("a b", "c")),
        ("keywords = {a, b; c}", "tags", ("a, b", "c")),
        ("booktitle = {Proc.}", "venue", "Proc."),
        ("doi = {10.1000/a\\_b}", "doi", "10.1000/a_b"),
        ("eprint = {2304.05659v2}, archivePrefix = {arXiv}", "id", "arxiv:2304.05659"),
        ("eprint = {hep-th/9901001}, eprinttype = {arxiv}", "year", 1999),
        ("eprint = {2304.05659}", "extra", {"eprint": "2304.05659", "key": "k", "type": "misc"}),
        ("arxivid = {2304.05659}", "id", "arxiv:2304.05659"),
        ("journal = {arXiv preprint arXiv:2304.05659}", "id", "arxiv:2304.05659"),
        ("pmid = {77}", "id", "pmid:77"),
        ("eprint = {77}, eprinttype = {pubmed}", "id", "pmid:77"),
        ("url = {\\url{https://a.b/c_d}}", "url", "https://a.b/c_d"),
        ("note = {One  and\n two}", "extra", {"note": "One and two", "key": "k", "type": "misc"}),
        ("title = {Second}", "title", "T"),
        ("month = mar", "extra", {"month": "March", "key": "k", "type": "misc"}),
    ],
)
def test_fields(fields: str, attribute: str, value: object) -> None:
    assert getattr(one(fields), attribute) == value


def test_macros_are_joined_in_any_case() -> None:
    before = '@string{acm = "ACM "}\n@String(proc = {Proc. of } # acm)\n'
    assert one('journal = PROC # {Things} # " " # 7', before).venue == "Proc. of ACM Things 7"
    assert one("journal = unknown").venue == "unknown"


def test_macros_that_double_themselves_do_not_fill_the_memory() -> None:
    text = "@string{a = {0123456789}}\n" + "@string{a = a # a}\n" * 100
    rejected = read(text)
    assert rejected
    assert all("more than" in record.why for record in rejected if isinstance(record, Rejected))


def test_two_entries_with_one_key_stay_two_papers() -> None:
    first, second = read("@misc{k, title={A}, abstract={A.}}\n@misc{k, title={B}, abstract={B.}}\n")
    assert isinstance(first, Paper)
    assert isinstance(second, Paper)
    assert first.id != second.id
    assert first.extra["key"] == second.extra["key"] == "k"


@given(st.integers(0, 9), st.sampled_from(["{", "}", '"', "=", ","]), st.integers(0, 200))
def test_losing_any_one_sign_costs_at_most_one_entry(entry: int, sign: str, seed: int) -> None:
    entries = [
        f'@article{{k{n},\n  title = {{Title {n}}},\n  author = "Doe, Jane",\n  abstract = {{Abstract {n}.}}\n}}\n'
        for n in range(10)
    ]
    places = [place for place, found in enumerate(entries[entry]) if found == sign]
    lost = places[seed % len(places)]
    entries[entry] = entries[entry][:lost] + entries[entry][lost + 1 :]
    titles = {record.title for record in read("".join(entries)) if isinstance(record, Paper)}
    assert {f"Title {n}" for n in range(10) if n != entry} <= titles


def test_many_entries_on_one_line() -> None:
    text = "".join(f"@misc{{k{n}, title={{T{n}}}, abstract={{A.}}}} " for n in range(2000))
    assert len([record for record in read(text) if isinstance(record, Paper)]) == 2000


def test_a_byte_that_is_not_utf8_costs_its_entry() -> None:
    text = "@misc{a, title={T\udce9}, abstract={A.}}\n@misc{b, title={T}, abstract={A.}}\n"
    rejected, paper = read(text)
    assert rejected == Rejected("f:1 (a)", "record", "the entry is not UTF-8")
    assert isinstance(paper, Paper)
