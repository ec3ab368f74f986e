"""Read papers from a file or a folder of any known format. Holds no knowledge of a format itself."""

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import CorpusError
from ..paper import Paper
from .formats import Format, format_of, supported
from .opening import open_text, read_head
from .rejected import Rejected


def read_papers(path: Path) -> Iterator[Paper | Rejected]:
    """Read the papers of a file, or of a folder and the folders in it in sorted order.

    The format is told by the content. Files are streamed. Hidden files of a folder are skipped; its other
    files that cannot be read are reported like broken records are, and the rest is still read.

    Raises:
        CorpusError: At once, if nothing is at ``path``, if the file cannot be read, is empty, is not text or
            has no known format, or if the folder holds no files.
    """
    path = Path(path)
    if path.is_dir():
        if next(_files(path, []), None) is None:
            raise CorpusError(f"{path}: the folder holds no files. Formats that can be read: {supported()}.")
        return _read_folder(path)
    if not path.exists():
        raise CorpusError(f"{path}: there is no such file or folder. Check the path, or go to its folder first.")
    if not path.is_file():
        raise CorpusError(f"{path}: it is neither a file nor a folder. Write its content to a file first.")
    try:
        return _read_file(path, _format_of(path))
    except CorpusError as exc:
        raise CorpusError(f"{path}: {exc}. Formats that can be read: {supported()}.") from exc


def _format_of(path: Path) -> Format:
    head = read_head(path)
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    if (known := format_of(head, suffix)) is None:
        first_line = head.strip().split("\n", 1)[0]
        raise CorpusError(f"its format is not known; it begins with {first_line[:60]!r}")
    return known


def _read_file(path: Path, known: Format) -> Iterator[Paper | Rejected]:
    try:
        with open_text(path) as file:
            yield from known.read(file, str(path))
    except (OSError, EOFError, zlib.error) as exc:
        yield Rejected(str(path), "file", f"reading stopped before its end: {exc}")


def _read_folder(folder: Path) -> Iterator[Paper | Rejected]:
    unreadable: list[OSError] = []
    for path in _files(folder, unreadable):
        try:
            known = _format_of(path)
        except CorpusError as exc:
            yield Rejected(str(path), "file", str(exc))
        else:
            yield from _read_file(path, known)
    for error in unreadable:
        yield Rejected(str(error.filename), "file", f"the folder cannot be read: {error.strerror}")


def _files(folder: Path, unreadable: list[OSError]) -> Iterator[Path]:
    """Walk the files that are not hidden, sorted by path; folders that fail are added to ``unreadable``."""
    for where, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(where, name) for name in sorted(files) if not name.startswith("."))
