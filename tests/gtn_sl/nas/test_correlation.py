"""Rank correlations against scipy, bootstrap intervals, the noise ceiling, and tables and plots of a comparison."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gtn_core.errors import UsageError
from gtn_sl.nas.comparison import compare, table, to_json
from gtn_sl.nas.comparison_plots import plot_correlations, plot_cost, plot_scatter
from gtn_sl.nas.correlation import correlate, seed_noise, spearman, top_half
from gtn_sl.nas.ground_truth import Entry, GroundTruth
from gtn_sl.nas.ranker_names import distinct_names, short_name
from gtn_sl.nas.scoring import Scores
from gtn_sl.nas.spaces import find_space


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), n=st.integers(4, 40), levels=st.integers(2, 50))
def test_correlations_match_scipy_with_ties_and_failures(seed, n, levels):
    random = np.random.default_rng(seed)
    a, b, c = (random.integers(levels, size=n).astype(float) for _ in range(3))
    a[0], b[:2], c[:2] = -math.inf, (0.0, 1.0), (0.0, 1.0)
    found = correlate(a, b, c)
    assert found.spearman.value == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    assert found.kendall.value == pytest.approx(stats.kendalltau(a, b).statistic, abs=1e-12)


def test_partial_correlation_matches_regression_residuals():
    random = np.random.default_rng(0)
    size = random.normal(size=80)
    scores, accuracies = size + random.normal(size=80), size + random.normal(size=80)
    ranks = [stats.rankdata(x) for x in (scores, accuracies, size)]
    left = [r - np.polyval(np.polyfit(ranks[2], r, 1), ranks[2]) for r in ranks[:2]]
    found = correlate(scores, accuracies, size)
    assert found.partial.value == pytest.approx(np.corrcoef(*left)[0, 1], abs=1e-9)
    assert abs(found.partial.value) < found.spearman.value
    assert math.isnan(correlate(size, accuracies, size).partial.value)


def test_intervals_contain_value_and_are_reproducible():
    random = np.random.default_rng(1)
    truth = random.normal(size=60)
    found = correlate(truth + random.normal(size=60), truth, random.normal(size=60))
    for interval in (found.spearman, found.kendall, found.partial):
        assert interval.low < interval.value < interval.high
    assert found.spearman.high - found.spearman.low == pytest.approx(0.3, abs=0.15)
    wide = correlate(truth[:10], truth[:10] + random.normal(size=10), random.normal(size=10))
    assert wide.spearman.high - wide.spearman.low > found.spearman.high - found.spearman.low
    size = random.normal(size=60)
    assert correlate(truth, truth, size) == correlate(truth, truth, size)


def test_constant_scores_have_nan_correlation():
    found = correlate(np.zeros(8), np.arange(8.0), np.arange(8.0))
    assert math.isnan(found.spearman.value)
    assert math.isnan(found.kendall.value)
    with pytest.raises(ValueError, match="at least 3 architectures, not 2"):
        correlate(np.zeros(2), np.zeros(2), np.zeros(2))


def test_ceiling_equals_correlation_with_true_order():
    random = np.random.default_rng(2)
    true = random.normal(size=4000)
    by_seed = true[:, None] + 0.7 * random.normal(size=(4000, 3))
    noise = seed_noise(by_seed)
    assert noise.between_seeds == pytest.approx(1 / (1 + 0.49), abs=0.04)
    assert noise.ceiling == pytest.approx(float(spearman(true, by_seed.mean(axis=1))), abs=0.02)
    assert noise.between_seeds < noise.reliability < noise.ceiling < 1
    assert math.isnan(seed_noise(by_seed[:, :1]).ceiling)


@pytest.mark.parametrize("orders", [[[1, 2, 3], [3, 2, 1]], [[1, 2, 3], [2, 3, 1], [3, 1, 2]]])
def test_negatively_correlated_seeds_have_no_ceiling(orders):
    noise = seed_noise(np.array(orders, float).T)
    assert noise.between_seeds == pytest.approx(-1 / (len(orders) - 1))
    assert math.isnan(noise.reliability)
    assert math.isnan(noise.ceiling)


def test_top_half_selects_most_accurate_architectures():
    assert top_half(np.array([0.1, 0.9, 0.5, 0.8, 0.2])).tolist() == [1, 2, 3]


@pytest.fixture(scope="module")
def truth():
    space, random = find_space("nb201-small"), np.random.default_rng(0)
    encodings = [space.encode(space.sample(random)) for _ in range(12)]
    entries = {}
    for index, encoding in enumerate(encodings):
        test = tuple(0.8 + 0.01 * index + 0.004 * random.normal(size=3))
        entries[encoding] = Entry(test, test, 1000 + 10 * index, 5000, 20.0)
    return GroundTruth(space.name, "mnist", {"epochs": 5.0}, entries)


def scores_of(truth, name, values, **changes):
    costs = {"cpu_seconds": 0.5, "wall_seconds": 0.6, "steps": 32.0, "images": 4096.0}
    given = {"failures": {}, "costs": costs, "prepared": 1.0, "paid_before": 119.0, **changes}
    return Scores(name, dict(zip(truth.entries, values, strict=True)), **given)


@pytest.fixture(scope="module")
def comparison(truth):
    right = truth.accuracies()
    failed = np.where(np.arange(12) == 11, -math.inf, right)
    return compare(
        truth,
        [
            scores_of(truth, "constant", np.zeros(12)),
            scores_of(truth, "worse", failed, failures={list(truth.entries)[11]: "ValueError: x"}, paid_before=None),
            scores_of(truth, "teacher@file=/some/where/mnist,steps=32", right),
        ],
        seeds=2,
    )


def test_table_lists_best_ranker_first_and_ceiling_last(comparison):
    rows = table(comparison)
    assert [row["ranker"].partition("@")[0] for row in rows[:3]] == ["teacher", "worse", "constant"]
    assert rows[0]["Spearman"].startswith("1.000 [")
    assert rows[0]["amortised"] == "11"  # two judgements of 0.5 s, and 120 s shared by 12 architectures
    assert rows[0]["steps"] == "64"
    assert rows[1]["amortised"] == "?"
    assert rows[1]["failed"] == "1"
    assert rows[2]["Spearman"] == rows[2]["given size"] == "-"
    assert rows[3]["ranker"].startswith("ceiling: 3 seeds")
    assert 0.9 < float(rows[3]["Spearman"].partition(" ")[0]) <= 1
    assert {len(row) for row in rows} == {10}


def test_comparison_is_valid_json(comparison):
    document = to_json(comparison)
    json.dumps(document, allow_nan=False)
    assert document["rows"][0]["everything"]["spearman"]["value"] == pytest.approx(1.0)
    assert document["rows"][1]["scores"][11] is None
    assert document["rows"][2]["everything"]["kendall"]["value"] is None
    assert document["ceiling"]["between_seeds"] > 0.8


def test_equal_ranker_names_are_disambiguated():
    first = {"ranker": "teacher@file=runs/a", "teacher": "12ab", "seed": 0, "prepared": 1.0}
    identities = [first, {**first, "teacher": "34cd", "prepared": 2.0}, {**first, "ranker": "synflow"}]
    names = distinct_names(identities)
    assert names == ["teacher@file=runs/a [teacher 12ab]", "teacher@file=runs/a [teacher 34cd]", "synflow"]
    assert short_name(names[0]) == "teacher (a) [teacher 12ab]"
    assert short_name("teacher@file=runs/a/teacher.safetensors,steps=16") == "teacher (a, steps=16)"
    assert short_name("real@batch_size=64,lr=0.005,momentum=0.8,optimizer=adam,steps=256,measure=loss") == (
        "real (steps=256, measure=loss, batch_size=64, lr=0.005, m...)"
    )
    assert distinct_names([first, {**first, "prepared": 2.0}]) == ["teacher@file=runs/a"] * 2


def test_plots_are_written_as_png(comparison, tmp_path):
    for name, plot in (("a", plot_correlations), ("b", plot_scatter), ("c", plot_cost)):
        plot(tmp_path / f"{name}.png", comparison)
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_ground_truth_with_too_few_architectures_is_rejected(truth):
    few = GroundTruth(truth.space, truth.task, truth.training, dict(list(truth.entries.items())[:5]))
    with pytest.raises(UsageError, match="of 5 architectures is too small"):
        compare(few, [], 1)
