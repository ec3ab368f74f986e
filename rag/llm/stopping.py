"""Stop a forward pass between two layers. Knows nothing of tokens, and stops no other thread's pass.

Between two tokens transformers asks whether to go on, but reading a prompt of thousands of tokens is one single pass,
which takes many seconds on a CPU. So every layer asks before it begins.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_thread = threading.local()


class Stopped(Exception):
    """A forward pass was not wanted any more. Never leaves :mod:`rag.llm`."""


def watch_layers(model: Any) -> None:
    """Make the layers of a torch model ask before they begin; outside :func:`stop_when` they ask nobody.

    Layers are what stands in the model's outermost ``nn.ModuleList`` objects: the experts inside a layer do not ask.
    """
    import torch

    lists = {name: found for name, found in model.named_modules() if isinstance(found, torch.nn.ModuleList)}
    for name, found in lists.items():
        if not any(name.startswith(f"{other}.") for other in lists):
            for layer in found:
                layer.register_forward_pre_hook(_ask)


@contextmanager
def stop_when(unwanted: Callable[[], bool]) -> Iterator[None]:
    """End the forward passes of this thread with :class:`Stopped` as soon as ``unwanted()`` is true."""
    _thread.unwanted = unwanted
    try:
        yield
    finally:
        del _thread.unwanted


def _ask(_layer: Any, _arguments: Any) -> None:
    unwanted = getattr(_thread, "unwanted", None)
    if unwanted is not None and unwanted():
        raise Stopped
