"""Devices: which one a name stands for, and how finely training computes on it."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from engine.errors import DeviceError

DEVICES = ("auto", "cpu", "cuda")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Compute:
    """Where training computes and how finely.

    device   : "cpu" or "cuda"
    bfloat16 : the head's products in bfloat16; weights, states, hazards and loss are float32 either way
    """

    device: str = "cpu"
    bfloat16: bool = False

    def autocast(self) -> AbstractContextManager[object]:
        """For the block in which products may be coarse."""
        return torch.autocast(self.device, torch.bfloat16) if self.bfloat16 else nullcontext()


CPU = Compute()


def compute_on(name: str) -> Compute:
    """Training on a device by its name on the command line: bfloat16 on a GPU, where it is fast.

    raises : as `resolve_device`
    """
    device = resolve_device(name)
    return Compute(device=device, bfloat16=device == "cuda")


def resolve_device(name: str) -> str:
    """ "cpu" or "cuda" for a device's name on the command line. A GPU that is there and does not work is logged.

    raises : DeviceError for a name that is not in DEVICES, and for "cuda" where it does not work
    """
    if name not in DEVICES:
        raise DeviceError(f"device {name!r} is none, expected one of {', '.join(DEVICES)}")
    if name == "cpu":
        return "cpu"
    problem = _cuda_problem()
    if not problem:
        return "cuda"
    if name == "cuda":
        raise DeviceError(f"device cuda cannot be used: {problem}; use --device cpu or auto")
    if torch.cuda.is_available():
        _logger.warning("the GPU cannot be used (%s); computing on the CPU", problem)
    return "cpu"


def gpu_fault() -> str:
    """Why a GPU that is there cannot be used; "" where it can, and where there is none."""
    return _cuda_problem() if torch.cuda.is_available() else ""


def first_line(error: Exception) -> str:
    """What torch says went wrong, without what it thinks about it."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _cuda_problem() -> str:
    """Why CUDA cannot be used, or ""; a driver may be there and a kernel still fail to start."""
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    try:
        torch.ones(2, device="cuda").sum().item()
    except RuntimeError as error:
        return first_line(error)
    return ""
