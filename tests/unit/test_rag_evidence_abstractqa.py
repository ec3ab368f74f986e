import json

import pytest

from index.errors import EvalDataError
from rag.evidence.abstractqa import Answerable, Unanswerable, load_abstracts

LINE = {
    "id": "a1",
    "category": "cs.LG",
    "title": "Mixers",
    "sentences": ["Mixers are slow.", "We remove them.", "It is 4x faster."],
    "questions": [{"q": "how fast?", "kind": "number", "sents": [2], "also": [1], "a": "4x"}],
    "answerable2": [{"q": "What is slow?", "sents": [0], "also": [], "a": "Mixers."}],
    "unanswerable": [{"q": "how large?", "near": [2]}],
    "unanswerable2": [{"q": "Who did it?", "near": []}],
    "claim_true": "It is four times faster.",
    "claim_sents": [2],
    "claim_true2": "Mixers are removed.",
    "claim_true2_sents": [1],
    "claim_false": "It is smaller.",
    "claim_edit": "It is five times faster.",
    "openq": "faster without mixers",
}


@pytest.fixture
def load(tmp_path):
    """Write lines (objects or texts) to a file and load it."""

    def load_lines(*lines):
        path = tmp_path / "abstracts.jsonl"
        path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), "utf-8")
        return load_abstracts(path)

    return load_lines


def test_every_field_is_read(load):
    (abstract,) = load(LINE)
    assert abstract.answerables == (
        Answerable("how fast?", (2,), (1,), "4x", "number"),
        Answerable("What is slow?", (0,), (), "Mixers.", ""),
    )
    assert abstract.unanswerables == (Unanswerable("how large?", (2,)), Unanswerable("Who did it?"))
    assert abstract.true_claims == (("It is four times faster.", (2,)), ("Mixers are removed.", (1,)))
    assert (abstract.claim_edit, abstract.claim_false) == ("It is five times faster.", "It is smaller.")
    paper = abstract.paper()
    assert (paper.id, paper.title) == ("a1", "Mixers")
    assert paper.abstract == "Mixers are slow. We remove them. It is 4x faster."


def test_what_may_be_left_out(load):
    optional = ("category", "answerable2", "unanswerable", "unanswerable2", "claim_true2", "claim_true2_sents", "openq")
    (abstract,) = load({name: value for name, value in LINE.items() if name not in optional})
    assert abstract.true_claims == (("It is four times faster.", (2,)),)
    assert len(abstract.answerables) == 1
    assert abstract.unanswerables == ()


def test_blank_lines_are_passed_over_and_other_line_separators_belong_to_the_text(load):
    strange = json.dumps(LINE | {"id": "b", "title": "Mix\u2028ers"}, ensure_ascii=False)
    first, second = load(LINE, "", strange, "  ")
    assert (first.id, second.id, second.title) == ("a1", "b", "Mix\u2028ers")


def changed(**fields):
    return LINE | fields


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("{", "field all"),
        ("[]", "field all"),
        (changed(title=" "), "field title"),
        (changed(sentences=[]), "field sentences"),
        (changed(sentences=["a", ""]), "field sentences.1"),
        (changed(questions=[{"q": "?", "sents": []}]), "field questions.0.sents"),
        (changed(questions=[{"q": "?", "sents": ["2"]}]), "field questions.0.sents.0"),
        (changed(questions=[{"q": "?", "sents": [-1]}]), "field questions.0.sents.0"),
        (changed(questions=[{"q": "?", "sents": [3]}]), "field sents or also of '?': the abstract has 3 sentences"),
        (changed(questions=[{"q": "?", "sents": [0], "also": [7]}]), "sentence 7 is named"),
        (
            changed(questions=[{"q": "?", "sents": [0, 1], "also": [1]}]),
            "field also of '?': sentence 1 is in sents too",
        ),
        (changed(unanswerable=[{"q": "?", "near": [3]}]), "field near of '?'"),
        (changed(claim_sents=[3]), "field claim_sents"),
        (changed(claim_true2_sents=[3]), "field claim_true2_sents"),
        (changed(claim_true2_sents=[]), "field claim_true2"),
        (changed(claim_true2=""), "field claim_true2"),
        (changed(claim_edit=None), "field claim_edit"),
        (changed(colour="red"), "field colour"),
        (LINE, "field id: 'a1' was there before"),
    ],
)
def test_a_broken_line_names_file_line_and_field(load, line, field):
    with pytest.raises(EvalDataError) as caught:
        load(LINE, "", line)
    assert "abstracts.jsonl, line 3, " in str(caught.value)
    assert field in str(caught.value)


def test_files_that_cannot_be_read(tmp_path, load):
    with pytest.raises(EvalDataError, match=r"absent\.jsonl cannot be read"):
        load_abstracts(tmp_path / "absent.jsonl")
    with pytest.raises(EvalDataError, match="holds no abstracts"):
        load("", " ")
    (tmp_path / "latin.jsonl").write_bytes(b'{"id": "\xe9"}')
    with pytest.raises(EvalDataError, match=r"latin\.jsonl is not UTF-8"):
        load_abstracts(tmp_path / "latin.jsonl")


def test_the_development_file_is_of_this_form(shared_data):
    abstracts = load_abstracts(shared_data / "abstractqa" / "dev.jsonl")
    assert len(abstracts) == 100
    assert sum(len(abstract.answerables) for abstract in abstracts) == 500
    assert sum(len(abstract.unanswerables) for abstract in abstracts) == 300
