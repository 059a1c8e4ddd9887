"""Traced, compiled and captured inner steps equal eager ones, in float64; prepared calls are cached."""

import pytest
import torch
from torch import nn

from gtn_core.closed_loop import class_progress
from gtn_core.errors import DeviceError
from gtn_core.layers import WeightNormConv2d, WeightNormLinear
from gtn_core.learner import fresh_learner
from gtn_core.memory.allocation import release_memory
from gtn_core.norms import BatchNorm, MeanOnlyBatchNorm
from gtn_core.planning.execution import EXECUTIONS, EagerCalls, PreparedCalls, captured, compiled, step_calls, traced

BATCH, CLASSES = 4, 3


def build() -> nn.Module:
    return nn.Sequential(
        WeightNormConv2d(1, 3, 3, stride=2),
        MeanOnlyBatchNorm(3),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        WeightNormLinear(12, 5, bias=False),
        BatchNorm(5),
        nn.Tanh(),
        WeightNormLinear(5, CLASSES),
    )


class Setting:
    """An inner step with statistics and, in a closed loop, progress."""

    def __init__(self, layout: str = "contiguous", *, closed: bool = False, device: str = "cpu") -> None:
        self.learner, phi = fresh_learner(build, 0, layout)
        self.closed = closed
        random = torch.Generator().manual_seed(1)

        def draw(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=random, dtype=torch.float64).to(device)

        self.phi = phi.double().to(device)
        self.batches = [(draw(BATCH, 1, 4, 4), draw(BATCH, CLASSES).softmax(-1)) for _ in range(2)]
        self.u, self.q = draw(len(phi)), draw(CLASSES + 1) if closed else None
        self.w = tuple(draw(*s.shape) for s in EagerCalls(self.loss).first(self.phi, self.batches[0]).statistics)

    def loss(self, phi, batch):
        logits, statistics = self.learner.apply(phi, batch[0])
        value = -(batch[1] * logits.log_softmax(-1)).sum(-1).mean()
        return (value, statistics, class_progress(value, logits, batch[1])) if self.closed else (value, statistics)


def assert_equal_to_eager(setting: Setting, calls, backend: str) -> None:
    eager = EagerCalls(setting.loss)
    for batch in (*setting.batches, setting.batches[0]):  # later batches run what was prepared for the first
        expected, step = eager.first(setting.phi, batch), calls.first(setting.phi, batch)
        pairs = [(step.loss, expected.loss), (step.grad, expected.grad)]
        pairs += list(zip(step.statistics, expected.statistics, strict=True))
        assert (step.progress is None) == (not setting.closed)
        if setting.closed:
            pairs.append((step.progress, expected.progress))
        for w in ((), setting.w):
            more = (setting.u, w, setting.q, backend, None)
            found, wanted = calls.second(setting.phi, batch, *more), eager.second(setting.phi, batch, *more)
            pairs += list(zip((found[0], *found[1]), (wanted[0], *wanted[1]), strict=True))
        for got, want in pairs:
            torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-13)


def only_traced(function, inputs):
    return traced(function, inputs)


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("backend", ["reverse", "forward"])
def test_traced_step_equals_eager_step(backend, closed, layout):
    setting = Setting(layout, closed=closed)
    calls = PreparedCalls(setting.loss, only_traced)
    assert_equal_to_eager(setting, calls, backend)
    assert len(calls._ready) == 3  # the step, and its adjoint with and without statistics


def test_new_shape_is_prepared_and_kept_graph_runs_eagerly():
    setting = Setting()
    calls = PreparedCalls(setting.loss, only_traced)
    calls.first(setting.phi, setting.batches[0])
    calls.first(setting.phi, tuple(part[:2] for part in setting.batches[0]))
    assert len(calls._ready) == 2
    step = calls.first(setting.phi, setting.batches[0], keep=True)
    by_phi, _ = calls.second(setting.phi, setting.batches[0], setting.u, (), None, "reverse", step)
    assert len(calls._ready) == 2
    torch.testing.assert_close(
        by_phi,
        EagerCalls(setting.loss).second(setting.phi, setting.batches[0], setting.u, (), None, "reverse", None)[0],
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # from torch itself while it compiles
@pytest.mark.parametrize("backend", ["reverse", "forward"])
def test_compiled_step_equals_eager_step(backend):
    setting = Setting()
    calls = PreparedCalls(setting.loss, lambda function, inputs: compiled(function, inputs, compiler="aot_eager"))
    assert_equal_to_eager(setting, calls, backend)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("execution", ["captured", "compiled"])
@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("backend", ["reverse", "forward"])
def test_prepared_step_on_gpu_equals_eager_step(backend, closed, execution):
    setting = Setting(closed=closed, device="cuda")
    assert_equal_to_eager(setting, EXECUTIONS[execution](setting.loss), backend)


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about a machine without CUDA")
def test_capture_without_gpu_raises_device_error():
    with pytest.raises(DeviceError, match="only on a GPU, not on cpu"):
        captured(lambda x: (x,), (torch.ones(2),))


def test_prepared_calls_are_cached_for_last_two_losses_only():
    losses = [Setting().loss for _ in range(3)]
    first = step_calls(losses[0], "compiled")
    assert step_calls(losses[0], "compiled") is first
    step_calls(losses[1], "compiled"), step_calls(losses[2], "compiled")
    assert step_calls(losses[0], "compiled") is not first


def test_release_of_memory_drops_prepared_calls():
    loss = Setting().loss
    first = step_calls(loss, "compiled")
    release_memory()
    assert step_calls(loss, "compiled") is not first


def test_eager_steps_do_not_evict_prepared_calls():
    losses = [Setting().loss for _ in range(4)]
    first = step_calls(losses[0], "compiled")
    for loss in losses[1:]:
        step_calls(loss, "eager")
    assert step_calls(losses[0], "compiled") is first
