import json
import math

import numpy as np
import pytest
from fakes import HashEncoder
from typer.testing import CliRunner

import eval.cli
from eval.evidence import in_order, load_evidence_set, ranked, run_evidence
from eval.evidence_set import Abstract, Sort
from eval.run import Dataset, Histogram, parse_run, run_json
from eval.stored import stored_papers
from index.embedding.encoder import PassageVectors, unit
from index.errors import EvalDataError
from rag.evidence.reader import Reading

DATASET = Dataset("abstracts.jsonl", "0" * 64)
FIRST = {
    "id": "a",
    "title": "On mixers",
    "sentences": ["Mixers are slow.", "We remove them.", "It runs four times faster.", "Code is here."],
    "questions": [{"q": "how fast?", "kind": "number", "sents": [2], "also": [1]}],
    "answerable2": [{"q": "What is slow?", "sents": [0, 3]}],
    "unanswerable": [{"q": "how large?", "near": [2]}],
    "claim_true": "It is four times faster.",
    "claim_sents": [2],
    "claim_edit": "It is five times faster.",
    "claim_false": "It is smaller.",
}
SECOND = {
    "id": "b",
    "title": "On whales",
    "sentences": ["Whales sing at night.", "Nobody knows why."],
    "questions": [{"q": "when do whales sing?", "kind": "factoid", "sents": [0], "also": [1]}],
    "claim_true": "Whales sing at night.",
    "claim_sents": [0],
    "claim_true2": "No one knows why.",
    "claim_true2_sents": [1],
    "claim_edit": "Whales sing at noon.",
    "claim_false": "Whales are fish.",
}
# What the reader says: by text, and whether the abstract is whole.
EVIDENCE = {
    "how fast?": [0.1, 0.9, 0.8, 0.0],  # the partly relevant sentence first, then the right one
    "What is slow?": [0.0, 0.9, 0.8, 0.7],  # one of two right sentences, in third place
    "when do whales sing?": [0.9, 0.1],
    "It is four times faster.": [0.0, 0.0, 0.9, 0.0],
    "Whales sing at night.": [0.1, 0.9],
    "No one knows why.": [0.5, 0.5],  # equals: the earlier counts as first
}
ANSWERABLE = {
    ("how fast?", True): 3.0,
    ("how fast?", False): 1.0,
    ("What is slow?", True): 0.5,
    ("What is slow?", False): 2.0,
    ("when do whales sing?", True): 1.5,
    ("how large?", True): 1.0,
}
SUPPORTED = {
    ("It is four times faster.", True): 4.0,
    ("It is four times faster.", False): 0.0,
    ("Whales sing at night.", True): 2.0,
    ("Whales sing at night.", False): 2.0,
    ("No one knows why.", True): 1.0,
    ("No one knows why.", False): 3.0,
    ("It is five times faster.", True): 3.0,
    ("Whales sing at noon.", True): 5.0,
    ("It is smaller.", True): 0.5,
    ("Whales are fish.", True): 2.5,
}
SIZES = {"a": 4, "b": 2}


class ScriptedReader:
    """An ``EvidenceReader`` that answers by the tables above and keeps what it was shown."""

    def __init__(self):
        self.shown = []

    def judge(self, query, papers):
        readings = []
        for paper in papers:
            self.shown.append((query, paper))
            whole = len(paper.sentences) == SIZES[paper.paper.id[0]]
            scores = np.array(EVIDENCE.get(query.text, [0.0] * len(paper.sentences)), dtype=np.float32)
            scores = scores if whole else np.zeros(len(paper.sentences), dtype=np.float32)
            readings.append(
                Reading(
                    evidence=scores,
                    support=-scores,
                    answerable=ANSWERABLE.get((query.text, whole), math.nan),
                    supported=SUPPORTED.get((query.text, whole), math.nan),
                    relevant=0.25,
                )
            )
        return readings


class ContextEncoder(HashEncoder):
    """Sentence vectors that hold some of the whole passage, as those of a real model do."""

    def embed_passages(self, passages):
        return [
            PassageVectors(one.passage, unit(one.sentences + one.passage)) for one in super().embed_passages(passages)
        ]


@pytest.fixture
def write(tmp_path):
    def write_lines(*lines, name="abstracts.jsonl"):
        path = tmp_path / name
        path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
        return path

    return write_lines


@pytest.fixture
def measured(write):
    return load_evidence_set(write(FIRST, SECOND))


@pytest.fixture
def reader():
    return ScriptedReader()


@pytest.fixture
def run(measured, reader):
    return run_evidence(reader, HashEncoder(), measured, DATASET, {"a": 1})


def row(run, name):
    return next(row for row in run.rows if row.id == name)


def test_every_text_is_a_row_under_its_kind(run):
    assert [(row.id, row.group) for row in run.rows] == [
        ("a answerable 1", "number"),
        ("a answerable 2", "other"),
        ("a unanswerable 1", "unanswerable question"),
        ("a true 1", "true claim"),
        ("a edit", "edited claim"),
        ("a false", "false claim"),
        ("b answerable 1", "factoid"),
        ("b true 1", "true claim"),
        ("b true 2", "true claim"),
        ("b edit", "edited claim"),
        ("b false", "false claim"),
    ]


def test_sentence_hits_by_hand(run):
    # "how fast?": right without the neutral sentence, wrong with it. "What is slow?": wrong. Whales: right.
    assert run.measure("hit@1").value == pytest.approx(2 / 3)
    assert run.measure("strict_hit@1").value == pytest.approx(1 / 3)
    # Of two right sentences one is among the first three; the others are found.
    assert run.measure("recall@3").value == pytest.approx((1 + 0.5 + 1) / 3)
    assert run.measure("strict_recall@3").value == pytest.approx((1 + 0.5 + 1) / 3)
    assert run.measure("hit@1").n == 3
    assert run.group("number").measure("hit@1").value == 1.0
    assert run.group("number").measure("strict_hit@1").value == 0.0
    assert run.group("other").measure("hit@1").value == 0.0
    # Claims: four times faster is right, the whales' first claim is wrong, the second loses by its place.
    assert run.measure("claim_hit@1").value == pytest.approx(1 / 3)
    assert run.measure("claim_recall@3").value == 1.0
    # Support is evidence with the sign turned: four times faster is last; the whales' first claim is right.
    assert run.measure("support_hit@1").value == pytest.approx(1 / 3)


def test_neutral_sentences_count_neither_way_in_recall(write):
    sentences = ["a.", "b.", "c.", "d.", "e."]
    question = {"q": "?", "sents": [4], "also": [0, 1, 2, 3]}
    line = FIRST | {"id": "x", "sentences": sentences, "questions": [question], "answerable2": [], "claim_sents": [0]}

    class Reader:
        def judge(self, query, papers):
            return [
                Reading(scores := -np.arange(len(paper.sentences), dtype=np.float32), scores, 0.0, 0.0, 0.0)
                for paper in papers
            ]

    found = row(run_evidence(Reader(), HashEncoder(), load_evidence_set(write(line)), DATASET, {}), "x answerable 1")
    assert (found.scores["hit@1"], found.scores["recall@3"]) == (1.0, 1.0)
    assert (found.scores["strict_hit@1"], found.scores["strict_recall@3"]) == (0.0, 0.0)


def test_answerability_by_hand(run):
    # Twins: 3.0 and 0.5 whole; 1.0 and 2.0 reduced. The whale question removes every sentence, and has no twin.
    assert run.measure("answerable_twins").value == pytest.approx((2 + 0) / 4)
    assert run.measure("answerable_twins").n == 4
    assert run.measure("answerable_pairs").value == 0.5  # "how fast?" in order, "What is slow?" not
    assert run.measure("answerable_pairs").n == 2
    assert row(run, "b answerable 1").scores["answerable_twin"] is None
    # Written: 3.0, 0.5 and 1.5 against 1.0.
    assert run.measure("answerable_written").value == pytest.approx(2 / 3)


def test_support_by_hand(run):
    # Twins: whole 4, 2, 1; reduced 0, 2, 3. 4 beats all; 2 beats 0, ties 2; 1 beats 0: (3 + 1.5 + 1) / 9.
    assert run.measure("support_twins").value == pytest.approx(5.5 / 9)
    assert run.measure("support_pairs").value == pytest.approx((1 + 0.5 + 0) / 3)
    # Edits: 4 and 2 against 3 and 5; the claims that were not edited do not count.
    assert run.measure("support_edits").value == pytest.approx(1 / 4)
    assert run.measure("edit_pairs").value == 0.5
    assert (run.measure("edit_pairs").n, run.measure("support_edits").n) == (2, 4)
    # True 4, 2, 1 against false 0.5, 2.5: 4 beats both, 2 and 1 beat one.
    assert run.measure("support_written").value == pytest.approx(4 / 6)


def test_removed_sentences_are_gone_from_text_terms_and_vectors(measured, reader):
    encoder = ContextEncoder()
    run_evidence(reader, encoder, measured, DATASET, {})
    whole, reduced = (paper for query, paper in reader.shown if query.text == "how fast?")
    assert whole.paper.abstract == " ".join(FIRST["sentences"])
    assert reduced.paper.abstract == "Mixers are slow. Code is here."
    assert [reduced.paper.abstract[start:end] for start, end in reduced.sentences] == [
        "Mixers are slow.",
        "Code is here.",
    ]
    assert {"faster", "four"} & whole.terms
    assert not {"faster", "four", "remov"} & reduced.terms
    # Its vectors are those of an abstract that never had the sentences, and not rows of the whole one's.
    (anew,) = stored_papers([Abstract("z", "On mixers", ("Mixers are slow.", "Code is here."))], ContextEncoder())
    assert np.array_equal(reduced.sentence_vectors, anew.sentence_vectors)
    assert np.array_equal(reduced.passage_vectors, anew.passage_vectors)
    assert not np.allclose(reduced.sentence_vectors[0], whole.sentence_vectors[0])
    assert not np.allclose(reduced.passage_vectors, whole.passage_vectors)


def test_texts_are_read_with_their_own_abstract_and_words_weighed_over_all(measured, reader):
    run_evidence(reader, HashEncoder(), measured, DATASET, {})
    by_text = {query.text: (query, paper.paper.id) for query, paper in reader.shown}
    assert by_text["how large?"][1] == "a"
    assert by_text["Whales are fish."][1] == "b"
    query, _ = by_text["when do whales sing?"]
    # "whale" and "sing" are in one of two abstracts: ln(1 + 1.5 / 1.5).
    assert query.weights == pytest.approx({"whale": math.log(2), "sing": math.log(2)})
    assert np.array_equal(query.vector, HashEncoder().embed_queries(["when do whales sing?"])[0])


def test_stored_papers_keep_the_sentences_and_long_ones_become_passages():
    sentences = ("One two three. Four.", "Five six seven eight.", "Nine")
    encoder = HashEncoder(max_tokens=12)  # title and room for marks leave 7 words
    (stored,) = stored_papers([Abstract("x", "A title", sentences)], encoder)
    assert tuple(stored.paper.abstract[start:end] for start, end in stored.sentences) == sentences
    assert stored.sentence_vectors.shape == (3, encoder.dimension)
    assert stored.passage_vectors.shape == (2, encoder.dimension)
    assert stored.sentence_vectors.dtype == stored.passage_vectors.dtype == np.float32
    expected = encoder.embed_queries(["A title\nOne two three. Four."])[0]
    assert np.allclose(stored.passage_vectors[0], expected, atol=1e-3)


def leaking(count):
    """Abstracts whose unanswerable questions and false claims are told by one word."""
    return [
        {
            "id": f"x{n}",
            "title": "T",
            "sentences": [f"Sentence {n}.", "Other."],
            "questions": [{"q": f"What is {n}?", "sents": [0]}],
            "unanswerable": [{"q": f"How exactly is {n}?"}],
            "claim_true": f"It is {n}.",
            "claim_sents": [0],
            "claim_false": f"It always is {n}.",
            "claim_edit": f"It never is {n}.",
        }
        for n in range(count)
    ]


class Blind:
    """Reads nothing: every score is 0."""

    def judge(self, query, papers):
        return [Reading(zeros := np.zeros(len(p.sentences), np.float32), zeros, 0.0, 0.0, 0.0) for p in papers]


def test_what_the_text_alone_gives_away_stands_beside(write):
    measured = load_evidence_set(write(*leaking(10)))
    run = run_evidence(Blind(), HashEncoder(), measured, DATASET, {})
    for name in ("answerable_twins", "answerable_written", "support_twins", "support_edits", "support_written"):
        assert run.measure(name).value == 0.5
    for name in ("answerable_pairs", "support_pairs", "edit_pairs"):
        assert run.measure(name).value == 0.5
    for name in ("text_alone_written", "text_alone_claims", "text_alone_edits", "text_alone_edit_pairs"):
        assert run.measure(name).value == 1.0
        assert run.measure(name).higher_is_better is None


def test_baselines_can_be_fitted_on_another_file_without_the_measured_abstracts(write):
    measured = load_evidence_set(write(*leaking(2)))
    assert "text_alone_written" not in {
        measure.name for measure in run_evidence(Blind(), HashEncoder(), measured, DATASET, {}).measures
    }  # too few to cross-validate
    other = load_evidence_set(write(*leaking(10), name="train.jsonl"))
    run = run_evidence(Blind(), HashEncoder(), measured, DATASET, {}, known=other)
    assert run.measure("text_alone_written").value == 1.0
    same = run_evidence(Blind(), HashEncoder(), measured, DATASET, {}, known=measured)
    assert "text_alone_written" not in {measure.name for measure in same.measures}


def test_progress_and_plots_and_the_round_trip(measured, reader):
    ticks = []
    run = run_evidence(reader, HashEncoder(), measured, DATASET, {"a": 1}, lambda *tick: ticks.append(tick))
    assert ticks == [(done, 11) for done in range(12)]
    whole, support = (plot for plot in run.plots if isinstance(plot, Histogram))
    assert [(series.name, series.values) for series in whole.series] == [
        ("answerable, whole", (3.0, 0.5, 1.5)),
        ("its sentences removed", (1.0, 2.0)),
        ("unanswerable", (1.0,)),
    ]
    assert [series.name for series in support.series] == ["true", "its sentences removed", "edited", "false"]
    assert parse_run(run_json(run), "here") == run


def test_a_limit_keeps_the_words_of_all_abstracts(measured):
    some = measured.of_abstracts([1])
    assert {case.abstract for case in some.cases} == {1}
    assert some.abstracts == measured.abstracts
    with pytest.raises(ValueError, match="no cases"):
        run_evidence(Blind(), HashEncoder(), measured.of_abstracts([]), DATASET, {})


def test_small_things():
    assert ranked(np.array([0.5, 0.9, 0.5, 0.1], np.float32)) == [1, 0, 2, 3]
    assert ranked(np.array([0.5, 0.9, 0.5, 0.1], np.float32), [1]) == [0, 2, 3]
    assert (in_order(2, 1), in_order(1, 1), in_order(1, 2)) == (1.0, 0.5, 0.0)
    with pytest.raises(ValueError, match="no other sentences"):
        Abstract("a", "t", ("one",)).without([0])


# SciFact.

CLAIM = {"split": "dev", "claim_id": "1", "claim": "Whales sing.", "doc_id": "d", "label": "SUPPORT",
         "sentence_idx": [0], "sentences": ["Whales sing at night.\n"],
         "doc_sentences": ["Whales sing at night.\n", "Nobody  knows.", "Ships do not."]}  # fmt: skip
CLAIMS = [
    CLAIM,
    CLAIM | {"sentence_idx": [2]},
    CLAIM | {"claim_id": "2", "claim": "Ships sing.", "label": "CONTRADICT", "sentence_idx": [2]},
    CLAIM | {"claim_id": "3", "label": "NOT_ENOUGH_INFO", "sentence_idx": [], "doc_sentences": None},
    CLAIM | {"claim_id": "2", "claim": "Ships sing.", "doc_id": "e", "label": "CONTRADICT", "sentence_idx": [1]},
    CLAIM | {"claim_id": "4", "doc_id": "f", "split": "train"},
    CLAIM | {"claim_id": "5", "doc_id": "g"},
]


def test_scifact_is_told_by_its_fields_and_read(write):
    path = write(*CLAIMS, name="evidence.jsonl")
    found = load_evidence_set(path)
    assert [(case.id, case.sort, case.group, case.sents, case.twin) for case in found.cases] == [
        ("1 d", Sort.TRUE, "SUPPORT", (0, 2), False),
        ("2 d", Sort.FALSE, "CONTRADICT", (2,), False),
        ("2 e", Sort.FALSE, "CONTRADICT", (1,), False),
        ("5 g", Sort.TRUE, "SUPPORT", (0,), False),
    ]
    assert found.abstracts[0] == Abstract("d", "", ("Whales sing at night.", "Nobody knows.", "Ships do not."))
    # "d" and "e" share a claim; "g" shares nothing.
    clusters = [case.cluster for case in found.cases]
    assert clusters[0] == clusters[1] == clusters[2] != clusters[3]
    assert [case.id for case in load_evidence_set(path, "train").cases] == ["4 f"]
    write({"_id": "d", "title": "On  whales", "text": "…"}, name="corpus.jsonl")
    assert load_evidence_set(path).abstracts[0].title == "On whales"


def test_scifact_by_hand(write):
    class Reader:
        def judge(self, query, papers):
            (paper,) = papers
            scores = np.array([0.1, 0.2, 0.9], np.float32)
            supported = {("Whales sing.", "d"): 2.0, ("Ships sing.", "d"): 1.0, ("Ships sing.", "e"): 3.0}
            return [Reading(scores, -scores, 0.0, supported.get((query.text, paper.paper.id), 0.5), 0.0)]

    run = run_evidence(Reader(), HashEncoder(), load_evidence_set(write(*CLAIMS)), DATASET, {})
    # Sentence 2 first each time: right for "1 d" and "2 d", wrong for "2 e" (1) and "5 g" (0).
    assert run.measure("claim_hit@1").value == 0.5
    assert run.measure("claim_recall@3").value == 1.0
    # SUPPORT 2.0 and 0.5 against CONTRADICT 1.0 and 3.0.
    assert run.measure("support_written").value == pytest.approx(1 / 4)
    assert "hit@1" not in {measure.name for measure in run.measures}
    assert parse_run(run_json(run), "here") == run


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (CLAIM | {"claim": " "}, "field claim"),
        (CLAIM | {"split": 1}, "field split"),
        (CLAIM | {"sentence_idx": []}, "field sentence_idx"),
        (CLAIM | {"sentence_idx": [3]}, "field sentence_idx: [3] does not fit the 3 sentences"),
        (CLAIM | {"sentence_idx": [True]}, "field sentence_idx"),
        (CLAIM | {"doc_sentences": ["a", ""]}, "field doc_sentences"),
        ([], "is not a JSON object"),
    ],
)
def test_a_broken_line_of_scifact_names_file_line_and_field(write, line, field):
    with pytest.raises(EvalDataError) as caught:
        load_evidence_set(write(CLAIM, line, name="evidence.jsonl"))
    assert "evidence.jsonl, line 2" in str(caught.value)
    assert field in str(caught.value)


def test_splits_that_are_not_there(write):
    with pytest.raises(EvalDataError, match=r"no 'test', but dev, train"):
        load_evidence_set(write(*CLAIMS), "test")
    with pytest.raises(EvalDataError, match="have no splits"):
        load_evidence_set(write(FIRST), "dev")


def test_the_shared_scifact_file_is_of_this_form(shared_data):
    found = load_evidence_set(shared_data / "scifact" / "evidence.jsonl")
    assert len(found.cases) == 209
    assert all(abstract.title for abstract in found.abstracts)


# The command.


def invoke(*arguments):
    return CliRunner().invoke(eval.cli.app, ["evidence", *map(str, arguments)])


@pytest.fixture
def fakes(monkeypatch, reader):
    monkeypatch.setattr("rag.evidence.loading.load_reader", lambda *arguments: reader)
    monkeypatch.setattr("index.embedding.loading.load_encoder", lambda *arguments: HashEncoder())


def test_command_prints_and_writes(fakes, write, tmp_path):
    out = tmp_path / "out.json"
    result = invoke(write(FIRST, SECOND), "--reader", "similarity", "--limit", 1, "--out", out)
    assert result.exit_code == 0, result.output
    assert "right sentence first" in result.stdout
    assert "of the question alone: 0.5" in result.stdout
    document = json.loads(out.read_text(encoding="utf-8"))
    assert document["settings"]["evidence"]["reader"] == "similarity"
    assert document["settings"]["eval"] == {"split": None, "train": None, "limit": 1}
    assert {row["details"]["abstract"] for row in document["rows"]} == {"a"}
    assert "<svg" in out.with_suffix(".html").read_text(encoding="utf-8")


def test_command_as_json(fakes, write, tmp_path):
    out = tmp_path / "out.json"
    result = invoke(write(FIRST, SECOND), "--json", "--train", write(*leaking(10), name="t.jsonl"), "--out", out)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads(out.read_text(encoding="utf-8"))


def test_command_leaves_errors_to_its_parent(fakes, write, tmp_path):
    assert isinstance(invoke(tmp_path / "absent.jsonl", "--out", tmp_path / "o.json").exception, EvalDataError)
    assert isinstance(invoke(write(FIRST), "--split", "dev", "--out", tmp_path / "o.json").exception, EvalDataError)
    assert invoke(write(FIRST), "--out", "/no/such/folder/x").exit_code == 2
