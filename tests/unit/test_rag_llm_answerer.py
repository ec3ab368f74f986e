"""What a model writes becomes settled sentences as it is written; what is settled stays."""

import re
from collections.abc import Generator, Sequence
from typing import Any, TypeVar

import pytest
from fake_llm import ScriptedLLM
from fakes import HashEncoder, read_all
from hypothesis import given
from hypothesis import strategies as st

from index.embedding.encoder import PassageText
from index.errors import GenerationError, ModelLoadError
from index.paper import Paper
from index.rows import StoredPaper
from index.sentences import sentence_spans
from index.terms import document_terms
from rag.answer import Source
from rag.answering.draft import Draft
from rag.answering.llm_answerer import LLMAnswerer
from rag.answering.waiting import take_turn
from rag.citations import Markers
from rag.events import CancelToken, Dropped, Event, Sentence, Status, Token
from rag.evidence.reader import PaperEvidence
from rag.evidence.similarity import SimilarityReader
from rag.llm.shared import SharedModel
from rag.question import Form
from rag.retrieval import Hit, Query
from rag.safety import MARKER
from rag.settings import AnsweringSettings

T = TypeVar("T")

ENCODER = HashEncoder()
DROP = "The accuracy drop is avoided by re-parameterization"
REACH = "It reaches 81.3% on ImageNet"
LIMIT = 1000  # of what the model writes; here a token is a character


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


def write(
    llm: ScriptedLLM,
    history: Sequence[dict[str, str]] = (),
    cancel: CancelToken | None = None,
    **settings: Any,
) -> tuple[Draft, list[Event]]:
    draft, shared = Draft(), SharedModel(lambda: llm, llm.name)
    given = AnsweringSettings(**{"max_new_tokens": LIMIT, **settings})
    answerer = LLMAnswerer(SimilarityReader(), make_query, given)
    with shared.turn() as turn:
        found = answerer.write(turn, "How?", EVIDENCE, draft, cancel or CancelToken(), Markers(), history)
        events = [event for event in found if not isinstance(event, Status)]
    sentences = [event for event in events if isinstance(event, Sentence)]
    assert [event.index for event in sentences] == list(range(len(draft.sentences)))  # each is sent once
    assert [event.sentence for event in sentences] == draft.sentences
    told = [event.sentence for event in events if isinstance(event, Dropped)]
    assert told[len(told) - len(draft.dropped) :] == draft.dropped  # what was only thought is forgotten
    assert all(dropped.text for dropped in draft.dropped)
    assert llm.running == 0
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

    draft, events = write(Refusing(""))
    assert events == []
    assert draft.notes == ["The chat template of scripted fails. The evidence reader answered."]


@pytest.mark.parametrize("end", ["It reaches 81.3", REACH, f"{REACH} [1]", f"{REACH} [1, ", "It 【3†sour"])
def test_a_last_sentence_that_the_limit_cut_is_dropped(end: str) -> None:
    reply = f"{DROP} [1]. {end}"
    draft, _ = write(ScriptedLLM(reply), max_new_tokens=len(reply))
    assert texts(draft) == [f"{DROP}."]
    (dropped,) = draft.dropped
    assert dropped.text == re.split(r" [\[【]", end)[0]
    assert dropped.reason == "it was cut off before its end"


def test_a_cut_sentence_that_is_all_there_is_is_dropped_too() -> None:
    draft, _ = write(ScriptedLLM(DROP), max_new_tokens=len(DROP))
    assert draft.sentences == []
    assert [dropped.text for dropped in draft.dropped] == [DROP]
    assert "evidence reader answered" in draft.notes[0]


def test_a_model_that_ends_by_itself_may_forget_the_full_stop() -> None:
    draft, _ = write(ScriptedLLM(f"{DROP} [1]. {REACH} [1]"))
    assert texts(draft) == [f"{DROP}.", REACH]


def test_markers_after_the_terminator_make_no_sentence_of_their_own() -> None:
    draft, events = write(ScriptedLLM(f"{DROP}. [1] {REACH}.[1]"))
    assert texts(draft) == [f"{DROP}.", f"{REACH}."]
    assert draft.dropped == []
    assert tokens(events) == f"{DROP}. {REACH}."


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
    assert tokens(events) == f"{DROP}."
    assert texts(draft) == [f"{DROP}."]


def test_thinking_that_only_shows_at_its_end_costs_no_sentence_of_the_answer() -> None:
    draft, _ = write(ScriptedLLM(f"{REACH} [1]. So what? It seems so.</think>{DROP} [1]. {REACH} [1]."))
    assert texts(draft) == [f"{REACH}.", f"{DROP}."]  # the first was sent before anyone could know
    assert draft.dropped == []


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
def test_whatever_is_written_no_marker_survives_and_what_is_shown_is_settled(reply: str) -> None:
    draft, events = write(ScriptedLLM(reply))
    for sentence in [*draft.sentences, *draft.dropped]:
        assert not MARKER.search(sentence.text)
    assert not MARKER.search(tokens(events))


def test_a_stop_leaves_what_was_settled_and_nothing_of_the_sentence_it_cut() -> None:
    cancel = CancelToken()

    class Stopping(ScriptedLLM):
        def count_tokens(self, text: str) -> int:
            return 0

        def stream(self, *args: Any, **kwargs: Any) -> Any:
            for number, piece in enumerate(super().stream(*args, **kwargs)):
                if number == len(DROP) // 7 + 4:
                    cancel.cancel()
                yield piece

    llm = Stopping(f"{DROP} [1]. {REACH} [1]. " * 50)
    draft, _ = write(llm, cancel=cancel)
    assert draft.stopped
    assert texts(draft) == [f"{DROP}."]
    assert llm.pieces <= len(DROP) // 7 + 6


@pytest.mark.parametrize(
    ("marker", "verdict"), [("[1]", "kept"), ("", "corrected"), ("[7]", "corrected"), ("[1][0]", "corrected")]
)
def test_the_verdict_tells_whether_the_citation_is_the_models(marker: str, verdict: str) -> None:
    _, events = write(ScriptedLLM(f"{DROP} {marker}."))
    assert [event.verdict for event in events if isinstance(event, Sentence)] == [verdict]


def test_a_dropped_sentence_is_told_before_the_next_one_is_shown() -> None:
    _, events = write(ScriptedLLM(f"Cats are furry animals [1]. {REACH} [1]."))
    kinds = [type(event).__name__ for event in events]
    told = kinds.index("Dropped")
    assert tokens(events[:told]) == "Cats are furry animals."
    assert tokens(events[told:]) == f" {REACH}."


@pytest.mark.parametrize(("grounding", "reason"), [("mark", "no sentence of the retrieved abstracts"), ("off", "")])
def test_what_nothing_supports_stays_where_that_is_wanted(grounding: str, reason: str) -> None:
    draft, events = write(ScriptedLLM(f"Cats are furry animals [1]. {REACH} [1]."), grounding=grounding)
    cats, reach = draft.sentences
    assert (cats.text, cats.citations) == ("Cats are furry animals.", ())
    assert reason in cats.unsupported
    assert bool(cats.unsupported) == bool(reason)
    assert reach.citations
    assert not reach.unsupported
    assert [event.verdict for event in events if isinstance(event, Sentence)] == ["unsupported", "kept"]


@pytest.mark.parametrize("grounding", ["strict", "mark", "off"])
def test_an_answer_that_nothing_supports_is_left_to_the_evidence(grounding: str) -> None:
    draft, events = write(ScriptedLLM("Cats are furry. Dogs are loyal animals [1]."), grounding=grounding)
    assert draft.sentences == []
    assert draft.without_model
    assert [sentence.text for sentence in draft.dropped] == ["Cats are furry.", "Dogs are loyal animals."]
    assert not any(isinstance(event, Sentence) for event in events)


def test_what_nothing_supports_waits_for_what_something_does() -> None:
    draft, _ = write(ScriptedLLM(f"Cats are furry animals. {REACH} [1]. Dogs are loyal."), grounding="mark")
    assert texts(draft) == ["Cats are furry animals.", f"{REACH}.", "Dogs are loyal."]
    assert [bool(sentence.unsupported) for sentence in draft.sentences] == [True, False, True]


def test_a_model_that_goes_in_circles_is_stopped() -> None:
    llm = ScriptedLLM(f"{DROP} [1]. " * 200)
    draft, _ = write(llm, max_new_tokens=100_000)
    assert texts(draft) == [f"{DROP}."]
    assert llm.pieces < 5 * len(DROP)


def test_a_model_that_talks_to_itself_is_stopped() -> None:
    llm = ScriptedLLM(f"{DROP} [1].\n\nQuestion: What else?\nAnswer: {REACH} [1]. " + "More of it. " * 500)
    draft, events = write(llm, max_new_tokens=100_000)
    assert texts(draft) == [f"{DROP}."]
    assert draft.dropped == []
    assert tokens(events) == f"{DROP}."
    assert llm.pieces < 50


# -- the queue ------------------------------------------------------------------------------------------------


def test_a_full_queue_leaves_it_to_the_evidence() -> None:
    llm = ScriptedLLM(f"{DROP} [1].")
    shared = SharedModel(lambda: llm, "scripted", max_waiting=0)
    with shared.turn() as first, shared.turn() as second:
        assert first.join()
        draft = Draft()
        assert drain(take_turn(second, None, draft, CancelToken())) == ([], None)
    assert draft.notes == ["Too many answers are waiting for scripted; the evidence reader answered."]


def test_a_wait_that_is_too_long_leaves_it_to_the_evidence() -> None:
    shared = SharedModel(lambda: ScriptedLLM(""), "scripted")
    with shared.turn() as first, shared.turn() as second:
        first.join()
        draft = Draft()
        events, model = drain(take_turn(second, 0.1, draft, CancelToken()))
        assert model is None
        assert events == [Status("wait", "Waiting for scripted: 1 answer goes first")]
        assert draft.notes == ["scripted is busy for more than 0.1 s; the evidence reader answered."]
        assert second not in shared._turns


def test_a_stop_ends_the_waiting() -> None:
    shared, cancel, draft = SharedModel(lambda: ScriptedLLM(""), "scripted"), CancelToken(), Draft()
    with shared.turn() as first, shared.turn() as second:
        first.join()
        waiting = take_turn(second, None, draft, cancel)
        next(waiting)
        cancel.cancel()
        assert drain(waiting) == ([], None)
    assert draft.stopped


def test_a_model_that_cannot_be_loaded_leaves_it_to_the_evidence() -> None:
    def load() -> ScriptedLLM:
        raise ModelLoadError("There is not enough memory.")

    draft = Draft()
    answerer = LLMAnswerer(SimilarityReader(), make_query, AnsweringSettings())
    with SharedModel(load, "scripted").turn() as turn:
        events = list(answerer.write(turn, "How?", EVIDENCE, draft, CancelToken(), Markers()))
    assert events == [Status("load", "Loading scripted")]
    assert draft.notes == ["There is not enough memory. The evidence reader answered."]


def drain(events: Generator[Event, None, T]) -> tuple[list[Event], T]:
    """Return what a generator yields and what it returns."""
    found = []
    while True:
        try:
            found.append(next(events))
        except StopIteration as end:
            return found, end.value
