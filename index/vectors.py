"""The FAISS index of passage vectors, derived from SQLite. Holds no text and no filters.

Keys are SQLite's passage keys: monotonic and never reused, and a stored vector never changes. So whatever
state a file is in, the difference between its keys and SQLite's says exactly what to remove and to add.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from .digest import file_sha256

_FORMAT = 1

Keys = npt.NDArray[np.int64]


class VectorIndex:
    """Exact inner-product search over unit vectors.

    Args:
        dimension: Length of each vector.
    """

    def __init__(self, dimension: int) -> None:
        # Inner product, not L2: of unit vectors it is the cosine, and higher is better everywhere.
        self._faiss: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        self.dimension = dimension
        self.generation = -1

    def __len__(self) -> int:
        return int(self._faiss.ntotal)

    def keys(self) -> Keys:
        """Return the stored keys, int64, shape (len(self),), in storage order."""
        return np.asarray(faiss.vector_to_array(self._faiss.id_map), dtype=np.int64)

    def vectors(self) -> npt.NDArray[np.float32]:
        """Return the stored vectors, float32, shape (len(self), dimension), in storage order."""
        flat: Any = faiss.downcast_index(self._faiss.index)
        return (
            np.asarray(faiss.rev_swig_ptr(flat.get_xb(), len(self) * self.dimension)).reshape(-1, self.dimension).copy()
        )

    def update(self, removed: Keys, keys: Keys, vectors: npt.NDArray[np.float32], generation: int) -> None:
        """Remove the vectors with the keys ``removed``, then add ``vectors`` under ``keys``."""
        if len(removed):
            self._faiss.remove_ids(faiss.IDSelectorBatch(removed))
        if len(keys):
            self._faiss.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), keys)
        self.generation = generation

    def search(
        self, vector: npt.NDArray[np.float32], limit: int, allowed: Keys | None
    ) -> tuple[Keys, npt.NDArray[np.float32]]:
        """Return the keys and cosines of the nearest vectors, nearest first.

        Args:
            vector: Unit vector, float32, shape (dimension,).
            limit: How many at most, at least 1.
            allowed: Keys that may be found, int64; None for all.
        """
        limit = min(limit, len(self))
        if limit == 0 or (allowed is not None and len(allowed) == 0):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        # A second OpenMP thread makes a single query slower (9 -> 13 ms over 100,000 vectors), and mixing FAISS's
        # OpenMP with another library's is unsafe on macOS. The number is kept per thread, so it is set in the one
        # that searches.
        faiss.omp_set_num_threads(1)
        parameters = None
        if allowed is not None:
            parameters = faiss.SearchParameters(sel=faiss.IDSelectorBatch(allowed))  # type: ignore[call-arg]  # SWIG adds it
        scores, keys = self._faiss.search(vector[None], limit, params=parameters)
        found = keys[0] >= 0  # FAISS fills up with -1 when fewer are allowed
        return keys[0][found], scores[0][found]

    def save(self, path: Path) -> None:
        """Write the index and its stamp beside ``path`` and rename them into place."""
        draft, stamp = path.with_name(f"{path.name}.new"), _stamp_path(path)
        faiss.write_index(self._faiss, str(draft))
        facts = {"format": _FORMAT, "generation": self.generation, "sha256": file_sha256(draft)}
        stamp_draft = stamp.with_name(f"{stamp.name}.new")
        stamp_draft.write_text(json.dumps(facts))
        stamp.unlink(missing_ok=True)  # a kill between the two renames leaves no stamp, hence a rebuild
        draft.replace(path)
        stamp_draft.replace(stamp)

    @classmethod
    def load(cls, path: Path, dimension: int) -> "VectorIndex | None":
        """Read what :meth:`save` wrote; None if anything is missing, damaged or of another shape."""
        try:
            facts = json.loads(_stamp_path(path).read_text())
            if facts["format"] != _FORMAT or facts["sha256"] != file_sha256(path):
                return None
            index = cls(dimension)
            index._faiss = faiss.read_index(str(path))
            index.generation = int(facts["generation"])
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):  # FAISS reports damage as RuntimeError
            return None
        return index if index._faiss.d == dimension else None


def difference(stored: Keys, wanted: Sequence[int] | Keys) -> tuple[Keys, Keys]:
    """Return what to remove from ``stored`` and what to add to it to arrive at ``wanted``."""
    target = np.asarray(wanted, dtype=np.int64)
    return np.setdiff1d(stored, target), np.setdiff1d(target, stored)


def _stamp_path(path: Path) -> Path:
    return path.with_suffix(".json")
