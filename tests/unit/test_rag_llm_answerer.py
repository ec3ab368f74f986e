"""What a model writes becomes settled sentences as it is written; what is settled stays."""

import re
from collections.abc import Sequence

import pytest
from fake_llm import ScriptedLLM
from fakes import HashEncoder, read_all
from hypothesis import given
from hypothesis import strategies as st

from index.embedding.encoder import PassageText
from index.errors import GenerationError
from index.paper import Paper
from index.rows import StoredPaper
from index.sentences import sentence_spans
from index.terms import document_terms
from rag.answer import Source
from rag.answering.llm_answerer import Draft, LLMAnswerer
from rag.citations import Markers
from rag.events import CancelToken, Event, Sentence, Token
from rag.evidence.reader import PaperEvidence
from rag.evidence.similarity import SimilarityReader
from rag.grounding import split_model_text, visible_text
from rag.question import Form
from rag.retrieval import Hit, Query
from rag.safety import MARKER

ENCODER = HashEncoder()
DROP = "The accuracy drop is avoided by re-parameterization"
REACH = "It reaches 81.3% on ImageNet"


def evidence() -> list[PaperEvidence]:
    paper = Paper.create(
        "RIFormer: Backbones without Token Mixers",
        f"We remove token mixers from the vision backbone. {DROP}. {REACH}. Wang et al. The code is public.",
    )
    spans = tuple(sentence_spans(paper.abstract))
    vectors = ENCODER.embed_passages([PassageText(paper.title, paper.abstract, spans)])[0]
    stored = StoredPaper(
        paper,
        spans,
        vectors.sentences,
        vectors.passage[None],
        frozenset(document_terms(f"{paper.title}\n{paper.abstract}")),
    )
    asked = Query("mixers", ENCODER.embed_queries(["mixers"])[0], (), {})
    hits = [Hit(Source(paper, 1, 1.0, 0.5, 0.5, 0.5, 1, 1), stored)]
    return read_all(asked, hits, Form.SINGLE)


def make_query(text: str) -> Query:
    return Query(text, ENCODER.embed_queries([text])[0], (), {})


EVIDENCE = evidence()


def write(llm: ScriptedLLM, history: Sequence[dict[str, str]] = ()) -> tuple[Draft, list[Event]]:
    draft = Draft()
    answerer = LLMAnswerer(llm, SimilarityReader(), make_query, 100)
    events = list(answerer.write("How?", EVIDENCE, draft, CancelToken(), Markers(), history))
    sentences = [event for event in events if isinstance(event, Sentence)]
    assert [event.index for event in sentences] == list(range(len(draft.sentences)))  # each is sent once
    assert [event.sentence for event in sentences] == draft.sentences
    assert all(dropped.text for dropped in draft.dropped)
    return draft, events


def texts(draft: Draft) -> list[str]:
    return [sentence.text for sentence in draft.sentences]


def tokens(events: Sequence[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


def test_a_model_that_fails_half_way_leaves_what_was_settled() -> None:
    reply = f"{DROP} [1]. {REACH} [1]."
    draft, _ = write(ScriptedLLM(reply, fails_after=len(DROP) + 12))
    assert texts(draft) == [f"{DROP}."]
    assert draft.incomplete == ("The model failed before the end: The language model scripted failed: out of memory.")
    assert not draft.stopped


def test_a_model_that_fails_before_its_first_sentence_leaves_it_to_the_evidence() -> None:
    draft, _ = write(ScriptedLLM(f"{DROP} [1].", fails_after=20))
    assert draft.sentences == []
    assert draft.incomplete == ""
    assert draft.notes == ["The language model scripted failed: out of memory. The evidence reader answered."]


def test_a_template_that_fails_leaves_it_to_the_evidence() -> None:
    class Refusing(ScriptedLLM):
        def prompt(self, messages: Sequence[object]) -> str:
            raise GenerationError("The chat template of scripted fails.")

    draft, events = write(Refusing())
    assert events == []
    assert draft.notes == ["The chat template of scripted fails. The evidence reader answered."]


@pytest.mark.parametrize("end", ["It reaches 81.3", REACH, f"{REACH} [1]", f"{REACH} [1, ", "It 【3†sour"])
def test_a_last_sentence_that_was_cut_is_dropped(end: str) -> None:
    draft, _ = write(ScriptedLLM(f"{DROP} [1]. {end}"))
    assert texts(draft) == [f"{DROP}."]
    (dropped,) = draft.dropped
    assert dropped.text == re.split(r" [\[【]", end)[0]
    assert dropped.reason == "it was cut off before its end"


def test_a_cut_sentence_that_is_all_there_is_is_dropped_too() -> None:
    draft, _ = write(ScriptedLLM(DROP))
    assert draft.sentences == []
    assert [dropped.text for dropped in draft.dropped] == [DROP]
    assert "evidence reader answered" in draft.notes[0]


def test_markers_after_the_terminator_make_no_sentence_of_their_own() -> None:
    draft, events = write(ScriptedLLM(f"{DROP}. [1] {REACH}.[1]"))
    assert texts(draft) == [f"{DROP}.", f"{REACH}."]
    assert draft.dropped == []
    assert tokens(events) == f"{DROP}. [1] {REACH}.[1]"


def test_a_marker_that_is_cut_after_a_whole_sentence_costs_nothing() -> None:
    draft, _ = write(ScriptedLLM(f"{DROP}. [1"))
    assert texts(draft) == [f"{DROP}."]
    assert draft.dropped == []


def test_a_sentence_is_settled_as_soon_as_it_has_ended() -> None:
    _, events = write(ScriptedLLM(f"{DROP} [1]. {REACH} [1]."))
    first = next(place for place, event in enumerate(events) if isinstance(event, Sentence))
    assert any(isinstance(event, Token) for event in events[first:])


@pytest.mark.parametrize("prompt_end", ["", "<think>\n"])
def test_thinking_is_neither_shown_nor_settled(prompt_end: str) -> None:
    begin = "" if prompt_end else "<think>"
    reply = f"{begin}Does it help? {REACH}. Hence so.</think>\n\n{DROP} [1]."
    draft, events = write(ScriptedLLM(reply, prompt_end=prompt_end))
    assert tokens(events) == f"{DROP} [1]."
    assert texts(draft) == [f"{DROP}."]


def test_thinking_that_only_shows_at_its_end_costs_no_sentence_of_the_answer() -> None:
    draft, _ = write(ScriptedLLM(f"{REACH} [1]. So what? It seems so.</think>{DROP} [1]. {REACH} [1]."))
    assert texts(draft) == [f"{REACH}.", f"{DROP}."]  # the first was sent before anyone could know
    assert "repeats" in draft.dropped[-1].reason


def test_thinking_without_end_leaves_nothing() -> None:
    draft, events = write(ScriptedLLM(f"<think>{DROP} [1]. {REACH}"))
    assert tokens(events) == ""
    assert draft.sentences == draft.dropped == []


def test_a_sentence_said_twice_is_kept_once() -> None:
    draft, _ = write(ScriptedLLM(f"{DROP} [1]. " * 3))
    assert texts(draft) == [f"{DROP}."]
    assert [dropped.reason for dropped in draft.dropped] == ["it repeats an earlier sentence"] * 2


def test_the_last_exchange_is_told_to_the_model() -> None:
    llm = ScriptedLLM(f"{DROP}.")
    write(llm, [{"role": "user", "content": "What is RIFormer?"}, {"role": "assistant", "content": "A backbone [1]."}])
    assert "Earlier question: What is RIFormer?\nEarlier answer: A backbone.\n\nQuestion: How?" in llm.prompts[0]


PIECES = (
    f"{DROP}|{REACH}|Wang et al|The code is public|Theory|.|. |! |。|[1]|[1, 2]|[1-3]|[[1]]|[ [1] 2]|【3†source】|[|]|"
    " |\n|\n- |\n2. |<think>|</think>|<b>|…|(2023)"
).split("|")


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_whatever_is_written_no_marker_survives_and_streaming_loses_nothing(reply: str) -> None:
    draft, events = write(ScriptedLLM(reply))
    for sentence in [*draft.sentences, *draft.dropped]:
        assert not MARKER.search(sentence.text)
    if "</think>" not in reply:
        assert tokens(events) == visible_text(reply)
        # Settled while it was written or at the end: each sentence is judged once.
        assert len(draft.sentences) + len(draft.dropped) == len(split_model_text(reply))
