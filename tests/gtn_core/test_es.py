"""Evolution strategies: utilities, agreement with the true gradient, resuming, logging and divergence."""

import pytest
import torch
from torch import nn

from gtn_core.errors import DivergedError, UsageError
from gtn_core.estimators import SNES, Backprop, EstimatorConfig, OpenAIES, Teacher
from gtn_core.estimators.es import centred_ranks, log_utilities

GOAL = torch.tensor([1.0, -2.0, 0.5])


class Point(Teacher):
    def __init__(self):
        super().__init__()
        self.point = nn.Parameter(torch.zeros(3))


class Distance:
    """A trial without derivative: fitness is minus the squared distance to the goal; for ``broken`` candidates, NaN."""

    def __init__(self, broken=(), instead=float("nan")):
        self.values, self.broken, self.instead = {}, list(broken), instead

    def fitness(self, teacher, candidates):
        self.values["seen"] = float(len(candidates))
        fitness = -(candidates - GOAL).square().sum(dim=1)
        fitness[self.broken] = self.instead
        return fitness


def estimate(estimator, teacher, trial=None):
    teacher.point.grad = None
    result = estimator.estimate(teacher, trial or Distance())
    return teacher.point.grad, result


@pytest.mark.parametrize("utilities", [centred_ranks, log_utilities])
def test_utilities_sum_to_zero_and_follow_fitness_ranks(utilities):
    fitness = torch.tensor([3.0, 1.0, 2.0, 2.0, -torch.inf, 9.0])
    values = utilities(fitness)
    assert values.sum() == pytest.approx(0, abs=1e-6)
    assert values[2] == values[3]
    assert values[5] > values[0] > values[2] > values[1] >= values[4]
    assert utilities(torch.full((6,), 5.0)).abs().max() < 1e-6


def test_openai_es_gradient_aligns_with_true_gradient():
    teacher = Point()
    total = torch.zeros(3)
    estimator = OpenAIES(EstimatorConfig(population=64, sigma=0.05))
    for _ in range(20):
        total += estimate(estimator, teacher)[0]
    true = 2 * (teacher.point.detach() - GOAL)
    assert torch.cosine_similarity(total, true, dim=0) > 0.99


def test_snes_converges_to_goal_and_shrinks_sigma():
    teacher, estimator = Point(), SNES(EstimatorConfig(population=32, sigma=0.5))
    for _ in range(60):
        gradient, result = estimate(estimator, teacher)
        with torch.no_grad():
            teacher.point -= gradient
    torch.testing.assert_close(teacher.point.detach(), GOAL, atol=0.02, rtol=0)
    assert result.values["meta/sigma"] < 0.1


@pytest.mark.parametrize("strategy", [OpenAIES, SNES])
def test_restored_strategy_yields_identical_next_gradient(strategy):
    settings = EstimatorConfig(population=8, seed=3)
    one, other = strategy(settings), strategy(settings)
    teacher = Point()
    for _ in range(3):
        estimate(one, teacher)
    tensors, values = one.state()
    other.load_state(tensors, values)
    assert torch.equal(estimate(one, teacher)[0], estimate(other, teacher)[0])
    assert not torch.equal(estimate(one, teacher)[0], estimate(strategy(settings), teacher)[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("strategy", [OpenAIES, SNES])
def test_strategy_on_gpu_resumes_from_cpu_state(strategy):
    class Nearness(Distance):
        def fitness(self, teacher, candidates):
            return super().fitness(teacher, candidates.cpu())

    settings, teacher = EstimatorConfig(population=8), Point().cuda()
    one, other = strategy(settings), strategy(settings)
    estimate(one, teacher, Nearness())
    tensors, values = one.state()
    other.load_state({name: tensor.cpu() for name, tensor in tensors.items()}, values)
    expected, found = (estimate(each, teacher, Nearness())[0] for each in (one, other))
    assert torch.equal(expected, found)


def test_estimate_logs_fitness_of_population_and_of_mean():
    values = estimate(OpenAIES(EstimatorConfig(population=8, sigma=0.1)), Point())[1].values
    assert values["meta/fitness_of_mean"] == pytest.approx(-float(GOAL.square().sum()))
    worst, mean, best = (values[f"meta/fitness{kind}"] for kind in ("_worst", "", "_best"))
    assert worst < mean < best
    broken = estimate(OpenAIES(EstimatorConfig(population=8)), Point(), Distance(broken=[8]))[1].values
    assert "meta/fitness_of_mean" not in broken
    assert broken["meta/diverged"] == 0


def test_diverged_candidates_are_tolerated_unless_all_diverge():
    teacher = Point()
    gradient, result = estimate(SNES(EstimatorConfig(population=8)), teacher, Distance(broken=[0, 5]))
    assert torch.isfinite(gradient).all()
    assert result.values["meta/diverged"] == 2
    with pytest.raises(DivergedError, match="all candidates"):
        estimate(SNES(EstimatorConfig(population=8)), teacher, Distance(broken=range(8)))


@pytest.mark.parametrize("strategy", [OpenAIES, SNES])
def test_diverged_candidates_count_as_worst(strategy):
    diverged, worst = (Distance([0, 5], instead) for instead in (float("nan"), -1e9))
    settings = EstimatorConfig(population=8)
    expected, _ = estimate(strategy(settings), Point(), worst)
    assert torch.equal(estimate(strategy(settings), Point(), diverged)[0], expected)
    assert not torch.equal(estimate(strategy(settings), Point())[0], expected)


def test_new_candidates_are_drawn_after_all_diverge():
    estimator, tried = SNES(EstimatorConfig(population=8)), []

    class Broken(Distance):
        def fitness(self, teacher, candidates):
            tried.append(candidates)
            return super().fitness(teacher, candidates)

    for _ in range(2):
        with pytest.raises(DivergedError):
            estimate(estimator, Point(), Broken(range(8)))
    assert not torch.isclose(*tried)[:8].any()


def test_odd_population_and_backprop_without_derivative_raise():
    with pytest.raises(UsageError, match=r"even.*7"):
        SNES(EstimatorConfig(population=7))
    with pytest.raises(UsageError, match="Distance"):
        Backprop(EstimatorConfig()).estimate(Point(), Distance())
