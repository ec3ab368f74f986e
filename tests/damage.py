"""What can happen to the search files of an index folder."""

import json
import shutil
from pathlib import Path


def _vector_file(folder: Path) -> Path:
    (path,) = folder.glob("vectors-*.faiss")
    return path


def drop_vectors(folder: Path) -> None:
    for path in folder.glob("vectors-*"):
        path.unlink()


def drop_vector_keys(folder: Path) -> None:
    for path in folder.glob("vectors-*.npy"):
        path.unlink()


def flip_a_byte_of_vectors(folder: Path) -> None:
    _flip(next(iter(folder.glob("vectors-*.faiss")), folder / "absent"), 2 / 3, 0x40)


def flip_a_byte_of_vector_keys(folder: Path) -> None:
    _flip(next(iter(folder.glob("vectors-*.npy")), folder / "absent"), 1, 0x01)


def truncate_vectors(folder: Path) -> None:
    path = next(iter(folder.glob("vectors-*.faiss")), folder / "absent")
    data = path.read_bytes()
    path.unlink()  # a mapped file of an open store must not shrink: what was mapped would be gone
    path.write_bytes(data[: len(data) // 2])


def drop_vector_stamp(folder: Path) -> None:
    (folder / "vectors.json").unlink()


def age_vector_stamp(folder: Path) -> None:
    facts = json.loads((folder / "vectors.json").read_text())
    (folder / "vectors.json").write_text(json.dumps({**facts, "generation": facts["generation"] - 1}))


def garble_vector_stamp(folder: Path) -> None:
    (folder / "vectors.json").write_text("[]")


def drop_keywords(folder: Path) -> None:
    shutil.rmtree(folder / "keywords")


def drop_keyword_stamp(folder: Path) -> None:
    (folder / "keywords" / "generation").unlink()


def garble_keyword_stamp(folder: Path) -> None:
    (folder / "keywords" / "generation").write_text("1 0")


def keep_only_the_keyword_stamp(folder: Path) -> None:
    for path in (folder / "keywords").iterdir():
        if path.name != "generation":
            path.unlink()


def drop_a_keyword_segment(folder: Path) -> None:
    for path in (folder / "keywords").glob("*.idx"):
        path.unlink()


def flip_a_byte_of_the_terms(folder: Path) -> None:
    for path in (folder / "keywords").glob("*.term"):
        _flip(path, 1 / 2, 0xFF)


def _flip(path: Path, place: float, bits: int) -> None:
    data = bytearray(path.read_bytes())
    data[min(int(len(data) * place), len(data) - 1)] ^= bits
    path.unlink()  # as above
    path.write_bytes(data)


DAMAGES = [
    drop_vectors,
    drop_vector_keys,
    flip_a_byte_of_vectors,
    flip_a_byte_of_vector_keys,
    truncate_vectors,
    drop_vector_stamp,
    age_vector_stamp,
    garble_vector_stamp,
    drop_keywords,
    drop_keyword_stamp,
    garble_keyword_stamp,
    keep_only_the_keyword_stamp,
    drop_a_keyword_segment,
    flip_a_byte_of_the_terms,
]
UNDER_AN_OPEN_STORE = [drop_vectors, drop_vector_stamp, drop_keywords, drop_a_keyword_segment]
