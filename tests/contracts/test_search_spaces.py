"""The contract of every registered search space."""

from __future__ import annotations

import dataclasses
import itertools
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gtn_core.errors import UsageError
from gtn_core.planning.plan import StepPlan
from gtn_core.second_order import first_order, second_order
from gtn_sl.data import TASKS
from gtn_sl.learners import architecture
from gtn_sl.losses import inner_loss
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.drawing import draw
from gtn_sl.nas.graph import to_dot
from gtn_sl.nas.spaces import SPACES, find_space

NAMES = sorted(SPACES)


def narrow(name):
    """Returns the space of that name with networks as small as its settings allow."""
    space = find_space(name)
    fields = {field.name for field in dataclasses.fields(space)}
    return dataclasses.replace(space, **{key: value for key, value in (("channels", 3), ("cells", 1)) if key in fields})


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 2**32 - 1))
def test_encoding_round_trips(name, seed):
    space = find_space(name)
    genotype = space.sample(np.random.default_rng(seed))
    text = space.encode(genotype)
    assert space.decode(text) == genotype
    assert re.fullmatch(r"[\w.-]{1,200}", text)
    assert all(0 <= choice < count for choice, count in zip(genotype, space.choices, strict=True))


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 2**32 - 1))
def test_mutation_changes_exactly_one_choice(name, seed):
    space, rng = find_space(name), np.random.default_rng(seed)
    genotype = space.sample(rng)
    mutated = space.mutate(genotype, rng)
    assert sum(a != b for a, b in zip(genotype, mutated, strict=True)) == 1
    assert space.decode(space.encode(mutated)) == mutated


@pytest.mark.parametrize("name", NAMES)
def test_enumeration_is_ordered_and_matches_size(name):
    space = find_space(name)
    first = list(itertools.islice(space.enumerate(), 300))
    assert len(set(first)) == min(300, space.size())
    assert first == sorted(first)
    assert space.decode(space.encode(first[-1])) == first[-1]
    if space.size() < 20_000:
        assert sum(1 for _ in space.enumerate()) == space.size()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["", "c3", "no-such.thing", "c3-c3.c3-c3.c3.c3.", "|c3|", "0c3_0c3", "ü"])
def test_invalid_encoding_is_rejected_with_valid_example(name, text):
    space = find_space(name)
    with pytest.raises(UsageError, match=re.escape(f"{text!r} is not an architecture of {space.name}: ")) as caught:
        space.decode(text)
    example = str(caught.value).rpartition("a valid one is ")[2]
    assert space.encode(space.decode(example)) == example


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("norm", ["batch", "mean-only"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 30, 26)])
def test_network_is_pure_twice_differentiable_learner(name, norm, shape):
    space = dataclasses.replace(narrow(name), norm=norm)
    genotype = space.sample(np.random.default_rng(1))
    family = architecture(Candidate(space, genotype).learner)
    task = dataclasses.replace(TASKS["digits"], image_shape=shape)
    learner, phi = family.fresh(task, 3, "contiguous")
    again, same = Candidate(space, genotype).fresh(task, 3)
    assert torch.equal(phi, same)
    assert again.size == learner.size
    images = torch.randn(6, *shape, generator=torch.Generator().manual_seed(0))
    labels = torch.eye(10)[torch.arange(6) % 5]
    loss = inner_loss(learner, StepPlan())
    step = first_order(loss, phi, (images, labels), keep=True)
    assert torch.equal(first_order(loss, phi, (images, labels)).grad, step.grad)
    assert first_order(loss, phi - 0.003 * step.grad / step.grad.norm(), (images, labels)).loss < step.loss
    u = torch.randn(phi.shape, generator=torch.Generator().manual_seed(1))
    w = tuple(torch.ones_like(s) for s in step.statistics)
    reverse = second_order(loss, phi, (images, labels), u, w, backend="reverse", step=step)
    forward = second_order(loss, phi, (images, labels), u, w, backend="forward")
    for a, b in zip((reverse[0], *reverse[1]), (forward[0], *forward[1]), strict=True):
        assert (a - b).norm() <= 2e-3 * a.norm() + 1e-6
    assert learner.apply(phi, images[:2], step.statistics)[0].shape == (2, 10)


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_can_be_built_at_every_place(name):
    space = narrow(name)
    for choice in range(max(space.choices)):
        genotype = tuple(min(choice, count - 1) for count in space.choices)
        module = space.build(genotype, (1, 7, 9), 4)
        assert torch.isfinite(module(torch.randn(2, 1, 7, 9))).all()


@pytest.mark.parametrize("name", NAMES)
def test_cells_are_drawn_as_png_and_dot(name, tmp_path):
    space = find_space(name)
    graphs = space.graphs(space.sample(np.random.default_rng(0)))
    draw(tmp_path / "cell.png", graphs, name)
    assert (tmp_path / "cell.png").read_bytes().startswith(b"\x89PNG")
    text = to_dot(graphs)
    assert text.count("->") == sum(len(graph.edges) for graph in graphs.values())
    assert text.count("{") == text.count("}") == 1 + len(graphs)


@pytest.mark.parametrize("name", NAMES)
def test_space_name_round_trips(name):
    space = find_space(name)
    assert space.name == name
    other = dataclasses.replace(space, norm="mean-only", channels=5)
    assert find_space(other.name) == other
    assert other.name == f"{name}@channels=5,norm=mean-only"
