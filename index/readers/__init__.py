"""Turn files into papers, one module per format. Knows nothing of passages, vectors or storage."""

from .reading import SourceRecords, read_papers, read_sources, read_stream
from .rejected import Rejected

__all__ = ["Rejected", "SourceRecords", "read_papers", "read_sources", "read_stream"]
