"""The whole way from question to answer over small collections: the promises every answer keeps."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
from fake_llm import ScriptedLLM
from fakes import HashEncoder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index.errors import GenerationError, IndexNotFoundError, IndexStoreError, ModelLoadError
from index.paper import Paper
from index.sentences import sentence_spans
from rag import Answer, CancelToken, ChatSession, Done, PaperQA, Sentence, Sources, Status, Token
from rag.settings import AnsweringSettings, EvidenceSettings, RefusalSettings, Settings

T = TypeVar("T")

ALWAYS = Settings(refusal=RefusalSettings(threshold=0.0))

MIXER = Paper.create(
    "RIFormer: Backbones without Token Mixers",
    "Token mixers are costly. We remove token mixers from the vision backbone. "
    "The accuracy drop is avoided by re-parameterization. It reaches 81.3% on ImageNet.",
    year=2023,
    authors=("Jiahao Wang",),
)
SEARCH = Paper.create(
    "EvoPrompt: Language Models for Architecture Search",
    "Language models act as mutation operators. Evolutionary prompting finds diverse architectures. "
    "It beats human designs on MNIST-1D.",
    year=2022,
)
AUDIO = Paper.create(
    "WavCodec: An Acoustic Tokenizer",
    "WavCodec compresses audio. One second of audio needs only 40 tokens. Semantic information is kept.",
    year=2024,
)
PAPERS = (MIXER, SEARCH, AUDIO)


def open_qa(folder: Path, llm: ScriptedLLM | None = None, settings: Settings = ALWAYS) -> PaperQA:
    qa = PaperQA.open(folder / "papers.idx", embed_model=HashEncoder(), llm=llm, settings=settings)
    qa.add(PAPERS)
    return qa


@pytest.fixture
def qa(tmp_path: Path) -> PaperQA:
    return open_qa(tmp_path)


def check_promises(qa: PaperQA, answer: Answer, taken: dict[str, int] | None = None) -> None:
    """Assert everything that holds for every answer."""
    sources = {source.paper.id: source for source in answer.sources}
    seen = dict(taken or {})
    for sentence in answer.sentences:
        assert sentence.citations
        for citation in sentence.citations:
            assert qa.paper(citation.paper_id).abstract[citation.start : citation.end] == citation.quote != ""
            assert citation.paper_id in sources
            assert sources[citation.paper_id].marker == citation.marker
            if citation.paper_id not in seen:
                assert citation.marker == max(seen.values(), default=0) + 1
                seen[citation.paper_id] = citation.marker
            assert seen[citation.paper_id] == citation.marker
    if answer.status == "refused":
        assert not answer.sentences
        assert answer.nearest or not len(qa)
        assert answer.reason
    elif answer.status == "answered":
        assert answer.sentences
    assert [source.rank for source in answer.sources] == list(range(1, len(answer.sources) + 1))
    assert Answer.from_dict(answer.to_dict()) == answer


def test_an_answer_quotes_the_sentence_that_answers(qa: PaperQA) -> None:
    answer = qa.ask("How is the accuracy drop avoided without token mixers?")
    assert answer.status == "answered"
    assert "The accuracy drop is avoided by re-parameterization [1]." in answer.text
    assert answer.sources[0].paper == MIXER
    check_promises(qa, answer)


def quick(threshold: float) -> Settings:
    """Return settings for many answers: what is promised does not depend on the reader."""
    return Settings(refusal=RefusalSettings(threshold=threshold), evidence=EvidenceSettings(reader="similarity"))


WORDS = "token mixers audio search vision accuracy drop papers which compare vs it MNIST-1D 40 GOT-10k nobel".split()
WORDS += "each another paper ?".split()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    questions=st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9), min_size=1, max_size=3),
    threshold=st.sampled_from([0.0, 0.3, 1.0]),
    k=st.integers(1, 4),
)
def test_every_answer_keeps_its_promises(
    tmp_path_factory: pytest.TempPathFactory, questions: list[list[str]], threshold: float, k: int
) -> None:
    folder = tmp_path_factory.mktemp("qa")
    qa = open_qa(folder, settings=quick(threshold))
    history: list[dict[str, str]] = []
    chat = qa.chat()
    for words in questions:
        question = " ".join(words)
        answer = qa.ask(question, history=history, k=k)
        check_promises(qa, answer)
        assert qa.ask(question, history=history, k=k) == answer
        history += [{"role": "user", "content": question}, {"role": "assistant", "content": answer.text}]
        before = chat.numbers
        check_promises(qa, chat.ask(question), before)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reply=st.lists(
        st.sampled_from(
            "Token mixers are removed from the vision backbone [1]. | It reaches 99.9% [1]. | [0] | [99] | 【2】 |"
            " [1,2] | [1-3] | [[1]] | One second needs 40 tokens [3]. | <think>hidden. | </think> | Wow! | \n- |"
            " GOT-10k works [2]. | unrelated words entirely. |[|1|]|.".split("|")
        ),
        max_size=12,
    )
)
def test_whatever_a_model_writes_only_supported_sentences_stay(
    tmp_path_factory: pytest.TempPathFactory, reply: list[str]
) -> None:
    qa = open_qa(tmp_path_factory.mktemp("qa"), ScriptedLLM("".join(reply)), quick(0.0))
    answer = qa.ask("What about token mixers and audio tokens?")
    check_promises(qa, answer)
    assert "99.9" not in answer.text
    assert "GOT-10k" not in answer.text
    assert "hidden" not in answer.text


def test_a_model_answer_is_cited_by_code_and_unsupported_sentences_are_dropped(tmp_path: Path) -> None:
    llm = ScriptedLLM("The accuracy drop is avoided by re-parameterization [7]. It reaches 99% on ImageNet [1].")
    qa = open_qa(tmp_path, llm)
    answer = qa.ask("How is the accuracy drop avoided?")
    assert [s.text for s in answer.sentences] == ["The accuracy drop is avoided by re-parameterization."]
    assert answer.sentences[0].citations[0].quote == "The accuracy drop is avoided by re-parameterization."
    assert [d.text for d in answer.dropped] == ["It reaches 99% on ImageNet."]
    assert "99" in answer.dropped[0].reason
    assert answer.trace.answerer == "scripted"
    assert answer.trace.prompt == llm.prompts[0]


def test_when_nothing_of_the_model_is_supported_the_evidence_answers(tmp_path: Path) -> None:
    qa = open_qa(tmp_path, ScriptedLLM("Bananas are yellow fruit. Paris is in France."))
    answer = qa.ask("How is the accuracy drop avoided?")
    assert answer.sentences
    assert answer.sentences[0].text in MIXER.abstract
    assert len(answer.dropped) == 2
    assert "evidence reader answered" in answer.trace.notes[0]


def test_a_model_that_fails_leaves_an_evidence_answer_and_a_note(tmp_path: Path) -> None:
    class Failing(ScriptedLLM):
        def stream(self, messages: object, max_new_tokens: int, cancel: CancelToken, papers: int = 0):
            yield "The accuracy drop is avoided by re-parameterization. And "
            raise GenerationError("out of memory")

    answer = open_qa(tmp_path, Failing()).ask("How is the accuracy drop avoided?")
    assert answer.sentences
    assert answer.reason == "The model failed before the end: out of memory"


@pytest.mark.parametrize("by", ["window", "prompt_tokens"])
def test_papers_that_do_not_fit_are_left_out_whole_the_least_relevant_first(tmp_path: Path, by: str) -> None:
    said = "The accuracy drop is avoided by re-parameterization."
    full = ScriptedLLM(said)
    open_qa(tmp_path / "a", full).ask("How is the accuracy drop avoided?")
    most = len(full.prompts[0]) - 1
    small = ScriptedLLM(said, window=most + 400 if by == "window" else None)  # 400: what is left for the answer
    given = ALWAYS.model_copy(update={"answering": AnsweringSettings(**{by: most} if by != "window" else {})})
    answer = open_qa(tmp_path / "b", small, given).ask("How is the accuracy drop avoided?")
    assert answer.trace.notes == (f"scripted was given 2 of 3 papers: no more fit in {most:,} tokens.",)
    assert "[2] " in small.prompts[0]
    assert "[3] " not in small.prompts[0]
    for start, end in sentence_spans(MIXER.abstract):
        assert MIXER.abstract[start:end] in small.prompts[0]
    assert answer.trace.prompt == small.prompts[0]


def test_a_refusal_is_decided_before_the_model_is_called(tmp_path: Path) -> None:
    llm = ScriptedLLM()
    qa = open_qa(tmp_path, llm, Settings())
    answer = qa.ask("What is the boiling point of tungsten on GOT-10k?")
    assert answer.status == "refused"
    assert llm.prompts == []
    assert "GOT-10k" in answer.reason
    check_promises(qa, answer)


def test_events_come_in_order(tmp_path: Path) -> None:
    qa = open_qa(tmp_path, ScriptedLLM("The accuracy drop is avoided by re-parameterization [1]."))
    kinds = [type(event) for event in qa.stream("How is the accuracy drop avoided?")]
    assert kinds[0] is Status
    assert kinds.index(Sources) < kinds.index(Token) < kinds.index(Sentence)
    assert kinds[-1] is Done
    assert kinds.count(Done) == 1


def test_a_stop_ends_the_answer_with_what_was_settled(tmp_path: Path) -> None:
    llm = ScriptedLLM("The accuracy drop is avoided by re-parameterization. " * 50)
    cancel = CancelToken()
    qa = open_qa(tmp_path, llm)
    for event in qa.stream("How is the accuracy drop avoided?", cancel=cancel):
        if isinstance(event, Sentence):
            cancel.cancel()
    assert isinstance(event, Done)
    assert event.answer.status == "partial"
    assert event.answer.reason == "Stopped before the end."
    assert len(event.answer.sentences) == 1
    assert llm.pieces < 20


def test_filters_hold_inside_the_search(qa: PaperQA) -> None:
    assert [s.paper for s in qa.search("token mixers", where="year>=2024")] == [AUDIO]
    assert [s.paper for s in qa.search("audio", where={"author": "wang"})] == [MIXER]
    answer = qa.ask("token mixers", where="year>2030")
    assert answer.status == "refused"
    assert "filter" in answer.reason
    assert answer.nearest


def test_the_same_paper_keeps_its_number_through_a_conversation(qa: PaperQA, tmp_path: Path) -> None:
    chat = qa.chat()
    chat.ask("How many tokens does one second of audio need?")
    second = chat.ask("How is the accuracy drop avoided without token mixers?")
    third = chat.ask("How many tokens does one second of audio need in WavCodec?")
    assert second.cited[0].marker == 2
    assert third.cited[0].marker == 1
    chat.save(tmp_path / "chat.json")
    loaded = ChatSession.load(tmp_path / "chat.json", qa)
    assert loaded.answers == chat.answers
    assert loaded.numbers == chat.numbers


def test_a_file_that_is_no_conversation_is_refused(qa: PaperQA, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"schema_version": 7}')
    with pytest.raises(ValueError, match="not a saved conversation"):
        ChatSession.load(tmp_path / "x.json", qa)


def test_a_follow_up_finds_the_paper_of_the_last_answer(qa: PaperQA) -> None:
    chat = qa.chat()
    chat.ask("What is WavCodec?")
    assert chat.ask("and how many tokens does it need?").cited[0].paper == AUDIO


@pytest.mark.parametrize("bad", [{"k": 0}, {"where": "colour:red"}, {"history": [{"role": "robot", "content": "x"}]}])
def test_a_slip_of_the_caller_is_a_value_error(qa: PaperQA, bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"k is 0|colour:red|history\[0\]"):
        qa.ask("token mixers", **bad)


def test_what_is_no_question_history_or_paper_is_named(qa: PaperQA) -> None:
    with pytest.raises(ValueError, match="must be text, not NoneType"):
        qa.ask(None)
    with pytest.raises(ValueError, match=r"history\[0\] needs a role"):
        qa.ask("token mixers", history=["hello"])
    with pytest.raises(TypeError, match=r"record 1 is a dict; make papers with Paper\.create"):
        qa.add([{"title": "x", "abstract": "y"}])


def test_asking_before_there_is_an_index_names_the_next_step(tmp_path: Path) -> None:
    qa = PaperQA.open(tmp_path / "none.idx", embed_model=HashEncoder())
    assert len(qa) == 0
    assert not (tmp_path / "none.idx").exists()
    with pytest.raises(IndexNotFoundError, match="citewell add"):
        qa.ask("anything")


def test_an_empty_collection_refuses(tmp_path: Path) -> None:
    qa = PaperQA.open(tmp_path / "papers.idx", embed_model=HashEncoder())
    qa.add([])
    answer = qa.ask("anything at all?")
    assert answer.status == "refused"
    assert "empty" in answer.reason
    check_promises(qa, answer)


def test_a_file_in_place_of_an_index_is_named(tmp_path: Path) -> None:
    (tmp_path / "papers.idx").write_text("not an index")
    with pytest.raises(IndexStoreError, match="is a file"):
        PaperQA.open(tmp_path / "papers.idx", embed_model=HashEncoder())


@pytest.mark.parametrize("llm", ["./no-such-model", "Qwen/Qwen3-0.6B"])
def test_a_missing_model_is_named_before_anything_else(tmp_path: Path, llm: str) -> None:
    with pytest.raises(ModelLoadError, match="leave out --llm"):
        PaperQA.open(tmp_path / "papers.idx", embed_model=HashEncoder(), llm=llm)


def run(coroutine: Coroutine[object, object, T]) -> T:
    """Run a coroutine in a loop of its own; a browser test may have left one in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def test_asking_works_asynchronously(qa: PaperQA) -> None:
    async def both() -> tuple[Answer, list[type]]:
        answer = await qa.aask("How is the accuracy drop avoided?")
        return answer, [type(event) async for event in qa.astream("How is the accuracy drop avoided?")]

    answer, kinds = run(both())
    assert answer == qa.ask("How is the accuracy drop avoided?")
    assert kinds[-1] is Done


def test_leaving_an_asynchronous_stream_stops_the_model(tmp_path: Path) -> None:
    llm = ScriptedLLM("The accuracy drop is avoided. " * 500, delay_s=0.001)
    qa = open_qa(tmp_path, llm)

    async def leave() -> None:
        stream = qa.astream("How is the accuracy drop avoided?")
        async for event in stream:
            if isinstance(event, Token):
                break
        await stream.aclose()

    run(leave())
    assert llm.pieces < 10


def test_threads_get_the_answers_one_thread_gets(qa: PaperQA) -> None:
    questions = ["How is the accuracy drop avoided?", "How many tokens does audio need?", "papers on search"] * 4
    expected = [qa.ask(question) for question in questions]
    found: list[Answer | None] = [None] * len(questions)

    def work(place: int) -> None:
        found[place] = qa.ask(questions[place])

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(questions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected


def test_llama_index_gets_a_retriever_and_a_query_engine(qa: PaperQA) -> None:
    nodes = qa.as_retriever(similarity_top_k=2).retrieve("token mixers accuracy drop")
    assert len(nodes) == 2
    assert nodes[0].node.node_id == MIXER.id
    assert nodes[0].score > nodes[1].score
    response = qa.as_query_engine().query("How is the accuracy drop avoided?")
    assert Answer.from_dict(response.metadata["answer"]) == qa.ask("How is the accuracy drop avoided?")
