"""A vector store of llama-index over this project's FAISS index. Importing it loads llama-index and FAISS."""

from .store import CitewellVectorStore

__all__ = ["CitewellVectorStore"]
