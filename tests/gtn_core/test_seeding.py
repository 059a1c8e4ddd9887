"""Named random streams: reproducible, and independent of each other."""

import numpy as np
import torch

from gtn_core.seeding import Streams, seeded


def test_stream_seed_equals_recorded_value():
    assert Streams(0).seed("learner", 3) == 6104558001208813371


def test_stream_depends_only_on_root_name_and_index():
    a, b = Streams(1), Streams(1)
    assert a.seed("x", 2) == b.seed("x", 2)
    assert np.array_equal(a.numpy("x").random(5), b.numpy("x").random(5))
    assert torch.equal(torch.rand(5, generator=a.torch("x", 1)), torch.rand(5, generator=b.torch("x", 1)))


def test_streams_differ_by_root_name_and_index():
    seeds = [Streams(r).seed(n, i) for r in range(3) for n in ("learner", "meta-batch", "x") for i in range(50)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeded_block_is_reproducible_and_restores_rng_state():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    first = torch.rand(1)
    blocks = []
    for seed in (7, 7, 8):
        with seeded(seed):
            blocks.append(torch.rand(3))
    assert torch.equal(blocks[0], blocks[1])
    assert not torch.equal(blocks[0], blocks[2])
    assert torch.equal(torch.cat([first, torch.rand(1)]), expected)
