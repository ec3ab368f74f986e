"""The commands about language models: what is listed, pulled and tried, and what goes wrong."""

import errno
import importlib
import json
import threading
from collections import namedtuple
from pathlib import Path

import pytest
from fake_llm import ScriptedLLM
from typer.testing import CliRunner

from index.errors import ModelError, ModelLoadError
from rag import model_check as check_module
from rag.events import CancelToken
from rag.llm import pulling
from rag.llm.catalogue import RECOMMENDED
from rag.llm.hub_cache import cached_models
from rag.llm.measuring import Generation, MeasuredModel
from rag.llm.model import read_to_end
from rag.llm.pulling import UNWANTED, WANTED, pull
from rag.model_check import QUESTIONS, check_model, examine
from rag.settings import AnsweringSettings, IndexSettings, Settings
from ui.cli.app import app
from ui.cli.layout import lay_out_table
from ui.cli.models import models_app

MODEL = "Qwen/Qwen3-0.6B"
GB = 1_000_000_000
File = namedtuple("File", "filename file_size will_download")
FILES = [File("config.json", 700, True), File("model.safetensors", 3_000_000, True), File("tokenizer.json", 900, False)]


@pytest.fixture(autouse=True)
def hub(monkeypatch, tmp_path):
    """An empty hub cache of the test's own, and a hub's client that contacts nothing."""
    from huggingface_hub import constants  # not at the top: it reads the variables, which are not yet those of a test

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")  # so that what the command sets does not outlive the test
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put_in_cache(hub, model_id, architecture, *files):
    folder = hub / f"models--{model_id.replace('/', '--')}"
    snapshot = folder / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(snapshot.name)
    (folder / "blobs").mkdir()
    for name, text in (("config.json", json.dumps({"architectures": [architecture]})), *files):
        (snapshot / name).write_text(text)
    return snapshot


def run(*arguments):
    return CliRunner().invoke(app, ["models", *arguments])


def document(result):
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


# list


def test_the_list_names_every_model_says_what_was_not_measured_and_what_is_set():
    text = run("list").stdout
    assert all(model.model_id in text for model in RECOMMENDED)
    assert "was not measured here" in text
    assert text.splitlines()[-1] == "Set: none, the evidence reader answers."


def test_the_list_shows_text_models_of_the_cache_and_only_those(hub):
    whole = put_in_cache(hub, MODEL, "Qwen3ForCausalLM", ("model.safetensors", "x" * 1000))
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})
    put_in_cache(
        hub, "me/half", "LlamaForCausalLM", ("model.safetensors.index.json", index), ("model-1.safetensors", "x")
    )
    put_in_cache(hub, "me/encoder", "BertModel", ("model.safetensors", "x"))
    put_in_cache(hub, "me/broken", "[")
    (hub / "models--me--broken" / "snapshots" / whole.name / "config.json").write_text("{")
    assert [(m.model_id, m.complete) for m in cached_models()] == [(MODEL, True), ("me/half", False)]
    text = run("list").stdout
    assert f"  {MODEL}, 0.0 MB\n" in text
    assert "  me/half, 0.0 MB, incomplete: pull it again\n" in text
    assert "me/encoder" not in text


def test_the_list_as_json(hub, monkeypatch):
    snapshot = put_in_cache(hub, MODEL, "Qwen3ForCausalLM", ("model.safetensors", "x" * 1000))
    monkeypatch.setenv("CITEWELL_ANSWERING__LLM", MODEL)
    listed = document(run("list", "--json"))
    assert listed["set"] == MODEL
    assert [m["model_id"] for m in listed["recommended"] if m["cached"]] == [MODEL]
    assert listed["recommended"][0]["bfloat16_bytes"] == RECOMMENDED[0].parameters * 2
    (cached,) = listed["cached"]
    assert (cached["path"], cached["complete"]) == (str(snapshot), True)
    assert f"Set: {MODEL}  (environment CITEWELL_ANSWERING__LLM)" in run("list").stdout


def test_no_command_shows_a_password_in_the_address_of_a_server(monkeypatch):
    monkeypatch.setenv("CITEWELL_ANSWERING__LLM", "http://me:pa55word@127.0.0.1:9/v1#m")
    for arguments in ("models list", "models list --json", "models check", "config", "config --json"):
        result = CliRunner().invoke(app, arguments.split())
        assert "pa55word" not in result.output + str(result.exception), arguments


def test_a_table_has_its_columns_side_by_side():
    assert lay_out_table(("a", "b"), [("long", "x"), ("c", "y")]) == "a     b\nlong  x\nc     y"


# pull


def fake_snapshot_download(monkeypatch, hub, files=FILES, failure=None):
    """Put a local function in the place of the hub's client; returns what it was called with."""
    calls = []

    def snapshot_download(repo_id, *, dry_run=False, tqdm_class=None, **options):
        calls.append({"repo_id": repo_id, "dry_run": dry_run, **options})
        assert tqdm_class is not None  # or the client would draw its own bar
        if failure is not None:
            raise failure
        if dry_run:
            return files
        with tqdm_class(total=0, unit="B", unit_scale=True, name="x") as bytes_bar, tqdm_class(total=2) as files_bar:
            for file in files:
                if file.will_download:
                    bytes_bar.total += file.file_size
                    bytes_bar.update(file.file_size)
                    files_bar.update(1)
            bytes_bar.set_postfix_str("fast")
            bytes_bar.refresh()
        return str(hub / "snapshot")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    return calls


def test_pull_takes_what_transformers_needs_and_says_what_comes_next(monkeypatch, hub):
    calls = fake_snapshot_download(monkeypatch, hub)
    result = run("pull", MODEL)
    assert result.exit_code == 0, result.exception
    assert result.stdout == f"{MODEL} is in {hub / 'snapshot'} (3.0 MB).\n"
    assert f"citewell models check {MODEL}" in result.stderr
    assert "━" not in result.output  # no bar is drawn into a pipe, neither ours nor the client's
    assert [(c["repo_id"], c["dry_run"], c["revision"]) for c in calls] == [(MODEL, True, None), (MODEL, False, None)]
    assert calls[1]["allow_patterns"] == list(WANTED)


def test_a_revision_is_used_by_its_folder_since_an_id_means_the_main_branch(monkeypatch, hub):
    calls = fake_snapshot_download(monkeypatch, hub)
    result = run("pull", MODEL, "--revision", "v2")
    assert {call["revision"] for call in calls} == {"v2"}
    assert f"citewell models check {hub / 'snapshot'}" in result.stderr


def test_what_is_taken_and_what_is_not():
    from huggingface_hub.utils import filter_repo_objects

    taken = [
        *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model"),
        *("vocab.json", "merges.txt", "chat_template.jinja", "model.safetensors", "model-00001-of-00002.safetensors"),
        "model.safetensors.index.json",
    ]
    left = [
        *("pytorch_model.bin", "model.pth", "model.gguf", "modeling_own.py", "tokenizer_own.py", "README.md"),
        *("onnx/model.onnx", "original/model.safetensors", "consolidated.safetensors", "training_args.bin"),
    ]
    chosen = filter_repo_objects([*taken, *left], allow_patterns=list(WANTED), ignore_patterns=list(UNWANTED))
    assert list(chosen) == taken


def test_progress_is_told_in_megabytes_of_what_is_missing(monkeypatch, hub):
    fake_snapshot_download(monkeypatch, hub)
    told = []
    pulled = pull(MODEL, progress=lambda *step: told.append(step))
    message = f"Downloading {MODEL}, MB"
    assert told == [(0, 3, message), (0, 3, message), (3, 3, message)]
    assert (pulled.size_bytes, pulled.downloaded_bytes) == (3_001_600, 3_000_700)


def test_nothing_is_missing(monkeypatch, hub):
    fake_snapshot_download(monkeypatch, hub, [file._replace(will_download=False) for file in FILES])
    assert run("pull", MODEL).stdout.endswith("(3.0 MB, all of it there already).\n")


def hub_error(name, status):
    """Return an error of the hub's client as it raises them; the library it makes requests with has changed once."""
    from huggingface_hub import errors

    kind = getattr(errors, name)
    if not status:
        return kind("no connection\nmore")
    client = importlib.import_module(errors.HTTPError.__module__.partition(".")[0])
    return kind("no", response=client.Response(status, request=client.Request("GET", "http://hub.invalid")))


@pytest.mark.parametrize(
    ("failure", "parts"),
    [
        (("GatedRepoError", 403), ["accepted its terms", "HF_TOKEN", "copy the model's folder"]),
        (("RepositoryNotFoundError", 404), ["has no model", "citewell models list", "HF_TOKEN"]),
        (("RevisionNotFoundError", 404), ["no revision v9", "Leave out --revision"]),
        (("OfflineModeIsEnabled", None), ["HF_HUB_OFFLINE is set", "copy the model's folder"]),
        (("LocalEntryNotFoundError", None), ["(no connection)", "HF_ENDPOINT", "run it again"]),
        (None, ["is full", "run it again to continue"]),
    ],
)
def test_what_goes_wrong_names_the_next_step(monkeypatch, hub, failure, parts):
    cause = hub_error(*failure) if failure else OSError(errno.ENOSPC, "No space left")
    wrapped = hub_error("DryRunError", None)
    wrapped.__cause__ = cause
    for raised in (cause, wrapped):
        fake_snapshot_download(monkeypatch, hub, failure=raised)
        with pytest.raises(ModelError) as caught:
            pull(MODEL, "v9")
        assert "\n" not in str(caught.value)
        assert [part for part in parts if part not in str(caught.value)] == []


def test_too_small_a_disk_is_told_before_anything_is_downloaded(monkeypatch, hub):
    calls = fake_snapshot_download(monkeypatch, hub, [*FILES, File("b.safetensors", 7 * GB, True)])
    monkeypatch.setattr(pulling, "_free_bytes", lambda folder: 2 * GB)
    with pytest.raises(ModelError, match=r"needs 7\.0 GB more and the disk of .* has 2\.0 GB free.*HF_HUB_CACHE"):
        pull(MODEL)
    assert [call["dry_run"] for call in calls] == [True]


@pytest.mark.parametrize(("files", "lacking"), [(FILES[:1], "safetensors weights"), (FILES[1:], "config.json")])
def test_a_model_that_cannot_be_loaded_is_not_downloaded(monkeypatch, hub, files, lacking):
    calls = fake_snapshot_download(monkeypatch, hub, files)
    with pytest.raises(ModelError, match=f"has no {lacking}"):
        pull(MODEL)
    assert len(calls) == 1


@pytest.mark.parametrize("name", ["./folder", "/no/where", "http://127.0.0.1:1/v1", "ftp://x", "a b", "a//b", ""])
def test_only_a_hub_id_can_be_pulled(name):
    Path("folder").mkdir()
    Path("folder/config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"hub"):
        pull(name)
    result = run("pull", name)
    assert isinstance(result.exception, ValueError)  # main() makes exit code 2 of it
    assert result.stdout == ""


def test_an_interrupt_stops_the_client_and_says_how_to_go_on(monkeypatch, hub):
    stopped, began = threading.Event(), threading.Event()

    def snapshot_download(repo_id, *, dry_run=False, tqdm_class=None, **options):
        if dry_run:
            return FILES
        bar = tqdm_class(total=0, unit="B")
        try:
            while True:
                bar.update(1)
                began.set()
        finally:
            stopped.set()

    def interrupted(thread, timeout=None):
        assert began.wait(10)
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.setattr(threading.Thread, "join", interrupted)
    result = run("pull", MODEL)
    assert stopped.is_set()
    assert result.exit_code == 130
    assert "run it again to continue" in result.stderr


def test_offline_is_told_by_the_real_client():
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        pull(MODEL)


# check

GOOD = (
    "SqueezeBERT runs 4.3x faster than BERT-base on the Pixel 3 [1].",
    "GENet is up to 6.4 times faster than EfficientNet on GPU [1].",
    "One second of 24kHz audio requires only a single quantizer with 40 or 75 tokens [1].",
    "The Smart Price-aware Routing (SPROUT) dataset was introduced alongside CARROT [1].",
    "GraphVite takes around 20 hours for a network with 66 million nodes and 1.8 billion edges [1].",
)
BAD = "The moon is made of green cheese and weighs 12 grams [1]."


@pytest.fixture(autouse=True)
def few_papers(monkeypatch):
    monkeypatch.setattr(check_module, "_OTHER_PAPERS", 5)


@pytest.fixture
def settings(cache_dir):
    return Settings(index=IndexSettings(cache_dir=cache_dir), answering=AnsweringSettings(routing=True))


def test_a_model_whose_answers_stand(settings):
    told = []
    report = examine(ScriptedLLM(*GOOD), settings, lambda *step: told.append(step), load_s=1.5)
    assert report.verdict == "usable: 5 of 5 answers stand on the papers, 5 of 5 give what is known to be right"
    assert [(a.answerer, a.stands, a.right, a.dropped) for a in report.answers] == [("scripted", True, True, 0)] * 5
    assert report.kept + report.corrected == 5
    assert (report.name, report.load_s, report.failure, report.gpu_bytes) == ("scripted", 1.5, "", None)
    assert report.tokens_per_s > 0
    assert report.first_token_s >= 0
    assert report.peak_bytes > 50_000_000
    assert [step[:2] for step in told] == [(n, 6) for n in range(6)]


def test_a_model_of_which_nothing_stands(settings):
    report = examine(ScriptedLLM(*[BAD] * 5), settings)
    assert report.verdict == "not usable: no sentence of it was supported; the evidence reader answered"
    assert {(a.answerer, a.stands, a.kept, a.corrected) for a in report.answers} == {("evidence", False, 0, 0)}
    assert all(a.right for a in report.answers)  # the evidence reader's doing
    assert report.dropped == 5


def test_a_model_of_which_some_stands(settings):
    report = examine(ScriptedLLM(GOOD[0], BAD, GOOD[2], BAD, BAD), settings)
    assert report.verdict.startswith("partly usable: 2 of 5 answers stand on the papers, 2 of 5 give")


def test_a_model_that_writes_nothing(settings):
    assert examine(ScriptedLLM(*[""] * 5), settings).verdict.startswith("not usable: it wrote nothing")


def test_a_model_that_fails_is_asked_no_more(settings):
    report = examine(ScriptedLLM(*GOOD, fails_after=7), settings)
    assert len(report.answers) == 1
    assert "out of memory" in report.failure
    assert report.verdict.startswith("not usable: it failed. ")


def loads(monkeypatch, model):
    monkeypatch.setattr(check_module, "check_source", lambda source: None)
    monkeypatch.setattr(check_module, "load_model", lambda source, settings: model)


def test_check_shows_what_came_of_each_question(monkeypatch):
    model = ScriptedLLM(*GOOD[:4], BAD)
    model.parameters, model.dtype, model.device = 1_720_574_976, "bfloat16", "cpu"
    loads(monkeypatch, model)
    result = run("check", "any/model")
    assert result.exit_code == 0, result.exception
    assert result.stdout.startswith("scripted: 1.7 billion parameters, bfloat16, on cpu, ")
    for number, known in enumerate(QUESTIONS, start=1):
        assert f"{number}. {known.question}\n" in result.stdout
    assert result.stdout.count("   scripted, right; of the model: ") == 4
    assert "   evidence reader, right; of the model: 0 kept, 0 with citations corrected, 1 dropped; " in result.stdout
    assert "Verdict: partly usable: 4 of 5 answers" in result.stdout
    assert "this process used at most" in result.stdout


def test_check_as_json_takes_the_model_of_the_settings(monkeypatch):
    loads(monkeypatch, ScriptedLLM(*GOOD))
    monkeypatch.setenv("CITEWELL_ANSWERING__LLM", "any/model")
    report = document(run("check", "--json"))
    assert report["verdict"].startswith("usable: 5 of 5")
    assert len(report["answers"]) == 5
    assert {"tokens_per_s", "first_token_s", "kept", "corrected", "dropped", "peak_bytes"} <= report.keys()


def test_check_of_a_model_that_fails_is_a_failure(monkeypatch):
    loads(monkeypatch, ScriptedLLM(*GOOD, fails_after=0))
    result = run("check", "any/model")
    assert result.exit_code == 1
    assert "Verdict: not usable: it failed." in result.stdout
    assert "Error: The language model scripted failed" in result.stderr


def test_check_without_a_model_is_a_mistake_and_with_a_missing_one_a_failure(settings):
    none_named = run("check")
    assert isinstance(none_named.exception, ValueError)
    assert "no language model is named and none is set" in str(none_named.exception)
    for name in ("./nowhere", "me/absent"):
        with pytest.raises(ModelLoadError):
            check_model(name, settings)


def test_check_of_a_real_model_of_random_weights(settings, tiny_qwen, monkeypatch):
    short = settings.answering.model_copy(update={"max_new_tokens": 24})
    monkeypatch.setattr(check_module, "QUESTIONS", QUESTIONS[:2])
    report = check_model(str(tiny_qwen), settings.model_copy(update={"answering": short}))
    assert report.verdict.startswith("not usable: no sentence of it was supported")
    assert report.parameters > 100_000
    assert report.dtype in ("float32", "bfloat16")
    assert report.device.startswith(("cpu", "cuda", "mps"))
    assert report.tokens_per_s > 0
    assert {a.answerer for a in report.answers} == {"evidence"}


# measuring


def test_a_measured_model_hands_on_and_counts():
    model = ScriptedLLM("one two three four five", delay_s=0.01)
    measured = MeasuredModel(model)
    messages = [{"role": "user", "content": "count"}]
    assert (measured.name, measured.window, measured.concurrent) == (model.name, model.window, model.concurrent)
    assert measured.prompt(messages) == model.prompt(messages)
    pieces = measured.stream(messages, 100, CancelToken(), 2)
    assert next(pieces) == "one two"
    pieces.close()
    (record,) = measured.generations
    assert record.tokens == model.count_tokens("one two")
    assert 0.01 <= record.first_s <= record.total_s
    assert record.failure == ""


def test_speed_is_counted_from_the_first_piece():
    assert Generation(tokens=11, first_s=1.0, total_s=3.0).tokens_per_s == 5.0
    assert Generation(tokens=1, first_s=1.0, total_s=1.0).tokens_per_s is None
    assert Generation().tokens_per_s is None


def test_a_measured_model_tells_whether_the_text_was_cut():
    measured = MeasuredModel(ScriptedLLM("one two"))
    assert read_to_end(measured.stream([], 100, CancelToken())) == ("one two", False)
    assert read_to_end(measured.stream([], 7, CancelToken())) == ("one two", True)


def test_every_models_command_is_in_the_readme():
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    named = [command.name or command.callback.__name__ for command in models_app.registered_commands]
    assert [name for name in named if f"citewell models {name}" not in readme] == []
