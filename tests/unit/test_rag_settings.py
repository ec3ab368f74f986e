"""Settings: every value has one source, and a name that is no setting is refused."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from index.errors import ConfigError
from rag.settings import Settings, describe, load_settings, tuned


@pytest.fixture(autouse=True)
def no_cache_variable(monkeypatch):
    monkeypatch.delenv("CITEWELL_CACHE_DIR")


def sources(settings):
    return {row.name: row.source for row in describe(settings) if row.source != "default"}


def test_defaults():
    settings = load_settings()
    assert settings == Settings()
    assert settings.index.path == Path("papers.idx")
    assert settings.index.cache_dir == Path.home() / ".cache" / "citewell"
    assert (settings.index.embed_model, settings.index.device, settings.index.passage_tokens) == (None, "auto", None)
    assert settings.answering.llm is None
    assert settings.refusal.threshold == 0.5
    assert (settings.ui.host, settings.ui.port) == ("127.0.0.1", 7860)
    assert sources(settings) == {}


def test_every_setting_has_a_description_and_forbids_unknown_fields():
    rows = describe(Settings())
    assert all(row.description.endswith(".") for row in rows)
    groups = [getattr(Settings(), group) for group in Settings.model_fields]
    assert all(isinstance(group, BaseModel) and group.model_config["extra"] == "forbid" for group in groups)
    assert len(rows) == sum(len(type(group).model_fields) for group in groups)


def test_settings_are_frozen():
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.ui = None
    with pytest.raises(ValidationError):
        settings.ui.port = 1


def test_the_plain_constructor_looks_at_nothing(monkeypatch):
    monkeypatch.setenv("CITEWELL_UI__PORT", "1234")
    Path("citewell.toml").write_text("[ui]\nport = 99\n")
    assert Settings().ui.port == 7860


def test_arguments_beat_environment_beats_file_beats_default(monkeypatch):
    Path("citewell.toml").write_text("[ui]\nport = 1\nhost = 'file'\n[retrieval]\nsimilarity_top_k = 4\n")
    monkeypatch.setenv("CITEWELL_UI__PORT", "2")
    monkeypatch.setenv("CITEWELL_UI__HOST", "environment")
    settings = load_settings(overrides={"ui": {"port": 3}})
    assert (settings.ui.port, settings.ui.host, settings.retrieval.similarity_top_k) == (3, "environment", 4)
    assert sources(settings) == {
        "ui.port": "argument",
        "ui.host": "environment CITEWELL_UI__HOST",
        "retrieval.similarity_top_k": "citewell.toml",
    }


def test_a_named_file_replaces_the_one_in_the_folder(monkeypatch, tmp_path):
    Path("citewell.toml").write_text("[ui]\nport = 1\n")
    named = tmp_path / "named.toml"
    named.write_text("[ui]\nhost = 'named'\n")
    monkeypatch.setenv("CITEWELL_CONFIG", str(named))
    assert (load_settings().ui.host, load_settings().ui.port) == ("named", 7860)
    assert sources(load_settings()) == {"ui.host": str(named)}
    assert load_settings("citewell.toml").ui.port == 1  # an argument beats the variable


def test_the_short_variable_of_the_cache_yields_to_the_long_one(monkeypatch, tmp_path):
    monkeypatch.setenv("CITEWELL_CACHE_DIR", str(tmp_path / "short"))
    assert load_settings().index.cache_dir == tmp_path / "short"
    assert sources(load_settings()) == {"index.cache_dir": "environment CITEWELL_CACHE_DIR"}
    monkeypatch.setenv("CITEWELL_INDEX__CACHE_DIR", str(tmp_path / "long"))
    assert load_settings().index.cache_dir == tmp_path / "long"
    assert sources(load_settings()) == {"index.cache_dir": "environment CITEWELL_INDEX__CACHE_DIR"}


def test_an_empty_variable_counts_as_unset(monkeypatch):
    monkeypatch.setenv("CITEWELL_ANSWERING__LLM", "")
    monkeypatch.setenv("CITEWELL_CONFIG", "")
    assert load_settings().answering.llm is None
    assert sources(load_settings()) == {}


def test_a_tilde_is_the_home_folder():
    assert load_settings(overrides={"index": {"path": "~/p.idx"}}).index.path == Path.home() / "p.idx"


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("CITEWELL_RETRIEVAL__SIMILARTY_TOP_K", "CITEWELL_RETRIEVAL__SIMILARITY_TOP_K"),
        ("CITEWELL_PORT", "CITEWELL_UI__PORT"),
        ("CITEWELL_CASHE_DIR", "CITEWELL_CACHE_DIR"),
        ("citewell_ui__prt", "CITEWELL_UI__PORT"),
    ],
)
def test_a_mistyped_variable_is_refused(monkeypatch, variable, nearest):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(ConfigError, match=f"{variable} is not a setting. Did you mean {nearest}"):
        load_settings()


def test_a_name_like_no_other_is_refused_with_the_groups(monkeypatch):
    monkeypatch.setenv("CITEWELL_ZZZZZZ", "1")
    with pytest.raises(ConfigError, match="The groups are index, retrieval"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[ui]\nprot = 1\n", "citewell.toml: ui.prot is not a setting. Did you mean ui.port?"),
        ("[retreival]\n", "citewell.toml: retreival is not a group of settings. Did you mean retrieval?"),
        ("port = 1\n", "citewell.toml: port is not a group of settings. Did you mean ui.port?"),
        ("ui = 1\n", "citewell.toml: ui is a group, not a value. Write [ui] above its settings."),
        ("[ui]\nport = 'x'\n", "citewell.toml: ui.port is 'x': input should be a valid integer"),
        ("[retrieval]\nsimilarity_top_k = 0\n", "citewell.toml: retrieval.similarity_top_k is 0: input should be gr"),
        ("[ui\n", "citewell.toml is not a TOML file: "),
    ],
)
def test_a_bad_file_is_refused(text, message):
    Path("citewell.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert str(caught.value).startswith(message)


def test_bad_values_name_their_variable_and_all_are_told(monkeypatch):
    monkeypatch.setenv("CITEWELL_UI__PORT", "x")
    with pytest.raises(ConfigError) as caught:
        load_settings(overrides={"refusal": {"threshold": 2}})
    assert "environment CITEWELL_UI__PORT: ui.port is 'x'" in str(caught.value)
    assert "argument: refusal.threshold is 2" in str(caught.value)


def test_the_embedding_model_is_chosen_by_file_and_environment(monkeypatch):
    Path("citewell.toml").write_text("[index]\nembed_model = 'BAAI/bge-small-en-v1.5'\npassage_tokens = 128\n")
    monkeypatch.setenv("CITEWELL_INDEX__DEVICE", "cuda")
    chosen = load_settings().index
    assert (chosen.embed_model, chosen.device, chosen.passage_tokens) == ("BAAI/bge-small-en-v1.5", "cuda", 128)


@pytest.mark.parametrize(("field", "value"), [("device", "gpu"), ("passage_tokens", 31)])
def test_a_bad_choice_for_the_embedding_is_refused(field, value):
    with pytest.raises(ConfigError, match=f"argument: index.{field} is {value!r}: input should be"):
        load_settings(overrides={"index": {field: value}})


@pytest.mark.parametrize("overrides", [{"ui": {"prot": 1}}, {"uy": {}}, {"ui": 1}])
def test_bad_arguments_are_refused(overrides):
    with pytest.raises(ConfigError, match=r"^argument: "):
        load_settings(overrides=overrides)


def test_a_missing_named_file_is_refused_with_who_named_it(monkeypatch):
    with pytest.raises(ConfigError, match=r"There is no settings file nowhere.toml\."):
        load_settings("nowhere.toml")
    monkeypatch.setenv("CITEWELL_CONFIG", "nowhere.toml")
    with pytest.raises(ConfigError, match=r"nowhere.toml \(named by CITEWELL_CONFIG\)"):
        load_settings()


def test_a_folder_is_not_a_settings_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path)


CODE = "[answering]\ntrust_remote_code = true\n"


def test_a_file_that_was_merely_found_may_not_let_code_run(monkeypatch):
    Path("citewell.toml").write_text(CODE)
    with pytest.raises(ConfigError, match=r"sets answering\.trust.*CITEWELL_ANSWERING__TRUST_REMOTE_CODE=true"):
        load_settings()
    assert load_settings("citewell.toml").answering.trust_remote_code
    assert not load_settings(overrides={"answering": {"trust_remote_code": False}}).answering.trust_remote_code
    monkeypatch.setenv("CITEWELL_ANSWERING__TRUST_REMOTE_CODE", "true")
    assert load_settings().answering.trust_remote_code
    monkeypatch.delenv("CITEWELL_ANSWERING__TRUST_REMOTE_CODE")
    monkeypatch.setenv("CITEWELL_CONFIG", "citewell.toml")
    assert load_settings().answering.trust_remote_code
    monkeypatch.delenv("CITEWELL_CONFIG")
    Path("citewell.toml").write_text(CODE.replace("true", "false"))
    assert not load_settings().answering.trust_remote_code


def test_what_was_merely_found_is_known(monkeypatch):
    Path("citewell.toml").write_text("[answering]\nllm = 'gpt2'\n")
    assert load_settings().was_found("answering.llm")
    assert tuned(load_settings(), {"refusal.threshold": 0.4}, Path("x")).was_found("answering.llm")
    assert not load_settings().was_found("ui.port")
    assert not load_settings("citewell.toml").was_found("answering.llm")
    monkeypatch.setenv("CITEWELL_ANSWERING__LLM", "gpt2")
    assert not load_settings().was_found("answering.llm")
    assert not Settings().was_found("answering.llm")


@pytest.mark.parametrize("address", ["http://user:pa55@host:80/v1#m", "https://pa55@host/v1", "http://u:p@pa55@host"])
def test_a_password_in_an_address_is_not_described(address):
    settings = Settings(answering={"llm": address})
    (value,) = [row.value for row in describe(settings) if row.name == "answering.llm"]
    assert "pa55" not in value
    assert value.startswith(address[: address.index("//") + 2] + "…@host")
    assert settings.answering.llm == address
