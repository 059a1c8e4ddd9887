"""What every test shares: hypothesis settings for machines of any speed, and floating point as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, settings

settings.register_profile(
    "any-machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("any-machine")


@pytest.fixture(autouse=True)
def _subnormal_numbers() -> Iterator[None]:
    """A meta-training flushes subnormal numbers to 0 in its process, which the next test must not inherit."""
    yield
    torch.set_flush_denormal(False)
