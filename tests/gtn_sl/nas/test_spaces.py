"""Search spaces: published sizes, encodings, sampling, and learners named after architectures."""

import numpy as np
import pytest
import torch
from torch import nn

from gtn_core.errors import UsageError
from gtn_core.planning.plan import StepPlan
from gtn_core.second_order import first_order, second_order
from gtn_sl.data import TASKS
from gtn_sl.learners import architecture
from gtn_sl.losses import inner_loss
from gtn_sl.nas.candidate import decode_all, sample_distinct
from gtn_sl.nas.spaces import find_space
from gtn_sl.nas.spaces.cells import loose_ends
from gtn_sl.nas.spaces.operations import Pool


def parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("published", "count"),
    [
        ("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|", 1_531_546),
        ("|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|", 73_306),
    ],
)
def test_nb201_parameter_counts_match_publication(published, count):
    space = find_space("nb201")
    assert parameters(space.build(space.decode(published), (3, 32, 32), 10)) == count
    assert space.size() == 15_625


def test_nb201_accepts_published_architecture_strings():
    space = find_space("nb201")
    ours = space.decode("c3-sk.no-c1.a3.c3")
    published = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|"
    assert space.decode(published) == ours
    with pytest.raises(UsageError, match=r"'none~0' must come from node 1, i\.e\. none~1"):
        space.decode(published.replace("none~1", "none~0"))


def test_cells_space_has_eleven_operations_per_branch():
    space = find_space("cells")
    assert space.choices == 2 * (2, 11, 2, 11, 3, 11, 3, 11, 4, 11, 4, 11, 5, 11, 5, 11, 6, 11, 6, 11)


def test_cell_output_concatenates_unread_nodes():
    assert loose_ends([(0, 0), (1, 0), (2, 0), (2, 0), (1, 0), (0, 0)]) == (3, 4)
    space = find_space("cells-small@channels=5")
    chain = space.build(space.decode("0sk.1sk-2sk.2sk-3sk.3sk_0sk.1sk-2sk.2sk-3sk.3sk"), (1, 8, 8), 3)
    fan = space.build(space.decode("0sk.1sk-0sk.1sk-0sk.1sk_0sk.1sk-0sk.1sk-0sk.1sk"), (1, 8, 8), 3)
    assert (chain.classifier.in_features, fan.classifier.in_features) == (10, 30)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("nb201", "c3-sk.no-c1.a3.c4", "edge 2 to 3 is 'c4', expected one of no, sk, c1, c3, a3"),
        ("nb201", "c3-sk.no-c1.a3", "3 operations of node 3 separated by '.', found 2"),
        ("cells-small", "0c3.2c3-0c3.1c3-0c3.1c3_0c3.1c3-0c3.1c3-0c3.1c3", "node 2 of the normal cell is '2c3'"),
        ("cells-small", "0c3.1c3-0c3.1c3-0c3.1c3_0c3.1c3-0c3.1c3-0c3.1no", "of node 4 of the reduction cell is 'no'"),
        ("macro-small", "c3.c1.m3", "2 blocks separated by '-', found 1"),
        ("macro-small", "c3.c1.m3-c3.c1.sk", "an operation of block 2 is 'sk'"),
    ],
)
def test_invalid_encoding_error_names_the_position(name, text, words):
    with pytest.raises(UsageError) as caught:
        find_space(name).decode(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nb20", "unknown search space 'nb20'; did you mean 'nb201'?"),
        ("nb201@chanels=3", "'nb201@chanels=3': unknown config key 'chanels'; did you mean 'channels'?"),
        ("nb201@norm=layer", "Input should be 'batch' or 'mean-only'"),
        ("nb201@channels", "expected KEY=VALUE"),
        ("cells@nodes=9", "less than or equal to 8"),
    ],
)
def test_invalid_space_specification_error_gives_the_reason(text, words):
    with pytest.raises(UsageError) as caught:
        find_space(text)
    assert words in str(caught.value)


@pytest.mark.parametrize("kind", ["avg", "max"])
def test_pooling_matches_torch_and_rounds_odd_sides_up(kind):
    x = torch.randn(2, 3, 7, 8, generator=torch.Generator().manual_seed(0))
    layers = {"avg": lambda k, s, p: nn.AvgPool2d(k, s, p, count_include_pad=False), "max": nn.MaxPool2d}
    for stride in (1, 2):
        assert torch.equal(Pool(kind, 3, stride)(x), layers[kind](3, stride, 1)(x))
        assert Pool(kind, 5, stride)(x).shape == Pool(kind, 2, stride)(x).shape == (2, 3, -(-7 // stride), 8 // stride)
    assert torch.equal(Pool(kind, 2, 1)(x)[..., :-1, :-1], layers[kind](2, 1, 0)(x))


def test_space_name_as_learner_draws_architecture_by_seed():
    family, task = architecture("nas:nb201-small"), TASKS["digits"]
    sizes = {family.fresh(task, seed, "contiguous")[0].size for seed in range(8)}
    assert len(sizes) > 1
    assert torch.equal(family.fresh(task, 1, "contiguous")[1], family.fresh(task, 1, "contiguous")[1])


def test_invalid_nas_learner_names_are_rejected():
    with pytest.raises(UsageError, match="unknown search space 'nb202'"):
        architecture("nas:nb202:c3")
    with pytest.raises(UsageError, match="is not an architecture of nb201"):
        architecture("nas:nb201:c3")


def test_samples_are_distinct_and_reproducible():
    space = find_space("macro-small@operations=1")
    drawn = sample_distinct(space, 36, np.random.default_rng(0))
    assert len({candidate.genotype for candidate in drawn}) == 36
    assert sample_distinct(space, 36, np.random.default_rng(0)) == drawn
    assert sample_distinct(space, 16, np.random.default_rng(0), without=drawn[:20])[0] in drawn[20:]
    with pytest.raises(UsageError, match="has only 36 architectures, not 37"):
        sample_distinct(space, 37, np.random.default_rng(0))


def test_candidate_module_and_learner_have_equal_parameters():
    (candidate,) = decode_all(find_space("nb201@channels=8"), ["c3-sk.no-c1.a3.c3"])
    assert candidate.learner == "nas:nb201@channels=8:c3-sk.no-c1.a3.c3"
    module, (learner, phi) = candidate.module(TASKS["digits"], 5), candidate.fresh(TASKS["digits"], 5)
    torch.testing.assert_close(torch.cat([p.flatten() for p in module.parameters()]), phi)
    assert learner.size == parameters(module)


def test_second_order_backends_agree_for_blind_network():
    (candidate,) = decode_all(find_space("nb201-small@channels=3"), ["no-no.no-no.no.no"])
    learner, phi = candidate.fresh(TASKS["digits"], 0)
    batch, loss = (torch.randn(6, 1, 8, 8), torch.eye(10)[:6]), inner_loss(learner, StepPlan())
    step = first_order(loss, phi, batch, keep=True)
    w = tuple(torch.ones_like(s) for s in step.statistics)  # the last norm sees zeros, whatever phi is
    kept = second_order(loss, phi, batch, phi, w, backend="reverse", step=step)
    forward = second_order(loss, phi, batch, phi, w, backend="forward")
    torch.testing.assert_close(kept[0], forward[0])
    assert kept[0].norm() > 0
