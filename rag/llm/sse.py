"""Cut a stream of server-sent events into the data of its events. Does not read what the data says."""

import re
from collections.abc import Iterator

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class TooLongError(Exception):
    """More comes than can be meant."""


class EventStream:
    r"""Takes bytes as they come, cut anywhere, and gives the data of each event once it is complete.

    As the HTML standard has it: lines end with ``\n``, ``\r\n`` or ``\r``, an empty line ends an event, several
    ``data`` lines make one text, and comments and other fields are passed over. Bytes that are not UTF-8 become
    U+FFFD.

    Example:
        >>> events = EventStream()
        >>> list(events.feed(b": hello\ndata: a\nda")), list(events.feed(b"ta: b\n\n"))
        ([], ['a\nb'])

    Args:
        max_bytes: The longest event, in bytes of its lines.
    """

    def __init__(self, max_bytes: int = 1 << 20) -> None:
        self._max_bytes = max_bytes
        self._line = bytearray()  # the beginning of a line whose end has not come
        self._data: list[bytes] = []
        self._size = 0  # bytes in _data
        self._after_return = False  # a line feed would belong to the \r before it
        self._first = True

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Yield the data of the events that these bytes complete.

        Raises:
            TooLongError: If an event is longer than ``max_bytes``; what came before it has been yielded.
        """
        if self._after_return and chunk:
            chunk, self._after_return = chunk.removeprefix(b"\n"), False
        if not chunk:
            return
        self._after_return = chunk.endswith(b"\r")
        *ends, rest = _LINE_END.split(chunk)
        for end in ends:
            self._extend(end)
            yield from self._end_of_line()
        self._extend(rest)

    def close(self) -> Iterator[str]:
        """Yield the data of an event whose closing empty line is missing, at the end of the stream."""
        yield from self._end_of_line()
        yield from self._end_of_line()

    def _extend(self, part: bytes) -> None:
        self._line += part
        if len(self._line) + self._size > self._max_bytes:
            raise TooLongError(f"an event of more than {self._max_bytes} bytes")

    def _end_of_line(self) -> Iterator[str]:
        line = bytes(self._line)
        self._line.clear()
        if self._first:
            line, self._first = line.removeprefix(_BYTE_ORDER_MARK), False
        if not line:
            if self._data:
                yield b"\n".join(self._data).decode("utf-8", "replace")
            self._data, self._size = [], 0
            return
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
            self._size += len(value) + 1
