"""Fixtures for every test: a machine of its own, and a cache that is filled once."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that all tests of a run share, so that the encoder graph is exported once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def isolated_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, cache_dir: Path
) -> None:
    """Give each test an empty home, an empty current folder and no settings of the user's."""
    home, work = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("work")
    for name in list(os.environ):
        if name.upper().startswith(("CITEWELL_", "XDG_", "HF_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CITEWELL_CACHE_DIR", str(cache_dir))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # a test that reaches for a model hub fails instead of waiting
    monkeypatch.chdir(work)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of evaluation data beside the repository; tests that need it are skipped without it."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"there is no evaluation data at {folder}")
    return folder


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """A folder like ``tmp_path``, in memory where that is possible: each commit to a disk has to be waited for."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def tiny_qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random Qwen2-like model of 0.2M parameters, which writes nonsense."""
    from tiny_model import build_tiny_qwen

    return build_tiny_qwen(tmp_path_factory.mktemp("tiny-qwen"))


@pytest.fixture(scope="session")
def stories(shared_data: Path) -> Path:
    """The folder of a real Llama of 260,032 parameters, with a SentencePiece tokenizer."""
    folder = shared_data.parent / "weights" / "stories260K"
    if not folder.is_dir():
        pytest.skip(f"there is no model at {folder}")
    return folder
