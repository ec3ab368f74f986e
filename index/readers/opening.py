"""Open a file as lines of UTF-8 text, compressed or not. Knows no format of papers.

Bytes that are not UTF-8 come through as lone surrogates, so that one bad line does not end the file; a
reader finds them with :func:`undecodable`.
"""

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, TextIO

from ..errors import CorpusError

HEAD_BYTES = 65536  # what is looked at to tell the format: a few dozen papers
MAX_LINE_CHARS = 10_000_000  # a longer line is cut: it is no record, and memory is finite
_UNDECODABLE = re.compile("[\udc80-\udcff]")  # what the error handler "surrogateescape" makes of bad bytes
_MAGIC = {
    b"%PDF-": "a PDF document",
    b"PK\x03\x04": "a zip archive or an Office document",
    b"SQLite format 3\x00": "an SQLite database",
    b"\x89PNG": "a picture",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\xff\xfe": "UTF-16 text, where UTF-8 is needed",
    b"\xfe\xff": "UTF-16 text, where UTF-8 is needed",
}


def read_head(source: Path | BinaryIO) -> str:
    """Return the beginning of a text file, decompressed.

    Args:
        source: The file's path, or the open file itself if it has none; that is read from its beginning.

    Raises:
        CorpusError: If the file cannot be opened, is empty, or is not text. The message does not name the file.
    """
    try:
        with _open_bytes(source) as file:
            head = file.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as exc:
        raise CorpusError(f"it cannot be read: {exc}") from exc
    if not head:
        raise CorpusError("it is empty")
    if kind := next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None):
        raise CorpusError(f"it is {kind}")
    text = _as_text(io.BytesIO(head)).read()
    if "\0" in text or len(_UNDECODABLE.findall(text)) > len(text) / 10:
        raise CorpusError("it is binary, not text")
    if not text.strip():
        raise CorpusError("it holds nothing but white space")
    return text


@contextmanager
def open_text(source: Path | BinaryIO) -> Iterator[TextIO]:
    """Open a file for reading as text, line ends made one, decompressed by its first bytes."""
    with _open_bytes(source) as file:
        text = _as_text(file)
        try:
            yield text
        finally:
            if not isinstance(source, Path):
                text.detach()  # the file is the caller's to close


def raw_lines(file: TextIO) -> Iterator[tuple[int, str]]:
    """Yield every line as it is, with its number from 1.

    A line of more than :data:`MAX_LINE_CHARS` is cut there.
    """
    number = 0
    while line := file.readline(MAX_LINE_CHARS):
        number += 1
        rest = line
        while not rest.endswith("\n") and (rest := file.readline(MAX_LINE_CHARS)):
            pass
        yield number, line


def numbered_lines(file: TextIO) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, stripped, as :func:`raw_lines` numbers and cuts them."""
    for number, line in raw_lines(file):
        if line := line.strip():
            yield number, line


def undecodable(text: str) -> bool:
    """Whether some bytes of ``text`` were not UTF-8."""
    return _UNDECODABLE.search(text) is not None


@contextmanager
def _open_bytes(source: Path | BinaryIO) -> Iterator[BinaryIO | gzip.GzipFile]:
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
        file.seek(0)
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if compressed:
            with gzip.open(file) as decompressed:
                yield decompressed
        else:
            yield file


def _as_text(file: BinaryIO | gzip.GzipFile) -> io.TextIOWrapper:
    return io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape")
