"""A record that could not become a paper, as a value. Does not decide what to do about it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rejected:
    """One record, or one file of a folder, that was left out.

    Attributes:
        where: ``file:line``, or the file alone where the whole file was left out.
        field: The field at fault (``title``, ``year``), ``record`` for the whole record, ``file`` for the whole file.
        why: What was found there, in words for the user.
    """

    where: str
    field: str
    why: str
