"""Devices by name, and which of them several processes of a machine may ask for."""

import pytest
import torch

from gtn_core.device import resolve_device
from gtn_core.errors import DeviceError

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="is about a machine without CUDA")


def test_cpu_resolves_to_itself_for_any_number_of_processes():
    assert resolve_device("cpu") == "cpu"
    assert resolve_device("cpu", 4) == "cpu"


@without_cuda
def test_auto_resolves_to_cpu_without_cuda():
    assert resolve_device("auto") == "cpu"
    assert resolve_device("auto", 4) == "cpu"


@without_cuda
@pytest.mark.parametrize(("name", "sharers"), [("cuda", 1), ("cuda", 4), ("cuda:1", 1)])
def test_absent_gpu_is_refused(name, sharers):
    with pytest.raises(DeviceError, match=f"device '{name}' requested, but .*use --device cpu"):
        resolve_device(name, sharers)


@pytest.mark.parametrize("name", ["warp", "cuda:x", "meta"])
def test_unknown_device_is_refused(name):
    with pytest.raises(DeviceError, match="expected auto, cpu, cuda or cuda:N"):
        resolve_device(name)


def test_numbered_gpu_is_refused_for_several_processes():
    with pytest.raises(
        DeviceError, match=r"'cuda:0' would be that of all 4 processes .*--device cuda each takes its own"
    ):
        resolve_device("cuda:0", 4)
