"""Spot checks: when retrained architectures agree with a ground truth."""

import json
import math

import numpy as np
import pytest

from gtn_core.errors import UsageError
from gtn_sl.nas.candidate import sample_distinct
from gtn_sl.nas.ground_truth import Entry, GroundTruth
from gtn_sl.nas.spaces import find_space
from gtn_sl.nas.spot_check import NEIGHBOURS, check_table, compare_again, drawn_entries, training_of

SPACE = find_space("nb201-small@channels=4")


def truth_of(accuracies):
    candidates = sample_distinct(SPACE, len(accuracies), np.random.default_rng(0))
    entries = {
        candidate.encoding: Entry(tuple(row), tuple(row), 1, 1, 1.0)
        for candidate, row in zip(candidates, accuracies, strict=True)
    }
    return GroundTruth(SPACE.name, "digits", {"epochs": 3.0}, entries)


def again(truth, accuracy, seed=2, failure=None):
    return {next(iter(truth.entries)): {seed: {"test": accuracy, "failure": failure}}}


def test_noise_and_agreement_match_hand_computation():
    truth = truth_of([(0.79, 0.81)] * 3)
    noise = np.sqrt(0.0002) * np.sqrt(1.5)  # between seeds, widened by that of a two-seed mean
    (near,) = compare_again(truth, again(truth, 0.8 + 2.9 * noise))
    (far,) = compare_again(truth, again(truth, 0.8 - 3.1 * noise))
    assert near.noise == pytest.approx(noise)
    assert near.deviation == pytest.approx(2.9)
    assert (near.agrees, far.agrees) == (True, False)
    assert (near.known, near.mean) == (None, pytest.approx(0.8))
    assert compare_again(truth, again(truth, 0.8, seed=1))[0].known == 0.81
    assert [row["agrees"] for row in check_table([near, far])] == ["yes", "NO"]


def test_noise_is_pooled_over_architectures_of_similar_accuracy():
    good, bad = [(0.98, 0.981)] * NEIGHBOURS, [(0.5, 0.7)] * NEIGHBOURS
    truth = truth_of(good + bad)
    assert not compare_again(truth, again(truth, 0.9))[0].agrees
    truth = truth_of(bad + good)
    assert compare_again(truth, again(truth, 0.75))[0].agrees


def test_diverged_training_does_not_agree():
    truth = truth_of([(0.79, 0.81)] * 3)
    (check,) = compare_again(truth, again(truth, None, failure="the loss is nan"))
    assert math.isnan(check.accuracy)
    assert not check.agrees
    assert json.loads(json.dumps(check.to_json(), allow_nan=False))["accuracy"] is None


def test_only_equal_accuracy_agrees_if_noise_is_zero():
    truth = truth_of([(1.0, 1.0)] * 3)
    same, other = (compare_again(truth, again(truth, accuracy))[0] for accuracy in (1.0, 0.99))
    assert (same.agrees, same.deviation) == (True, 0.0)
    assert (other.agrees, other.deviation) == (False, -math.inf)


def test_drawn_entries_are_determined_by_seed():
    truth = truth_of([(0.1 * i, 0.1 * i) for i in range(9)])
    first, second = (drawn_entries(truth, 3, seed) for seed in (0, 1))
    assert first == drawn_entries(truth, 3, 0) != second
    assert {candidate.encoding for candidate in first} <= set(truth.entries)
    assert training_of(truth).epochs == 3.0
    with pytest.raises(UsageError, match="has only 9 architectures, not 10"):
        drawn_entries(truth, 10, 0)


def test_ground_truth_with_one_seed_is_rejected():
    truth = truth_of([(0.5,)] * 6)
    with pytest.raises(UsageError, match="one seed"):
        drawn_entries(truth, 1, 0)
