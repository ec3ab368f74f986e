"""Turn files into papers, one module per format. Knows nothing of passages, vectors or storage."""

from .reading import read_papers
from .rejected import Rejected

__all__ = ["Rejected", "read_papers"]
