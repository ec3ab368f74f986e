"""Where an index is and whether there is one. Opens nothing."""

import os
from pathlib import Path

from .errors import IndexNotFoundError, IndexStoreError

DATABASE_NAME = "papers.sqlite"


def index_exists(folder: Path) -> bool:
    """Whether an index is in ``folder``; an empty folder, or what a killed creation left in it, is none.

    Raises:
        IndexStoreError: If a file is in the place of the folder, or the folder cannot be read.
    """
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise IndexStoreError(f"{folder} is a file, not the folder of an index. Name another path.")
    try:
        return (folder / DATABASE_NAME).exists()
    except OSError as exc:
        raise unreadable(folder, exc) from exc


def unreadable(folder: Path, exc: OSError) -> IndexStoreError:
    """Return the error for a folder that the system does not let us read."""
    return IndexStoreError(
        f"The index {folder} cannot be read: {exc.strerror or exc}. Check the permissions of the folder."
    )


def not_found(folder: Path) -> IndexNotFoundError:
    """Return the error for a folder without an index."""
    return IndexNotFoundError(
        f"There is no index at {folder}. Make one: citewell add FILE --index {folder}, "
        f"or try the example papers: citewell add --example --index {folder}"
    )
