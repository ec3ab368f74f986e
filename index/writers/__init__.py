"""Turn papers into files that other programs read, one module per format. Knows nothing of an index."""

from .writing import WriterFormat, write_papers

__all__ = ["WriterFormat", "write_papers"]
