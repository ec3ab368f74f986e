"""What a question in a conversation refers to, on the bundled papers and the real encoder."""

from pathlib import Path

import pytest

from index.bundled import bundled_papers
from rag import Answer, PaperQA, load_settings
from rag.followup import refer
from rag.retrieval import Retriever

AUDIO = "what is wavtokenizer?"
VISION = "Which paper removes token mixers from a vision backbone?"


@pytest.fixture(scope="module")
def qa(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> PaperQA:
    settings = load_settings(overrides={"index": {"cache_dir": cache_dir}})
    qa = PaperQA.open(tmp_path_factory.mktemp("followup") / "papers.idx", settings=settings)
    qa.add(bundled_papers())
    return qa


def after(qa: PaperQA, first: str, question: str) -> Answer:
    chat = qa.chat()
    assert chat.ask(first).sentences
    return chat.ask(question)


def first_cited(answer: Answer) -> str:
    return answer.cited[0].paper.short_title if answer.cited else answer.status


@pytest.mark.parametrize(
    ("first", "question", "paper"),
    [
        (AUDIO, "how many tokens does it need?", "WavTokenizer"),
        (AUDIO, "and how good is the reconstruction?", "WavTokenizer"),
        (AUDIO, "What other advantages does it have?", "WavTokenizer"),
        (AUDIO, "How is it different from previous codecs?", "WavTokenizer"),
        (AUDIO, "tell me more", "WavTokenizer"),
        (VISION, "how does it avoid the accuracy drop?", "RIFormer"),
        (VISION, "what are the guidelines?", "RIFormer"),
        (VISION, "how does it compare to Glider?", "RIFormer"),
    ],
)
def test_a_follow_up_stays_with_its_paper(qa: PaperQA, first: str, question: str, paper: str) -> None:
    assert first_cited(after(qa, first, question)) == paper


@pytest.mark.parametrize(
    ("question", "paper"),
    [
        ("What is RIFormer?", "RIFormer"),
        ("What about GlyphDraw?", "GlyphDraw"),
        ("and zkDL?", "zkDL"),
        ("What is LINE?", "LINE"),
        ("How do graph neural networks lose their expressiveness?", "A Complete Expressiveness Hierarchy"),
        ("Why do transformers need so much memory?", "TurboViT"),
        ("for quantum networks, which simulators are there?", "SeQUeNCe"),
    ],
)
def test_a_new_topic_leaves_it_even_with_a_pronoun(qa: PaperQA, question: str, paper: str) -> None:
    assert first_cited(after(qa, AUDIO, question)).startswith(paper)


@pytest.mark.parametrize(
    "question",
    [
        "hello",
        "thanks!",
        "Tell me a joke",
        "What is the capital of France?",
        "How do I cook pasta?",
        "Does it cure migraines?",
        "is it good with cheese?",
        "can they sing in Italian?",
        "who is their favourite football player?",
        "does it run on a Commodore 64?",
    ],
)
@pytest.mark.parametrize("first", [AUDIO, VISION])
def test_what_the_papers_do_not_answer_is_refused_in_a_conversation_too(qa: PaperQA, first: str, question: str) -> None:
    assert after(qa, first, question).status == "refused"


def test_another_paper_is_another_paper(qa: PaperQA) -> None:
    answer = after(qa, VISION, "is there another paper on this?")
    assert answer.cited
    assert "RIFormer" not in {source.paper.short_title for source in answer.sources}


def test_a_stand_alone_question_is_searched_as_it_is(qa: PaperQA) -> None:
    retriever = Retriever(qa._need_store())
    history = [{"role": "user", "content": AUDIO}, {"role": "assistant", "content": qa.ask(AUDIO).text}]
    question = "Which papers use a hypernetwork to produce the weights of another network?"
    assert refer(question, history, retriever, None).wordings == ((question, 1.0),)
    assert refer(question, [], retriever, None).text == question


def test_a_follow_up_is_also_searched_with_its_paper_named_and_with_the_last_exchange(qa: PaperQA) -> None:
    retriever = Retriever(qa._need_store())
    answer = qa.ask(AUDIO).text + " word" * 500
    history = [{"role": "user", "content": AUDIO}, {"role": "assistant", "content": answer}]
    reference = refer("how many tokens does it need?", history, retriever, None)
    assert reference.depends
    assert reference.text == "how many tokens does WavTokenizer need?"
    (question, _), (named, _), (with_exchange, _) = reference.wordings
    assert (question, named) == ("how many tokens does it need?", reference.text)
    assert with_exchange.startswith(f"how many tokens does it need? {AUDIO} WavTokenizer")
    assert "[1]" not in with_exchange
    assert len(with_exchange.split()) <= 70
    assert sum(weight for _, weight in reference.wordings) == 1
