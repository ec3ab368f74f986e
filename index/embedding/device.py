"""Find out where torch can run. Loads no model, and torch only when there may be something to find."""

import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Literal

from ..errors import ModelLoadError

Device = Literal["auto", "cpu", "cuda", "mps"]
GPU_BULK_SIZE = 512  # papers: fewer leave a GPU waiting for the next batch

_DRIVERS = ("/proc/driver/nvidia", "/dev/nvidia0", "/dev/kfd")  # the last is AMD's, which torch calls cuda, too


def may_have_gpu() -> bool:
    """Whether this machine may have a GPU that torch can use; a cheap look that imports nothing."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):  # how a user hides it
        return False
    return any(Path(driver).exists() for driver in _DRIVERS) or shutil.which("nvidia-smi") is not None


def torch_device(device: Device, setting: str = "index.device") -> str:
    """Return the torch device that ``device`` means on this machine: "cpu", "cuda" or "mps".

    Args:
        device: What is wanted.
        setting: Which setting says so, for messages.

    Raises:
        ModelLoadError: If a GPU was named and torch cannot use it.
    """
    if device == "cpu" or (device == "auto" and not may_have_gpu()):
        return "cpu"
    wanted = ("cuda", "mps") if device == "auto" else (device,)
    reasons = []
    for name in wanted:
        reason = _unusable(name)
        if not reason:
            return name
        reasons.append(reason)
    if device == "auto":
        return "cpu"
    raise ModelLoadError(
        f"The setting {setting} is {device}, but torch cannot use it: {reasons[0]} Install a torch built for "
        f"this GPU, or let Citewell choose: CITEWELL_{setting.upper().replace('.', '__')}=auto"
    )


def _unusable(name: str) -> str:
    """Return why torch cannot use a device, as a sentence; empty if it can."""
    import torch

    available = torch.cuda.is_available() if name == "cuda" else torch.backends.mps.is_available()
    if not available:
        return f"torch {torch.__version__} sees no such device."
    try:
        torch.zeros(1, device=name)  # a driver too old for this torch, or a GPU in exclusive use, fails only here
    except RuntimeError as exc:
        return f"{str(exc).strip().splitlines()[0].rstrip('.')}."
    return ""
