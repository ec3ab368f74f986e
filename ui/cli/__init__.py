"""The command line ``citewell``. Importing it loads no model, no index and no web framework."""

from .app import main

__all__ = ["main"]
