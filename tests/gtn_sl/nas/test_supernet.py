"""The supernet ranker: which weights architectures share, training and resuming."""

import dataclasses
import logging

import numpy as np
import pytest
import torch

from gtn_core.errors import DivergedError
from gtn_sl.data import TASKS
from gtn_sl.nas.candidate import Candidate, decode_all
from gtn_sl.nas.rankers import find_ranker, kept_training
from gtn_sl.nas.rankers.kept_training import FILE, spent_on, train_kept
from gtn_sl.nas.rankers.shared_weights import shared_names
from gtn_sl.nas.rankers.supernet import SupernetTraining
from gtn_sl.nas.scorer import PREPARED, Scorer, score_folder
from gtn_sl.nas.spaces import SPACES, find_space

FULL, SPARSE, BLIND = "c3-c3.c3-c3.c3.c3", "c3-sk.no-c1.a3.c3", "no-no.no-no.no.no"
QUICK = "supernet@training_steps=4,batch_size=8"


def names_of(candidate):
    return set(shared_names(candidate.module(TASKS["digits"], 0)))


def test_weights_are_shared_by_equal_layers_at_same_position(setting):
    conv3, conv1, none = (
        names_of(candidate)
        for candidate in decode_all(setting.space, ["c3-c3.no-c1.a3.c3", "c1-c3.no-c1.a3.c3", "no-c3.no-c1.a3.c3"])
    )
    own = conv3 - conv1
    assert {name.partition(" of ")[0] for name in own} == {
        f"stages.{stage}.edges.0.{part}" for stage in (0, 2) for part in ("1.weight", "2.weight", "2.bias")
    }
    assert conv3 - own == conv1 & conv3 == none


@pytest.mark.parametrize("space", sorted(SPACES))
def test_supernet_trains_in_every_space(space, digits, setting):
    narrow = dataclasses.replace(find_space(space), channels=2, norm="mean-only")
    narrow = dataclasses.replace(narrow, **({"cells": 1} if hasattr(narrow, "cells") else {}))
    training = SupernetTraining(find_ranker(QUICK), dataclasses.replace(setting, space=narrow))
    losses = [training.step(number) for number in range(3)]
    assert np.isfinite(losses).all()
    first, second = (names_of(Candidate(narrow, narrow.sample(np.random.default_rng(seed)))) for seed in (0, 1))
    assert first & second
    assert first - second


def test_step_updates_exactly_the_drawn_architectures_weights(setting):
    training = SupernetTraining(find_ranker(QUICK), setting)
    space, rng = setting.space, np.random.default_rng(0)
    candidates = [Candidate(space, space.sample(rng)) for _ in range(6)]
    before = [training.network(candidate) for candidate in candidates]
    training.step(0)
    trained = {name.removeprefix("value/") for name in training.state() if name.startswith("value/")}
    drawn = Candidate(space, space.sample(training._streams.numpy("supernet-architecture", 0)))
    assert trained == names_of(drawn)
    for network, old in zip(map(training.network, candidates), before, strict=True):
        pieces = zip(
            network.learner.parameters(network.phi).values(), old.learner.parameters(old.phi).values(), strict=True
        )
        for name, (new, was) in zip(network.names, pieces, strict=True):
            assert name in trained or torch.equal(new, was)


@pytest.mark.slow
def test_shared_weights_beat_chance_after_training(setting):
    judge = find_ranker("supernet@training_steps=150,batch_size=32").prepare(setting)
    full, sparse, blind = (judge(candidate, 0).value for candidate in decode_all(setting.space, [FULL, SPARSE, BLIND]))
    assert min(full, sparse) > 0.25 > blind


def test_resumed_preparation_matches_and_counts_earlier_cost(setting, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(kept_training, "SAVE_EVERY", 0.0)
    ranker = find_ranker(QUICK)
    whole = SupernetTraining(ranker, setting)
    train_kept(whole, "whole", None)
    keep = score_folder(ranker, setting, tmp_path).path / PREPARED
    step = SupernetTraining.step

    def interrupted(training, number):
        if number == 2:
            raise KeyboardInterrupt
        return step(training, number)

    with monkeypatch.context() as patch:
        patch.setattr(SupernetTraining, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Scorer(ranker, setting, tmp_path).costs()
    earlier = spent_on(keep)
    assert earlier > 0
    assert Scorer(ranker, setting, tmp_path).costs()[0] > earlier
    assert "resuming after step 2 of 4" in caplog.text
    again = SupernetTraining(ranker, setting)
    train_kept(again, "again", keep)
    assert again.state().keys() == whole.state().keys()
    assert all(torch.equal(again.state()[name], tensor) for name, tensor in whole.state().items())


def test_damaged_checkpoint_is_retrained_with_warning(setting, tmp_path, caplog):
    (tmp_path / FILE).write_bytes(b"{")
    training = SupernetTraining(find_ranker(QUICK), setting)
    assert spent_on(tmp_path) == 0.0
    train_kept(training, "it", tmp_path)
    assert "is damaged" in caplog.text
    assert spent_on(tmp_path) > 0


def test_diverged_supernet_raises(setting):
    with pytest.raises(DivergedError, match="try a smaller lr"):
        find_ranker("supernet@training_steps=4,batch_size=8,lr=1e30").prepare(setting)
