"""Read a text file line by line, or one JSON value per line, with errors that name the place. Knows no dataset."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from index.errors import EvalDataError

_T = TypeVar("_T")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file that are not blank, with their numbers from 1.

    Raises:
        EvalDataError: If the file cannot be read or is not UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from ((number, line) for number, line in enumerate(file, start=1) if line.strip())
    except OSError as exc:
        raise EvalDataError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise EvalDataError(f"{path} is not UTF-8 text ({exc.reason}). Save it as UTF-8.") from exc


def read_objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each JSON object of a file, with the words for its place.

    Raises:
        EvalDataError: If the file cannot be read, or a line is not a JSON object.
    """
    for number, line in read_lines(path):
        where = f"{path}, line {number}"
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as exc:
            raise EvalDataError(f"{where}: is not JSON ({exc}). Write one JSON object per line.") from exc
        if not isinstance(value, dict):
            raise EvalDataError(f"{where}: is not a JSON object. Write one JSON object per line.")
        yield where, value


def read_values(path: Path, form: TypeAdapter[_T]) -> Iterator[tuple[str, _T]]:
    """Yield each line of a file as a value of a form, with the words for its place.

    Raises:
        EvalDataError: If the file cannot be read, or a line is not of that form; the message names the field.
    """
    for number, line in read_lines(path):
        where = f"{path}, line {number}"
        try:
            value = form.validate_json(line)
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise EvalDataError(f"{where}, field {field or 'none'}: {first['msg']}") from exc
        yield where, value
