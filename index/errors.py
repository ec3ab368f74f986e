"""The error tree of Citewell. Every failure of the world (not of the caller's code) is one of these.

::

    CitewellError
    ├── ConfigError              unknown key, bad value, missing settings file
    ├── CorpusError              a file or record that cannot be read: file, line, field
    ├── IndexStoreError          (not IndexError, which is a builtin)
    │   ├── IndexNotFoundError   nothing at the path
    │   ├── IndexMismatchError   the index and the settings or this version disagree
    │   ├── IndexLockedError     another process is writing
    │   └── IndexCorruptError    what is stored cannot be read
    ├── ModelError
    │   ├── ModelLoadError       weights or tokenizer missing, damaged or incompatible
    │   └── GenerationError      a model failed while writing; ``retryable`` says if trying again can help
    └── EvalDataError            an evaluation file that cannot be scored

A message says what happened, where, and the next step. A caller's slip (``k=0``) raises
:class:`ValueError` instead. It lives in ``index`` because imports point ``ui, eval -> rag -> index``.
"""


class CitewellError(Exception):
    """Base class of every error Citewell raises on purpose."""


class ConfigError(CitewellError):
    """A setting is unknown or has a bad value."""


class CorpusError(CitewellError):
    """A file of papers cannot be read at all."""


class IndexStoreError(CitewellError):
    """Something is wrong with an index folder."""


class IndexNotFoundError(IndexStoreError):
    """There is no index at the given path."""


class IndexMismatchError(IndexStoreError):
    """The index was made by another model, other settings or another version."""


class IndexLockedError(IndexStoreError):
    """Another process holds the write lock of the index."""


class IndexCorruptError(IndexStoreError):
    """The index database cannot be read."""


class ModelError(CitewellError):
    """Something is wrong with a model."""


class ModelLoadError(ModelError):
    """A model or its tokenizer cannot be loaded."""


class GenerationError(ModelError):
    """A model failed while generating.

    Attributes:
        retryable: Whether the same call may succeed when tried again.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class EvalDataError(CitewellError):
    """An evaluation file does not have the expected form."""
