"""How long work tells people what it is doing. Shows nothing itself."""

from collections.abc import Callable

Progress = Callable[[int, int | None, str], None]
"""Called with how much is done, of how much in all (None when unknown), and what is going on, for people."""


def silent(done: int, total: int | None, message: str) -> None:
    """Tell nobody."""
