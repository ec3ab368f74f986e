"""llama-index's metadata filters, evaluated over a column of values at a time. Reads no database and no node.

Where llama-index's own ``SimpleVectorStore`` gives a result, this is the same. It raises a ``TypeError`` for two
values that cannot be compared, so that one odd node fails every search; here such a node does not pass.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from ..rows import Keys
from ..vectors import Mask

Column = Mapping[int, Any]
"""The values of one metadata field by node; nodes without the field, or with null in it, are left out."""

_Test = Callable[[Any], bool]

_COMPARED: Mapping[FilterOperator, Callable[[Any, Any], bool]] = {
    FilterOperator.EQ: operator.eq,
    FilterOperator.NE: operator.ne,
    FilterOperator.GT: operator.gt,
    FilterOperator.GTE: operator.ge,
    FilterOperator.LT: operator.lt,
    FilterOperator.LTE: operator.le,
    FilterOperator.CONTAINS: operator.contains,
}
_ORDERED = {FilterOperator.GT, FilterOperator.GTE, FilterOperator.LT, FilterOperator.LTE}
_LISTED = {FilterOperator.IN, FilterOperator.NIN, FilterOperator.ANY, FilterOperator.ALL}
_TEXTUAL = {FilterOperator.TEXT_MATCH, FilterOperator.TEXT_MATCH_INSENSITIVE}
_PASSED_WITHOUT_VALUE = {FilterOperator.NE, FilterOperator.NIN, FilterOperator.IS_EMPTY}


class Columns:
    """The metadata fields that filters have asked for, read once and then kept in step."""

    def __init__(self) -> None:
        self._columns: dict[str, dict[int, Any]] = {}

    def __len__(self) -> int:
        return len(self._columns)

    def get(self, field: str, read: Callable[[str], dict[int, Any]]) -> Column:
        """Return one field, read by ``read`` when it is asked for the first time."""
        if field not in self._columns:
            self._columns[field] = read(field)
        return self._columns[field]

    def add(self, key: int, metadata: Mapping[str, Any]) -> None:
        """Take in a new node."""
        for field, column in self._columns.items():
            if metadata.get(field) is not None:
                column[key] = metadata[field]

    def remove(self, keys: Sequence[int]) -> None:
        """Forget nodes."""
        for column in self._columns.values():
            for key in keys:
                column.pop(key, None)

    def clear(self) -> None:
        """Forget all fields; they are read anew when they are asked for."""
        self._columns.clear()


def passing(filters: MetadataFilters, column: Callable[[str], Column], size: int) -> Mask:
    """Return which nodes pass, by their keys, bool, shape (size,); of a key without a node it says nothing.

    Args:
        filters: The filters, of any depth; no filters let everything pass.
        column: Gives the values of a field.
        size: Greatest key + 1.

    Raises:
        ValueError: If a filter makes no sense whatever the nodes: its value does not fit its operator.
    """
    if not filters.filters:
        return np.ones(size, dtype=np.bool_)
    masks: list[Mask] = [
        passing(part, column, size) if isinstance(part, MetadataFilters) else _passing_one(part, column, size)
        for part in filters.filters
    ]
    together: Mask
    condition = filters.condition or FilterCondition.AND
    if condition == FilterCondition.AND:
        together = np.all(masks, axis=0)
    elif condition == FilterCondition.OR:
        together = np.any(masks, axis=0)
    elif condition == FilterCondition.NOT:  # none of them passes
        together = ~np.any(masks, axis=0)
    else:
        raise ValueError(f"filters combined with {condition.value!r} are not supported")
    return together


def _passing_one(part: MetadataFilter, column: Callable[[str], Column], size: int) -> Mask:
    test, values = _test(part), column(part.key)
    mask = np.full(size, part.operator in _PASSED_WITHOUT_VALUE, dtype=np.bool_)
    keys: Keys = np.fromiter(values.keys(), dtype=np.int64, count=len(values))
    mask[keys] = np.fromiter(map(test, values.values()), dtype=np.bool_, count=len(values))
    return mask


def _test(part: MetadataFilter) -> _Test:
    """Return what tells whether a value passes."""
    kind, wanted = part.operator, part.value
    if (
        (kind in _ORDERED and wanted is None)
        or (kind in _LISTED and not isinstance(wanted, list | str))
        or (kind in _TEXTUAL and not isinstance(wanted, str))
    ):
        needed = "a list" if kind in _LISTED else "a string" if kind in _TEXTUAL else "a value"
        raise ValueError(f"the filter on {part.key!r} with {kind.value!r} needs {needed}, not {wanted!r}")
    if kind in _COMPARED:
        compare = _COMPARED[kind]
        return _forgiving(lambda value: compare(value, wanted))
    words: Any = wanted
    within = _forgiving(lambda value: value in words)
    tests: Mapping[FilterOperator, _Test] = {
        FilterOperator.IN: within,
        FilterOperator.NIN: lambda value: not within(value),
        FilterOperator.ANY: _forgiving(lambda value: any(word in value for word in words)),
        FilterOperator.ALL: _forgiving(lambda value: all(word in value for word in words)),
        FilterOperator.TEXT_MATCH: lambda value: isinstance(value, str) and words in value,
        FilterOperator.TEXT_MATCH_INSENSITIVE: lambda value: isinstance(value, str) and words.lower() in value.lower(),
        FilterOperator.IS_EMPTY: lambda value: value == "" or value == [],
    }
    if kind not in tests:
        raise ValueError(f"filters with {kind.value!r} are not supported")
    return tests[kind]


def _forgiving(test: _Test) -> _Test:
    def tolerant(value: Any) -> bool:
        try:
            return bool(test(value))
        except TypeError:  # a year of "unknown" is not greater than 2020, and not an error either
            return False

    return tolerant
