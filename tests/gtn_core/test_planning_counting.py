"""Measuring a computation: counted arithmetic and bytes, peak memory, the machine's ceilings, and timing."""

import torch
from torch import nn

from gtn_core.memory.peak import peak_bytes
from gtn_core.planning.ceilings import measure_ceilings
from gtn_core.planning.counting import count
from gtn_core.planning.timing import fastest

CPU = torch.device("cpu")


def test_matmul_with_backward_counts_three_times_its_flops():
    a, b = torch.ones(8, 16, requires_grad=True), torch.ones(16, 4, requires_grad=True)
    forward = count(lambda: a @ b)
    assert (forward.flops, forward.bytes) == (2 * 8 * 16 * 4, 4 * (8 * 16 + 16 * 4 + 8 * 4))
    assert count(lambda: (a @ b).sum().backward()).flops == 3 * forward.flops


def test_convolution_flops_are_counted_and_views_are_free():
    conv = nn.Conv2d(3, 5, 3, bias=False)
    assert count(lambda: conv(torch.ones(2, 3, 8, 8))).flops == 2 * 2 * 5 * 36 * 27
    x = torch.ones(8, 8)
    assert count(lambda: x.t()[3:5].detach()).bytes == 0
    assert count(lambda: x.add_(1)).bytes >= 2 * 64 * 4  # in place: read and written


def test_peak_bytes_count_only_tensors_alive_at_once():
    kib = 256  # floats

    def work() -> None:
        a = torch.ones(4 * kib)
        b = a + 1
        del a
        c = b.view(2, -1) * 2  # the view takes no memory
        del b, c

    assert peak_bytes(work, CPU) == 2 * 4 * 1024
    before = torch.ones(1000)
    assert peak_bytes(lambda: before[3:].detach(), CPU) == 0


def test_measured_ceilings_are_plausible():
    found = measure_ceilings(CPU, torch.float32, side=32, mib=1)
    assert found.flops > 1e6
    assert found.bytes > 1e6


def test_timing_adds_warm_up_run_unless_already_warm():
    runs: list[int] = []
    assert fastest(lambda: runs.append(0), CPU, repeats=2) > 0
    assert len(runs) == 3
    fastest(lambda: runs.append(0), CPU, repeats=2, warm=True)
    assert len(runs) == 5
