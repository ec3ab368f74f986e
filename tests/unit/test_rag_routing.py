"""Which questions need no language model: those that one sentence surely answers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_llm import ScriptedLLM
from fakes import HashEncoder

from index.embedding.encoder import PassageText
from index.paper import Paper
from index.rows import StoredPaper
from index.sentences import sentence_spans
from index.terms import document_terms
from rag import PaperQA
from rag.answer import Source
from rag.answering.routing import SURE, is_easy
from rag.answering.selection import Selection
from rag.evidence.reader import PaperEvidence, Reading
from rag.question import Form
from rag.retrieval import Hit
from rag.settings import AnsweringSettings, RefusalSettings, Settings

ENCODER = HashEncoder()
AUDIO = Paper.create(
    "WavCodec: An Acoustic Tokenizer",
    "WavCodec compresses audio. One second of audio needs only 40 tokens. It is compared with EnCodec and DAC.",
)
ASKED = "How many tokens does WavCodec need?"


def log_odds(probability: float) -> float:
    return float(np.log(probability / (1 - probability)))


def found(best: int, sure: float, answerable: float = 0.99) -> PaperEvidence:
    """The evidence in a paper of which one sentence answers."""
    spans = tuple(sentence_spans(AUDIO.abstract))
    vectors = ENCODER.embed_passages([PassageText(AUDIO.title, AUDIO.abstract, spans)])[0]
    stored = StoredPaper(
        AUDIO, spans, vectors.sentences, vectors.passage[None], frozenset(document_terms(AUDIO.abstract))
    )
    scores = np.full(len(spans), log_odds(0.01), np.float32)
    scores[best] = log_odds(sure)
    order = tuple(int(n) for n in np.argsort(-scores, kind="stable"))
    reading = Reading(scores, scores, log_odds(answerable), 0.0, 0.0)
    hit = Hit(Source(AUDIO, 1, 1.0, 0.5, 0.5, 0.5, 1, 1), stored)
    return PaperEvidence(hit, reading, scores, order)


@pytest.mark.parametrize(
    ("question", "sure", "answerable", "easy"),
    [
        (ASKED, 0.99, 0.99, True),
        (ASKED, SURE + 0.001, 0.99, True),
        (ASKED, SURE - 0.001, 0.99, False),
        (ASKED, 0.99, SURE + 0.001, True),
        (ASKED, 0.99, SURE - 0.001, False),  # the sentence is about it, and the paper may not answer
        ("How many tokens does it need, and why is it compared with others?", 0.99, 0.99, False),  # two parts
    ],
)
def test_one_sentence_that_surely_answers_is_enough(question: str, sure: float, answerable: float, easy: bool) -> None:
    assert is_easy(question, Selection(Form.SINGLE, (found(1, sure, answerable),))) is easy


def test_what_takes_several_papers_is_not_easy() -> None:
    evidence = found(1, 0.99)
    assert not is_easy(ASKED, Selection(Form.LIST, (evidence,)))
    assert not is_easy(ASKED, Selection(Form.COMPARISON, (evidence, evidence)))
    assert not is_easy(ASKED, Selection(Form.SINGLE, (evidence, evidence)))
    assert not is_easy(ASKED, Selection(Form.SINGLE, ()))


# -- through PaperQA ------------------------------------------------------------------------------------------

MIXER = Paper.create("RIFormer: Backbones without Token Mixers", "Token mixers are costly. We remove token mixers.")
SAID = "One second of audio needs only 40 tokens [1]."
NOTE = "One sentence answers this surely; the evidence reader answered."


def open_qa(folder: Path, llm: ScriptedLLM, monkeypatch: pytest.MonkeyPatch, **answering: Any) -> PaperQA:
    monkeypatch.setattr("rag.answering.routing.SURE", 0.2)  # the fake encoder is never as sure
    settings = Settings(refusal=RefusalSettings(threshold=0.0), answering=AnsweringSettings(**answering))
    qa = PaperQA.open(folder / "papers.idx", embed_model=ENCODER, llm=llm, settings=settings)
    qa.add([AUDIO, MIXER])
    return qa


EASY = "How many tokens does one second of audio need?"


def test_an_easy_question_calls_no_model_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    llm = ScriptedLLM(SAID)
    answer = open_qa(tmp_path, llm, monkeypatch, routing=True).ask(EASY)
    assert llm.prompts == []
    assert answer.trace.notes == (NOTE,)
    assert answer.trace.answerer == "evidence"
    assert "40 tokens" in answer.text
    assert answer.sentences[0].citations


def test_without_routing_the_model_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    llm = ScriptedLLM(SAID)
    answer = open_qa(tmp_path, llm, monkeypatch).ask(EASY)
    assert len(llm.prompts) == 1
    assert answer.trace.notes == ()
    assert answer.trace.answerer == "scripted"


@pytest.mark.parametrize(
    "question",
    [
        "Which papers are about tokens?",
        "What is the difference between WavCodec and RIFormer in tokens?",
        "How many tokens does one second of audio need, and how is the audio compressed?",
    ],
)
def test_other_questions_are_written_by_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    llm = ScriptedLLM(SAID)
    answer = open_qa(tmp_path, llm, monkeypatch, routing=True).ask(question)
    assert len(llm.prompts) == 1
    assert NOTE not in answer.trace.notes


def test_a_follow_up_is_never_easy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    llm = ScriptedLLM("How many tokens does WavCodec need?", SAID)
    history = [
        {"role": "user", "content": "What is WavCodec?"},
        {"role": "assistant", "content": "WavCodec compresses audio [1]."},
    ]
    answer = open_qa(tmp_path, llm, monkeypatch, routing=True).ask("and how many tokens does it need?", history)
    assert len(llm.prompts) == 2
    assert answer.trace.answerer == "scripted"
