"""Pulling a model from a hub on the loopback, with the hub's real client and a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_hub import COMMIT, FakeHub, serve

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL = "me/tiny"
WEIGHTS = bytes(range(256)) * 4096 * 40
SHARDS = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
FILES = {
    "config.json": b'{"architectures": ["Qwen3ForCausalLM"]}',
    "tokenizer.json": b"{}",
    "model.safetensors.index.json": json.dumps(SHARDS).encode(),
    "model-00001-of-00002.safetensors": b"small",
    "model-00002-of-00002.safetensors": WEIGHTS,
    "pytorch_model.bin": b"pickled",
    "modeling_own.py": b"raise SystemExit",
    "onnx/model.safetensors": b"again",
}


@pytest.fixture
def hub():
    with serve(FakeHub(MODEL, FILES)) as served:
        yield served


@pytest.fixture
def start(hub, cache_dir, tmp_path):
    """Start ``citewell models`` with arguments; gives the process."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("CITEWELL_", "HF_"))}
    variables = {
        "PYTHONPATH": str(REPOSITORY),
        "CITEWELL_CACHE_DIR": str(cache_dir),
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "hf"),
        "NO_PROXY": "127.0.0.1",
    }

    def start_citewell(*arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "ui", "models", *arguments],
            env={**kept, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    return start_citewell


def finished(process, timeout_s=60):
    out, err = process.communicate(timeout=timeout_s)
    assert "Traceback" not in err
    return process.returncode, out, err


def test_a_model_is_pulled_once_and_listed(hub, start, tmp_path):
    code, out, err = finished(start("pull", MODEL))
    assert code == 0, err
    snapshot = tmp_path / "hf" / "hub" / "models--me--tiny" / "snapshots" / COMMIT
    assert out == f"{MODEL} is in {snapshot} (41.9 MB).\n"
    assert {path.name for path in snapshot.iterdir()} == FILES.keys() - {*list(FILES)[-3:], "onnx"}
    assert (snapshot / "model-00002-of-00002.safetensors").read_bytes() == WEIGHTS
    assert len(err.splitlines()) == 2  # what it does, and what to do next: no bar of the hub's client
    asked = len(hub.asked)
    code, out, _ = finished(start("pull", MODEL))
    assert (code, out) == (0, f"{MODEL} is in {snapshot} (41.9 MB, all of it there already).\n")
    assert len(hub.asked) == asked
    code, out, _ = finished(start("list"))
    assert f"  {MODEL}, 41.9 MB\n" in out
    code, out, err = finished(start("pull", "me/other"))
    assert (code, out) == (1, "")
    assert "The hub has no model me/other" in err


def test_a_pull_that_is_stopped_goes_on_with_the_files_that_are_missing(hub, start, tmp_path):
    hub.pause_s = 0.1
    process = start("pull", MODEL)
    until = time.monotonic() + 60
    while hub.sent["model-00002-of-00002.safetensors"] < len(WEIGHTS) // 2:
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    code, out, err = finished(process)
    assert time.monotonic() - began < 8
    assert (code, out) == (130, "")
    assert err.splitlines()[-1] == "Stopped. The files that were finished are kept: run it again to continue."
    assert [path.name for path in tmp_path.rglob("*.incomplete")] == []
    code, out, _ = finished(start("list"))
    assert f"  {MODEL}, 0.0 MB, incomplete: pull it again\n" in out
    hub.pause_s = 0
    hub.asked.clear()
    code, _, err = finished(start("pull", MODEL))
    assert code == 0, err
    assert hub.asked == ["model-00002-of-00002.safetensors"]
