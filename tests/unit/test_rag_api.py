"""The public face of ``rag``: its names and signatures, which change on purpose only, and what its object promises."""

import inspect
import threading
from dataclasses import fields
from pathlib import Path

import pytest
from fake_llm import ScriptedLLM
from fakes import HashEncoder

import rag
from index.errors import IndexNotFoundError, IndexStoreError
from index.paper import Paper
from rag import Answer, AnswerSentence, ChatSession, Citation, DroppedSentence, PaperQA, Source, Trace

PAPERS = [Paper(f"id{n}", f"Title {n}", f"Abstract of word{n}. It is about graphs.") for n in range(3)]


# -- the names ------------------------------------------------------------------------------------------------


def test_the_names() -> None:
    names = """
        Answer AnswerSentence CancelToken ChatSession Citation CitewellError ConfigError CorpusError Done
        Dropped DroppedSentence EvalDataError Event GenerationError IndexCorruptError IndexLockedError
        IndexMismatchError IndexNotFoundError IndexStoreError ModelError ModelLoadError Paper PaperQA Sentence
        Settings Source Sources Status Token Trace load_settings
    """
    assert rag.__all__ == names.split()
    assert set(rag.__all__) <= {*dir(rag), "Settings", "load_settings"}


def signatures(kind: type) -> dict[str, str]:
    """Return the parameters of each public method with their defaults; "property" for those."""
    found = {}
    for name, member in vars(kind).items():
        if name.startswith("_") and name not in ("__init__", "__len__"):
            continue
        if isinstance(member, property):
            found[name] = "property"
        elif callable(member) or isinstance(member, classmethod):
            signature = inspect.signature(getattr(kind, name))
            plain = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
            found[name] = str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))
    return found


def test_the_methods_of_a_collection() -> None:
    assert signatures(PaperQA) == {
        "__init__": "(self, path, settings, llm, encoder)",
        "open": "(path, *, llm=None, embed_model=None, settings=None, progress=None)",
        "reindex": "(path, *, embed_model=None, settings=None, progress=None)",
        "add": "(self, source, progress=None, *, field_map=None)",
        "delete": "(self, ids)",
        "paper": "(self, paper_id)",
        "papers": "(self, where=None)",
        "__len__": "(self)",
        "search": "(self, query, k=10, where=None)",
        "check": "(self, *, repair=False, progress=None)",
        "tune": "(self, values)",
        "embed_model": "property",
        "interrupted": "property",
        "answerer": "property",
        "ask": "(self, question, history=None, where=None, k=None)",
        "stream": "(self, question, history=None, where=None, k=None, cancel=None)",
        "aask": "(self, question, history=None, where=None, k=None)",
        "astream": "(self, question, history=None, where=None, k=None, cancel=None)",
        "chat": "(self)",
        "example_questions": "(self, n=4)",
        "as_retriever": "(self, similarity_top_k=None)",
        "as_query_engine": "(self)",
        "close": "(self)",
    }


def test_the_methods_of_a_conversation() -> None:
    assert signatures(ChatSession) == {
        "__init__": "(self, qa, answers=())",
        "ask": "(self, question, where=None)",
        "stream": "(self, question, where=None, cancel=None)",
        "history": "property",
        "numbers": "property",
        "save": "(self, path)",
        "load": "(path, qa)",
    }


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Answer, "question status sentences sources nearest dropped reason trace"),
        (AnswerSentence, "text support citations label highlight unsupported"),
        (Citation, "marker paper_id quote start end support"),
        (DroppedSentence, "text reason support"),
        (Paper, "id title abstract authors year venue url doi tags extra identifiers"),
        (
            Source,
            "paper rank score dense_score sentence_score keyword_score dense_rank keyword_rank marker evidence_score",
        ),
        (Trace, "standalone_question answerer embed_model answerability threshold prompt notes timings_ms"),
        (rag.Status, "stage message"),
        (rag.Sources, "sources"),
        (rag.Token, "text"),
        (rag.Sentence, "index sentence verdict"),
        (rag.Dropped, "sentence"),
        (rag.Done, "answer"),
    ],
)
def test_the_fields(kind: type, names: str) -> None:
    assert [field.name for field in fields(kind)] == names.split()


# -- the collection -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [(), ("write.lock", "writer.json", "papers.sqlite.new")], ids=["empty", "killed"])
def test_a_folder_without_an_index_is_opened_and_filled(tmp_path: Path, left: tuple[str, ...]) -> None:
    for name in left:
        (tmp_path / name).write_text("")
    qa = PaperQA.open(tmp_path, embed_model=HashEncoder())
    assert len(qa) == 0
    with pytest.raises(IndexNotFoundError, match=r"citewell add FILE .*citewell add --example"):
        qa.papers()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(left)
    assert qa.add(PAPERS).added == 3
    assert len(PaperQA.open(tmp_path, embed_model=HashEncoder())) == 3


def test_a_file_that_takes_the_place_of_the_index_is_named(tmp_path: Path) -> None:
    qa = PaperQA.open(tmp_path / "papers.idx", embed_model=HashEncoder())
    (tmp_path / "papers.idx").write_text("")
    with pytest.raises(IndexStoreError, match="is a file"):
        qa.add(PAPERS)


def test_progress_is_told_with_the_total_where_it_is_known(tmp_path: Path) -> None:
    qa = PaperQA.open(tmp_path, embed_model=HashEncoder())
    told: list[tuple[int, int | None]] = []
    qa.add(PAPERS, progress=lambda done, total, message: told.append((done, total)))
    qa.add(iter(PAPERS), progress=lambda done, total, message: told.append((done, total)))
    assert told == [(3, 3), (3, None)]


def test_threads_that_add_at_once_take_turns(tmp_path: Path) -> None:
    qa = PaperQA.open(tmp_path, embed_model=HashEncoder())
    failures: list[BaseException] = []

    def add(first: int) -> None:
        try:
            for n in range(first, first + 5):
                qa.add([Paper(f"id{n}", f"Title {n}", "An abstract.")])
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=add, args=(10 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(qa) == 20
    assert all(check.ok for check in qa.check())


@pytest.mark.parametrize("k", [10**13, 10**20])
def test_more_papers_than_there_are_can_be_asked_for(tmp_path: Path, k: int) -> None:
    qa = PaperQA.open(tmp_path, embed_model=HashEncoder())
    qa.add(PAPERS)
    assert len(qa.search("word1 graphs", k=k)) == 3
    assert len(qa.ask("What is word1 about?", k=k).sources) == 3


@pytest.mark.parametrize("k", [0, -1])
def test_a_retriever_of_no_papers_is_a_slip_of_the_caller(tmp_path: Path, k: int) -> None:
    qa = PaperQA.open(tmp_path, embed_model=HashEncoder())
    with pytest.raises(ValueError, match=f"similarity_top_k is {k}"):
        qa.as_retriever(similarity_top_k=k)


def test_nobody_waits_while_a_language_model_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loading, go_on = threading.Event(), threading.Event()
    made: list[object] = []

    def load(source: object, settings: object) -> ScriptedLLM:
        loading.set()
        assert go_on.wait(30)
        made.append(ScriptedLLM("It is about graphs."))
        return made[-1]

    monkeypatch.setattr("rag.llm.loading.check_source", lambda source: None)
    monkeypatch.setattr("rag.llm.loading.load_model", load)
    qa = PaperQA.open(tmp_path, embed_model=HashEncoder(), llm="some/model")
    qa.add(PAPERS)
    answering = threading.Thread(target=lambda: qa.ask("What is word1 about?"))
    answering.start()
    assert loading.wait(30)
    assert len(qa) == 3
    assert qa.search("word1")
    assert qa.add(PAPERS).unchanged == 3
    go_on.set()
    answering.join()
    qa.ask("What is word2 about?")
    assert len(made) == 1
    qa.close()
    qa.ask("What is word2 about?")
    assert len(made) == 2  # closing had let go of the first
    assert qa.answerer == "scripted"  # what the model that is loaded calls itself
