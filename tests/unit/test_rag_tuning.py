"""Settings that belong to a collection: what goes before them, what they change, and when."""

import threading
from pathlib import Path

import pytest
from fakes import HashEncoder

from index.errors import ConfigError, IndexNotFoundError
from index.paper import Paper
from index.store import PaperStore
from rag import PaperQA, Settings, load_settings
from rag.settings import TUNABLE, RefusalSettings, RetrievalSettings, describe, tuned

FOLDER = Path("papers.idx")
PAPERS = [
    Paper.create("Backbones without mixers", "Token mixers are costly. We remove token mixers from the backbone."),
    Paper.create("An acoustic tokenizer", "It compresses audio. One second of audio needs only 40 tokens."),
]
QUESTION = "How many tokens does one second of audio need?"


def open_qa(folder: Path, settings: Settings | None = None) -> PaperQA:
    similarity = settings or load_settings(overrides={"evidence": {"reader": "similarity"}})
    return PaperQA.open(folder / FOLDER, embed_model=HashEncoder(), settings=similarity)


@pytest.fixture
def qa(tmp_path: Path) -> PaperQA:
    made = open_qa(tmp_path)
    made.add(PAPERS)
    return made


def threshold(qa: PaperQA) -> float:
    return qa.ask(QUESTION).trace.threshold


# -- what goes before what ------------------------------------------------------------------------------------


def test_what_a_collection_keeps_goes_before_defaults_only(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"refusal.threshold": 0.3, "retrieval.keywords": False, "retrieval.rerank": False}
    Path("citewell.toml").write_text("[retrieval]\nkeywords = true\n")
    monkeypatch.setenv("CITEWELL_REFUSAL__THRESHOLD", "0.7")
    settings = tuned(load_settings(), kept, FOLDER)
    assert (settings.refusal.threshold, settings.retrieval.keywords, settings.retrieval.rerank) == (0.7, True, False)
    rows = {row.name: row.source for row in describe(settings)}
    assert [rows[name] for name in TUNABLE] == [
        "environment CITEWELL_REFUSAL__THRESHOLD",
        "citewell.toml",
        "collection papers.idx",
    ]
    monkeypatch.delenv("CITEWELL_REFUSAL__THRESHOLD")
    assert tuned(load_settings(), kept, FOLDER).refusal.threshold == 0.3
    assert tuned(load_settings(overrides={"refusal": {"threshold": 0.9}}), kept, FOLDER).refusal.threshold == 0.9


def test_a_value_given_to_the_constructor_is_an_argument_even_if_it_is_the_default() -> None:
    kept = {"refusal.threshold": 0.3, "retrieval.rerank": False}
    settings = tuned(Settings(refusal=RefusalSettings(threshold=0.5)), kept, FOLDER)
    assert (settings.refusal.threshold, settings.retrieval.rerank) == (0.5, False)
    assert {row.name: row.source for row in describe(settings)}["refusal.threshold"] == "argument"
    other = tuned(Settings(retrieval=RetrievalSettings(candidates=7)), kept, FOLDER)  # of the same group
    assert (other.retrieval.candidates, other.retrieval.rerank) == (7, False)


def test_nothing_kept_changes_nothing() -> None:
    settings = load_settings(overrides={"ui": {"port": 9}})
    assert tuned(settings, {}, FOLDER) == settings
    assert describe(tuned(settings, {}, FOLDER)) == describe(settings)


def test_the_given_settings_are_not_changed() -> None:
    settings = load_settings()
    tuned(settings, {"refusal.threshold": 0.3}, FOLDER)
    assert settings.refusal.threshold == 0.5
    assert {row.source for row in describe(settings) if row.name in TUNABLE} == {"default"}


# -- what it does ---------------------------------------------------------------------------------------------


def test_it_takes_effect_at_once_and_for_everyone(qa: PaperQA, tmp_path: Path) -> None:
    other, strict = open_qa(tmp_path), open_qa(tmp_path, load_settings(overrides={"refusal": {"threshold": 0.2}}))
    assert [threshold(each) for each in (qa, other, strict)] == [0.5, 0.5, 0.2]
    assert qa.ask(QUESTION).status == "answered"
    qa.tune({"refusal.threshold": 1.0})
    assert qa.ask(QUESTION).status == "refused"
    assert [threshold(each) for each in (qa, other, strict, open_qa(tmp_path))] == [1.0, 1.0, 0.2, 1.0]
    other.tune({"refusal.threshold": None})
    assert threshold(qa) == 0.5


def test_a_thread_that_runs_already_is_answered_by_it(qa: PaperQA) -> None:
    asked, changed = threading.Event(), threading.Event()
    found: list[float] = []

    def work() -> None:
        found.append(threshold(qa))
        asked.set()
        assert changed.wait(30)
        found.append(threshold(qa))

    thread = threading.Thread(target=work)
    thread.start()
    assert asked.wait(30)
    qa.tune({"refusal.threshold": 0.1})
    changed.set()
    thread.join()
    assert found == [0.5, 0.1]


def test_searching_follows_the_switch_of_the_keywords(qa: PaperQA) -> None:
    before = qa.search("tokens audio")[0]
    qa.tune({"retrieval.keywords": False})
    after = qa.search("tokens audio")[0]
    assert before.keyword_score > 0.5
    assert before.score - after.score == pytest.approx(0.9 * before.keyword_score, abs=1e-5)


def test_the_models_are_not_loaded_again(qa: PaperQA) -> None:
    qa.ask(QUESTION)
    reader = qa._reader
    qa.tune({"retrieval.rerank": False})
    qa.ask(QUESTION)
    assert qa._reader is reader is not None


def test_reindexing_and_opening_again_keep_it(qa: PaperQA, tmp_path: Path) -> None:
    qa.tune({"refusal.threshold": 0.25})
    settings = load_settings(overrides={"index": {"passage_tokens": 40}, "evidence": {"reader": "similarity"}})
    changed = PaperQA.reindex(tmp_path / FOLDER, embed_model=HashEncoder(), settings=settings)
    assert threshold(changed) == 0.25
    assert threshold(open_qa(tmp_path)) == 0.25


# -- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"refusal.treshold": 0.3}, r"does not keep refusal\.treshold, .*Did you mean refusal\.threshold\?"),
        ({"keywords": None}, r"does not keep keywords, .*Did you mean retrieval\.keywords\?"),
        ({"ui.port": 1}, r"does not keep ui\.port, only refusal\.threshold, retrieval\.keywords, retrieval\.rerank"),
        ({"refusal.threshold": 1.5}, r"refusal\.threshold is 1\.5: input should be less than or equal to 1"),
        ({"refusal.threshold": True}, r"refusal\.threshold is True: input should be a valid number"),
        ({"refusal.threshold": float("nan")}, r"refusal\.threshold is nan: "),
        ({"retrieval.rerank": 0}, r"retrieval\.rerank is 0: input should be a valid boolean"),
    ],
)
def test_a_bad_name_or_value_is_refused_and_nothing_is_kept(
    qa: PaperQA, tmp_path: Path, values: dict[str, bool | float | None], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^argument: .*{message}" if "keep" in message else f"^argument: {message}"):
        qa.tune({"retrieval.keywords": False, **values})
    assert PaperStore.open(tmp_path / FOLDER, HashEncoder()).tuning() == {}


def test_without_an_index_the_next_step_is_named(tmp_path: Path) -> None:
    with pytest.raises(IndexNotFoundError, match="citewell add"):
        open_qa(tmp_path).tune({"refusal.threshold": 0.3})


def test_what_another_version_has_kept_is_named_and_can_be_removed(qa: PaperQA, tmp_path: Path) -> None:
    store = PaperStore.open(tmp_path / FOLDER, HashEncoder())
    store.tune({"refusal.threshold": 7, "retrieval.rerank": False})
    opened = open_qa(tmp_path)
    with pytest.raises(ConfigError, match=r"^collection .*papers\.idx: refusal\.threshold is 7: "):
        opened.ask(QUESTION)
    opened.tune({"refusal.threshold": None})
    assert threshold(opened) == 0.5
