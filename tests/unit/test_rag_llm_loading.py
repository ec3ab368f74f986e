"""What names a language model is read without loading or contacting anything; then the right kind of model is made."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_llm import ScriptedCustomLLM, ScriptedLLM
from fakes import HashEncoder
from typer.testing import CliRunner

from index.errors import CitewellError, ConfigError, GenerationError, ModelLoadError
from index.paper import Paper
from rag import CancelToken, PaperQA, Token
from rag.llm.llama_index_model import LlamaIndexLLM
from rag.llm.loading import as_language_model, check_source, load_model
from rag.llm.model import read_to_end
from rag.llm.server import ServerLLM
from rag.llm.source import FolderSource, HubSource, ServerSource, parse_source
from rag.settings import AnsweringSettings, RefusalSettings, Settings, load_settings

KEY = "sk-verysecret123"
MESSAGES = [{"role": "user", "content": "How?"}]


def model_folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    return path


# -- what names a model ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://127.0.0.1:8000/v1#qwen3", ServerSource("http://127.0.0.1:8000/v1", "qwen3")),
        ("http://127.0.0.1:8000/v1", ServerSource("http://127.0.0.1:8000/v1")),
        ("http://127.0.0.1:8000/v1/", ServerSource("http://127.0.0.1:8000/v1")),
        ("https://llm.example.org/v1#Qwen/Qwen3-8B", ServerSource("https://llm.example.org/v1", "Qwen/Qwen3-8B")),
        ("http://localhost/v1", ServerSource("http://localhost/v1")),  # without a port
        ("http://[::1]:8000/v1#m", ServerSource("http://[::1]:8000/v1", "m")),
        ("HTTP://Host:80/v1", ServerSource("http://Host:80/v1")),
        ("  http://host:80/v1#m \n", ServerSource("http://host:80/v1", "m")),
        ("http://host:80/v1#", ServerSource("http://host:80/v1")),
        ("Qwen/Qwen3-1.7B", HubSource("Qwen/Qwen3-1.7B")),
        ("gpt2", HubSource("gpt2")),
        (" gpt2 ", HubSource("gpt2")),
    ],
)
def test_servers_and_hub_ids(text: str, expected: object) -> None:
    assert parse_source(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "ftp://host/model",
        "file:///model",
        "javascript://x",
        "http://",
        "http:///v1",
        "http://host:port/v1",
        "http://host:99999/v1",
        "http://[::1/v1",
        "http://host/v1?key=1",
        "http://host/a b",
        "http://ho st/v1",
        "http://host/v1\x00",
    ],
)
def test_what_is_no_address_is_refused_with_how_to_write_one(text: str) -> None:
    for reads in (parse_source, check_source):
        with pytest.raises(ConfigError, match=r"Write it as http://host:port/v1#model"):
            reads(text)


@pytest.mark.parametrize(
    "text",
    [
        f"http://user:{KEY}@host/v1",
        f"http://{KEY}@host/v1",
        f"https://:{KEY}@host/v1#m",
        f"http://user:{KEY}@host/v1?x=1",
        f"http://user:{KEY}@host:port/v1",
        f"ftp://user:{KEY}@host/v1",
        f"http://user:{KEY}@/v1",
        f"http://user:{KEY}@[::1/v1",
    ],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError, match=r"holds a password.*CITEWELL_LLM_API_KEY") as caught:
        parse_source(text)
    assert KEY not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_no_name_is_no_model(text: str) -> None:
    Path("config.json").write_text("{}")  # even where the current folder would be one
    with pytest.raises(ConfigError, match="No language model is named"):
        parse_source(text)


def test_a_folder_is_one_that_holds_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model_folder(tmp_path / "my model")
    assert parse_source(str(folder)) == parse_source(f" {folder} ") == FolderSource(folder)
    monkeypatch.chdir(tmp_path)
    assert parse_source("./my model") == FolderSource(Path("my model"))
    assert parse_source("my model") == FolderSource(Path("my model"))
    model_folder(tmp_path / "Qwen" / "Qwen3")
    assert parse_source("Qwen/Qwen3") == FolderSource(Path("Qwen/Qwen3"))  # what is here goes before the hub
    check_source(str(folder))


def test_a_tilde_is_the_home_folder() -> None:
    model_folder(Path.home() / "models" / "qwen")
    assert parse_source("~/models/qwen") == FolderSource(Path.home() / "models" / "qwen")


@pytest.mark.parametrize(
    "text",
    [
        *("./nowhere", "/nowhere", "~/nowhere", "~", ".", "~no-such-user/model", "a b", "a/b/c", "-x", "./\x00"),
        *("x/" * 3000, "./" + "x" * 5000),
    ],
    ids=lambda text: text[:20],
)
def test_what_holds_no_model_is_named_with_the_next_step(text: str) -> None:
    for reads in (parse_source, check_source):
        with pytest.raises(ModelLoadError, match=r"There is no model at .*leave out --llm"):
            reads(text)


def test_a_folder_without_a_configuration_is_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpt2").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelLoadError, match="There is no model at gpt2"):
        parse_source("gpt2")


@pytest.mark.parametrize("model_id", ["Qwen/Qwen3-0.6B", "a..b", "x" * 200])
def test_a_hub_model_that_is_not_here_is_named_with_how_to_get_it(model_id: str) -> None:
    with pytest.raises(ModelLoadError, match=f"{model_id} is not on this machine.*citewell models pull {model_id}"):
        check_source(model_id)


def test_a_server_is_not_contacted_by_the_check() -> None:
    check_source("http://127.0.0.1:9/v1#m")
    check_source("https://does-not-exist.invalid/v1")


# -- loading, and the key -------------------------------------------------------------------------------------


def test_a_server_gets_what_the_settings_say_and_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITEWELL_LLM_API_KEY", KEY)
    settings = Settings(answering=AnsweringSettings(concurrent=3, timeout_s=7))
    model = load_model("http://127.0.0.1:9/v1#m", settings)
    assert isinstance(model, ServerLLM)
    assert (model.name, model.concurrent) == ("m at 127.0.0.1:9", 3)
    assert (model._api_key, model._timeout_s) == (KEY, 7)
    assert load_model("http://127.0.0.1:9/v1#m", Settings()).concurrent == 8


def test_without_a_key_none_is_sent() -> None:
    assert load_model("http://127.0.0.1:9/v1#m", Settings())._api_key == ""


def test_a_server_that_a_merely_found_file_names_gets_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITEWELL_LLM_API_KEY", KEY)
    url = "http://127.0.0.1:9/v1#m"
    Path("citewell.toml").write_text(f"[answering]\nllm = '{url}'\n")
    model = load_model(url, load_settings())
    assert model._api_key == ""
    assert "only the citewell.toml of the current folder names this server" in model._key_withheld
    assert "--llm, CITEWELL_ANSWERING__LLM" in model._key_withheld
    assert load_model("http://127.0.0.1:9/v1#other", load_settings())._api_key == KEY
    for settings in (load_settings("citewell.toml"), load_settings(overrides={"answering": {"llm": url}})):
        assert load_model(url, settings)._api_key == KEY
    monkeypatch.setenv("CITEWELL_ANSWERING__LLM", url)
    assert load_model(url, load_settings())._api_key == KEY
    monkeypatch.delenv("CITEWELL_ANSWERING__LLM")
    monkeypatch.setenv("CITEWELL_CONFIG", "citewell.toml")
    assert load_model(url, load_settings())._api_key == KEY


def test_the_key_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ui.cli.app import app

    monkeypatch.setenv("CITEWELL_LLM_API_KEY", KEY)
    monkeypatch.setenv("CITEWELL_ANSWERING__LLM", "http://127.0.0.1:9/v1#m")
    settings = load_settings()
    model = load_model("http://127.0.0.1:9/v1#m", settings)
    qa = PaperQA.open(tmp_path / "papers.idx", embed_model=HashEncoder(), settings=settings)
    with pytest.raises(GenerationError) as caught:
        list(model.stream(MESSAGES, 5, CancelToken()))  # nothing listens
    shown = [repr(model), str(model), model.name, model.prompt(MESSAGES), repr(settings), settings.model_dump_json()]
    shown += [str(caught.value), repr(caught.value), qa.answerer]
    for arguments in (["config"], ["config", "--json"]):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0
        assert "127.0.0.1:9" in result.stdout
        shown.append(result.output)
    assert not [text for text in shown if KEY in text]


def test_a_key_that_cannot_be_sent_is_refused_without_saying_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITEWELL_LLM_API_KEY", "schlüssel")
    with pytest.raises(ConfigError, match="CITEWELL_LLM_API_KEY") as caught:
        load_model("http://127.0.0.1:9/v1#m", Settings())
    assert "schlüssel" not in str(caught.value)


def test_a_damaged_folder_is_an_error_of_loading(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError):
        load_model(str(model_folder(tmp_path / "empty")), Settings())


@pytest.mark.parametrize("text", ["", "./nowhere", "ftp://x", f"http://a:{KEY}@h"])
def test_opening_a_collection_refuses_what_is_no_model(tmp_path: Path, text: str) -> None:
    with pytest.raises(CitewellError):
        PaperQA.open(tmp_path / "papers.idx", embed_model=HashEncoder(), llm=text)


# -- objects --------------------------------------------------------------------------------------------------


def test_our_own_kind_of_model_is_handed_on_and_guarded_once() -> None:
    llm = ScriptedLLM("It is so.", window=90, concurrent=3)
    model = as_language_model(llm)
    assert (model.name, model.window, model.concurrent, model.count_tokens("abc")) == ("scripted", 90, 3, 3)
    assert model.prompt(MESSAGES) == llm.prompt(MESSAGES)
    assert read_to_end(model.stream(MESSAGES, 400, CancelToken())) == ("It is so.", False)
    assert read_to_end(model.stream(MESSAGES, 9, CancelToken())) == ("It is so.", True)
    assert as_language_model(model) is model
    pieces = model.stream(MESSAGES, 400, CancelToken())
    next(pieces)
    pieces.close()
    assert llm.running == 0


class Breaks(ScriptedLLM):
    """Raises what is no error of ours at one place."""

    def __init__(self, where: str) -> None:
        super().__init__(SAID)
        self.where = where

    def __getattribute__(self, name: str) -> object:
        if name not in ("where", "stream") and name == object.__getattribute__(self, "where"):
            raise RuntimeError(f"no {name}")
        return object.__getattribute__(self, name)

    def stream(self, *args: object, **kwargs: object) -> Iterator[str]:  # type: ignore[override]
        if self.where == "stream":
            raise ConnectionResetError("peer")
        if self.where in ("middle", "kind"):
            return self._broken()
        return super().stream(*args, **kwargs)  # type: ignore[arg-type]

    def _broken(self) -> Iterator[str]:
        yield "One second of audio needs only 40 tokens [1]. It is what"
        if self.where == "kind":
            yield None  # type: ignore[misc]
        raise ConnectionResetError("peer")


@pytest.mark.parametrize(
    "where", ["prompt", "count_tokens", "window", "concurrent", "name", "stream", "middle", "kind"]
)
def test_whatever_an_object_of_the_caller_raises_is_an_answer_all_the_same(tmp_path: Path, where: str) -> None:
    qa = open_qa(tmp_path, Breaks(where))  # type: ignore[arg-type]
    answer = qa.ask("How many tokens does audio need?")
    assert "40 tokens" in answer.text
    notes = " ".join((*answer.trace.notes, answer.reason))
    if where in ("concurrent", "name"):
        assert notes == ""
    else:
        assert "The language model scripted failed: " in notes
        assert "Mend the object that was given as llm, or leave it out." in notes
    evidence = where in ("prompt", "count_tokens", "window", "stream")
    assert answer.trace.answerer == ("evidence" if evidence else qa.answerer)


def test_an_object_that_does_not_say_whether_it_was_cut_is_judged_by_its_length() -> None:
    class Silent(ScriptedLLM):
        def stream(self, *args: object, **kwargs: object) -> Iterator[str]:  # type: ignore[override]
            return iter(["It is ", "so."])

    model = as_language_model(Silent(""))
    assert read_to_end(model.stream(MESSAGES, 400, CancelToken())) == ("It is so.", False)
    assert read_to_end(model.stream(MESSAGES, 10, CancelToken())) == ("It is so.", True)


def test_metadata_of_llama_index_that_fail_leave_an_evidence_answer(tmp_path: Path) -> None:
    class NoMetadata(ScriptedCustomLLM):
        @property
        def metadata(self) -> object:
            raise ConnectionError("no host")

    assert LlamaIndexLLM(NoMetadata(replies=[""])).name == "NoMetadata"
    with pytest.raises(GenerationError, match="NoMetadata failed: no host"):
        _ = LlamaIndexLLM(NoMetadata(replies=[""])).window
    answer = open_qa(tmp_path, NoMetadata(replies=[SAID])).ask("How many tokens does audio need?")
    assert answer.trace.answerer == "evidence"
    assert "no host" in answer.trace.notes[0]


@pytest.mark.parametrize("given", [None, 5, object(), ["gpt2"], Path("x"), ScriptedLLM])
def test_what_is_no_model_is_a_slip_of_the_caller(given: object, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=f"llm is a {type(given).__name__}; give a folder, a hub id"):
        as_language_model(given)
    if given is not None:
        with pytest.raises(TypeError, match="llm is a"):
            PaperQA.open(tmp_path / "papers.idx", embed_model=HashEncoder(), llm=given)


PAPER = Paper.create(
    "WavCodec: An Acoustic Tokenizer",
    "WavCodec compresses audio. One second of audio needs only 40 tokens. Semantic information is kept.",
)
SAID = "One second of audio needs only 40 tokens [1]. One second of audio needs only 90 tokens [1]."


def open_qa(folder: Path, llm: ScriptedCustomLLM) -> PaperQA:
    settings = Settings(refusal=RefusalSettings(threshold=0.0))
    qa = PaperQA.open(folder / "papers.idx", embed_model=HashEncoder(), llm=llm, settings=settings)
    qa.add([PAPER])
    return qa


def test_a_llama_index_model_answers(tmp_path: Path) -> None:
    llm = ScriptedCustomLLM(replies=[SAID])
    qa = open_qa(tmp_path, llm)
    assert qa.answerer == "scripted-custom"
    answer = qa.ask("How many tokens does audio need?")
    assert [sentence.text for sentence in answer.sentences] == ["One second of audio needs only 40 tokens."]
    assert answer.sentences[0].citations[0].quote == "One second of audio needs only 40 tokens."
    assert "90" in answer.dropped[0].reason
    assert answer.trace.answerer == "scripted-custom"
    (asked,) = llm.asked
    assert "WavCodec compresses audio." in asked
    assert "How many tokens does audio need?" in asked


def test_a_llama_index_model_rewrites_and_answers_a_follow_up(tmp_path: Path) -> None:
    llm = ScriptedCustomLLM(replies=["How many tokens does WavCodec need?", SAID])
    history = [
        {"role": "user", "content": "What is WavCodec?"},
        {"role": "assistant", "content": "WavCodec compresses audio [1]."},
    ]
    answer = open_qa(tmp_path, llm).ask("and how many tokens does it need?", history)
    assert len(llm.asked) == 2
    assert answer.trace.standalone_question == "How many tokens does WavCodec need?"


def test_a_llama_index_model_stops_at_its_next_piece(tmp_path: Path) -> None:
    llm, cancel, pieces = ScriptedCustomLLM(replies=["It is so. " * 500]), CancelToken(), 0
    for event in open_qa(tmp_path, llm).stream("How many tokens does audio need?", cancel=cancel):
        if isinstance(event, Token):
            pieces += 1
            cancel.cancel()
    assert pieces <= 2


def test_a_llama_index_model_tells_whether_it_may_have_been_cut() -> None:
    def cut(words: int, tokens: int) -> bool:
        model = LlamaIndexLLM(ScriptedCustomLLM(replies=["word " * words]))
        return read_to_end(model.stream(MESSAGES, tokens, CancelToken()))[1]

    assert (cut(10, 400), cut(10_000, 400), cut(100, 100), cut(300, 10_000)) == (False, True, True, True)


def test_a_llama_index_model_that_does_not_keep_to_the_limit_is_cut_off() -> None:
    model = LlamaIndexLLM(ScriptedCustomLLM(replies=["word " * 10_000]))
    text = "".join(model.stream(MESSAGES, 10, CancelToken()))
    assert 10 * 4 < len(text) < 200
    assert model.window == 100_000
    assert model.concurrent == 1
    assert model.count_tokens("abcdef") == 2


def test_whatever_fails_inside_is_a_readable_error() -> None:
    class Failing(ScriptedCustomLLM):
        def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: object) -> object:
            raise KeyError("boom")

    class Silent(ScriptedCustomLLM):
        def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: object) -> object:
            raise TimeoutError

    for kind, message in ((Failing, "scripted-custom failed: 'boom'"), (Silent, "failed: TimeoutError")):
        with pytest.raises(GenerationError, match=message):
            list(LlamaIndexLLM(kind(replies=[""])).stream(MESSAGES, 10, CancelToken()))


def test_a_llama_index_model_that_fails_leaves_an_evidence_answer(tmp_path: Path) -> None:
    class Failing(ScriptedCustomLLM):
        def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: object) -> object:
            raise KeyError("boom")

    answer = open_qa(tmp_path, Failing(replies=[""])).ask("How many tokens does audio need?")
    assert answer.trace.answerer == "evidence"
    assert "boom" in answer.trace.notes[0]
    assert json.dumps(answer.to_dict())


def test_a_model_without_a_name_is_called_by_its_class() -> None:
    class Mine(ScriptedCustomLLM):
        @property
        def metadata(self) -> object:
            given = super().metadata
            return given.model_copy(update={"model_name": "unknown"})

    assert LlamaIndexLLM(Mine(replies=[""])).name == "Mine"
