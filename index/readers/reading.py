"""Read papers from a file, a folder or a stream of any known format. Holds no knowledge of a format itself."""

import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from ..errors import CorpusError
from ..paper import Paper
from .formats import Format, format_of, supported
from .opening import open_text, read_head
from .records import checked_field_map
from .rejected import Rejected

STREAM_NAME = "stdin"
_SPOOL_BYTES = 1 << 22  # what a stream may hold before it goes to a temporary file


def read_papers(path: Path, field_map: Mapping[str, str] | None = None) -> Iterator[Paper | Rejected]:
    """Read the papers of a file, or of a folder and the folders in it in sorted order.

    The format is told by the content. Files are streamed. Hidden files of a folder are skipped; its other
    files that cannot be read are reported like broken records are, and the rest is still read.

    Args:
        path: The file or folder.
        field_map: Our fields and the columns of a table, or the keys of JSON objects, that hold them, such as
            ``{"abstract": "Notes"}``; these beat the names that are known. Other formats have names of their own.

    Raises:
        CorpusError: At once, if nothing is at ``path``, if the file cannot be read, is empty, is not text,
            has no known format or lacks a column, or if the folder holds no files.
        ValueError: At once, if ``field_map`` has a field that is none of ours.
    """
    return (record for _, record in read_sources(path, field_map))


class SourceRecords(Iterator[tuple[str, Paper | Rejected]]):
    """Records, each with the absolute path of its file, and how far the reading of all files has come.

    Args:
        total_bytes: Size of all files together.
    """

    def __init__(self, total_bytes: int) -> None:
        self._total, self._before = total_bytes, 0
        self._file: BinaryIO | None = None
        self._records: Iterator[tuple[str, Paper | Rejected]] = iter(())

    def __next__(self) -> tuple[str, Paper | Rejected]:
        return next(self._records)

    @property
    def fraction(self) -> float:
        """Share of the bytes that has been read, 0 to 1."""
        here = 0 if self._file is None else self._file.tell()
        return min(1.0, (self._before + here) / self._total) if self._total else 1.0

    @contextmanager
    def _opened(self, path: Path) -> Iterator[BinaryIO]:
        with path.open("rb") as file:
            self._file = file
            try:
                yield file
            finally:
                # A reading that is abandoned can find its file closed.
                self._before, self._file = self._before + (0 if file.closed else file.tell()), None


def read_sources(path: Path, field_map: Mapping[str, str] | None = None) -> SourceRecords:
    """Read papers as :func:`read_papers` does, each with the absolute path of the file that it comes from.

    Raises:
        CorpusError: As :func:`read_papers`.
        ValueError: As :func:`read_papers`.
    """
    path, names = Path(path), checked_field_map(field_map)
    if path.is_dir():
        if next(_files(path, []), None) is None:
            raise CorpusError(f"{path}: the folder holds no files. Formats that can be read: {supported()}.")
        reading = SourceRecords(sum(file.stat().st_size for file in _files(path, []) if file.is_file()))
        reading._records = _read_folder(path, names, reading)
        return reading
    if not path.exists():
        raise CorpusError(f"{path}: there is no such file or folder. Check the path, or go to its folder first.")
    if not path.is_file():
        raise CorpusError(f"{path}: it is neither a file nor a folder. Write its content to a file first.")
    try:
        known = _format_of(path, str(path), names)
    except CorpusError as exc:
        raise CorpusError(f"{path}: {exc}. Formats that can be read: {supported()}.") from exc
    source, reading = str(path.resolve()), SourceRecords(path.stat().st_size)
    reading._records = ((source, record) for record in _read_path(path, known, names, reading))
    return reading


def read_stream(stream: BinaryIO, field_map: Mapping[str, str] | None = None) -> Iterator[Paper | Rejected]:
    """Read the papers of a stream, such as standard input; what is wrong is reported for ``stdin:line``.

    The stream is read to its end first, into a temporary file if it is large, because telling the format takes a
    look ahead.

    Raises:
        CorpusError: At once, as for a file of :func:`read_papers`.
        ValueError: At once, if ``field_map`` has a field that is none of ours.
    """
    names = checked_field_map(field_map)
    spooled = cast(BinaryIO, tempfile.SpooledTemporaryFile(_SPOOL_BYTES))  # open until the last record was read
    try:
        shutil.copyfileobj(stream, spooled)
        known = _format_of(spooled, STREAM_NAME, names)
    except CorpusError as exc:
        spooled.close()
        raise CorpusError(f"{STREAM_NAME}: {exc}. Formats that can be read: {supported()}.") from exc
    return _read_spooled(spooled, known, names)


def _read_spooled(spooled: BinaryIO, known: Format, field_map: Mapping[str, str]) -> Iterator[Paper | Rejected]:
    with spooled:
        yield from _read_file(spooled, STREAM_NAME, known, field_map)


def _format_of(source: Path | BinaryIO, name: str, field_map: Mapping[str, str]) -> Format:
    head = read_head(source)
    suffix = Path(name.removesuffix(".gz").removesuffix(".GZ")).suffix
    if (known := format_of(head, suffix, field_map)) is None:
        first_line = head.strip().split("\n", 1)[0]
        raise CorpusError(f"its format is not known; it begins with {first_line[:60]!r}")
    return known


def _read_path(
    path: Path, known: Format, field_map: Mapping[str, str], reading: SourceRecords
) -> Iterator[Paper | Rejected]:
    try:
        with reading._opened(path) as file:
            yield from _read_file(file, str(path), known, field_map)
    except OSError as exc:
        yield Rejected(str(path), "file", f"it cannot be read: {exc}")


def _read_file(source: BinaryIO, name: str, known: Format, field_map: Mapping[str, str]) -> Iterator[Paper | Rejected]:
    try:
        with open_text(source) as file:
            yield from known.read(file, name, field_map)
    except (OSError, EOFError, zlib.error) as exc:
        yield Rejected(name, "file", f"reading stopped before its end: {exc}")


def _read_folder(
    folder: Path, field_map: Mapping[str, str], reading: SourceRecords
) -> Iterator[tuple[str, Paper | Rejected]]:
    unreadable: list[OSError] = []
    for path in _files(folder, unreadable):
        source = str(path.resolve())
        try:
            known = _format_of(path, str(path), field_map)
        except CorpusError as exc:
            yield source, Rejected(str(path), "file", str(exc))
        else:
            yield from ((source, record) for record in _read_path(path, known, field_map, reading))
    for error in unreadable:
        where = str(error.filename)
        yield str(Path(where).resolve()), Rejected(where, "file", f"the folder cannot be read: {error.strerror}")


def _files(folder: Path, unreadable: list[OSError]) -> Iterator[Path]:
    """Walk the files that are not hidden, sorted by path; folders that fail are added to ``unreadable``."""
    for where, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(where, name) for name in sorted(files) if not name.startswith("."))
