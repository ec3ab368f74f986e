"""Tell that a model ran out of memory from other failures, and give back what a failure holds. Measures nothing."""

import errno
import re
import traceback

ADVICE = (
    "Take a smaller model, load it with fewer bits per weight (answering.quantization), or give it a shorter prompt "
    "(answering.prompt_tokens)."
)

# How torch and the operating systems say it where they have no error class of its own for that.
_SAYS_SO = re.compile(r"out of memory|can't allocate memory|cannot allocate memory|not enough memory", re.I)


def ran_out_of_memory(exc: BaseException) -> bool:
    """Whether a failure of torch, of a library below it or of Python means that there was no memory left."""
    import torch

    if isinstance(exc, MemoryError | torch.OutOfMemoryError):
        return True
    if isinstance(exc, OSError):
        return exc.errno == errno.ENOMEM
    return isinstance(exc, RuntimeError) and _SAYS_SO.search(str(exc)) is not None


def release_memory(exc: BaseException) -> None:
    """Let go of what the frames of a failure hold, and hand the GPU's cached memory back to it.

    An exception keeps every local variable of the calls it passed through, so the tensors that filled the memory would
    live as long as the error that tells of it.
    """
    import torch

    traceback.clear_frames(exc.__traceback__)
    torch.cuda.empty_cache()  # does nothing where CUDA was not used
