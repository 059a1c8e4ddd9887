"""The device that a run computes on."""

from __future__ import annotations

import torch
from torch import Tensor

from gtn_core.errors import DeviceError


def resolve_device(name: str, sharers: int = 1) -> str:
    """Returns the device that ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` stands for on this machine.

    Args:
        name: What the user asks for.
        sharers: Processes of the run on this machine. Each has chosen a GPU, for which ``cuda`` stands.

    Raises:
        DeviceError: The device is not available, all processes would share it, or the name is not that of a device.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"unknown device {name!r}; expected auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise DeviceError(f"device {name!r} is not supported; expected auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and device.index is not None and sharers > 1:
        raise DeviceError(
            f"device {name!r} would be that of all {sharers} processes on this machine; with --device cuda each takes its own"
        )
    if device.type == "cuda" and not torch.cuda.is_available():
        reason = "this PyTorch was built without CUDA" if torch.version.cuda is None else "no CUDA device was found"
        raise DeviceError(f"device {name!r} requested, but {reason}; use --device cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"device {name!r} requested, but there are only {torch.cuda.device_count()} CUDA devices")
    return name


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Returns a tensor on a device; a copy from main memory to a GPU does not block the host."""
    if device.type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
