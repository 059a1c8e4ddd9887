"""Evolution strategies: the gradient of the expected fitness of noisy candidates, where no derivative is available.

OpenAI-ES is Salimans et al., *Evolution Strategies as a Scalable Alternative to Reinforcement Learning* (2017), SNES is
Schaul et al., *High Dimensions and Heavy Tails for Natural Evolution Strategies* (GECCO 2011). Both are mirrored: each
noise vector is used with both signs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from gtn_core.errors import DivergedError, UsageError
from gtn_core.estimators.protocol import ESTIMATORS, Estimate, EstimatorConfig, Teacher, Trial
from gtn_core.seeding import Streams


def centred_ranks(fitness: Tensor) -> Tensor:
    """Returns utilities from -0.5 (worst) to 0.5 (best) that sum to 0, equal for equal fitness; shape ``(P,)``."""
    return _by_rank(fitness, torch.linspace(0.5, -0.5, len(fitness)))


def log_utilities(fitness: Tensor) -> Tensor:
    """Returns the utilities of Wierstra et al., *Natural Evolution Strategies* (JMLR 2014, section 3.1); they sum to 0.

    The better half is weighted by ``log(P / 2 + 1) - log(rank)``, the other half equally; candidates of equal fitness
    share their utilities. Shape ``(P,)``.
    """
    ranks = torch.arange(1, len(fitness) + 1)
    raw = (math.log(len(fitness) / 2 + 1) - ranks.log()).clamp(min=0)
    return _by_rank(fitness, raw / raw.sum() - 1 / len(fitness))


def _by_rank(fitness: Tensor, utilities: Tensor) -> Tensor:
    """Assigns ``utilities``, best first, by fitness; candidates of equal fitness all get the mean of their group."""
    order = fitness.argsort(descending=True, stable=True)
    _, group = fitness.unique(return_inverse=True)
    totals = torch.zeros(len(fitness)).index_add_(0, group[order], utilities)
    counts = torch.zeros(len(fitness)).index_add_(0, group, torch.ones(len(fitness)))
    return (totals / counts.clamp(min=1))[group]


class _EvolutionStrategy:
    """What the strategies share: they draw, judge and rank candidates. Subclasses derive the step.

    Args:
        settings: ``seed``, ``population`` and ``sigma`` are used.

    Raises:
        UsageError: The population is odd.
    """

    splits_candidates: ClassVar[bool] = True

    def __init__(self, settings: EstimatorConfig) -> None:
        if settings.population % 2:
            raise UsageError(f"the population is mirrored and must be even, got {settings.population}")
        self.settings, self.streams = settings, Streams(settings.seed)
        self.count = 0
        self.sigma: Tensor | None = None

    def estimate(self, teacher: Teacher, trial: Trial) -> Estimate:
        """See ``Estimator.estimate``."""
        theta = teacher.theta()
        if self.sigma is None:
            groups = [(m, p) for m, group in teacher.parameter_groups() for p in group if p.requires_grad]
            self.sigma = torch.cat([torch.full((p.numel(),), self.settings.sigma * m) for m, p in groups])
        self.sigma = self.sigma.to(theta)  # a saved one is loaded to the CPU
        half = torch.randn(
            self.settings.population // 2, len(theta), generator=self.streams.torch("es-noise", self.count)
        ).to(theta)
        noise = torch.cat([half, -half])
        candidates = torch.cat(
            [theta + self.sigma * noise, theta[None]]
        )  # the last one only measures the search's mean
        fitness, of_mean = trial.fitness(teacher, candidates).split([len(noise), 1])
        self.count += 1  # even if all diverge: the next step tries others
        finite = torch.isfinite(fitness)
        if not finite.any():
            raise DivergedError("the learners of all candidates diverged")
        gradient = self._gradient(noise, torch.where(finite, fitness, -torch.inf).float().cpu())
        for parameter, piece in zip(
            teacher.trained(), gradient.split([p.numel() for p in teacher.trained()]), strict=True
        ):
            piece = piece.view_as(parameter)
            parameter.grad = piece if parameter.grad is None else parameter.grad + piece
        return Estimate(
            {
                "meta/fitness": float(fitness[finite].mean()),
                "meta/fitness_best": float(fitness[finite].max()),
                "meta/fitness_worst": float(fitness[finite].min()),
                "meta/fitness_spread": float(fitness[finite].std()) if finite.sum() > 1 else 0.0,
                "meta/diverged": float((~finite).sum()),
                "meta/sigma": float(self.sigma.mean()),
                **({"meta/fitness_of_mean": float(of_mean)} if torch.isfinite(of_mean) else {}),
            }
        )

    def _gradient(self, noise: Tensor, fitness: Tensor) -> Tensor:
        """Returns the direction that lowers the fitness, shape ``(D,)``, for noise ``(P, D)`` and fitness ``(P,)``."""
        raise NotImplementedError

    def shrink(self, trial: Trial | None) -> str | None:
        """See ``Estimator.shrink``; nothing can be saved."""
        return None

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """See ``Estimator.state``."""
        return ({} if self.sigma is None else {"sigma": self.sigma}), {"count": self.count}

    def load_state(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """See ``Estimator.load_state``."""
        self.sigma, self.count = tensors.get("sigma"), int(values["count"])


@ESTIMATORS.register("openai-es")
class OpenAIES(_EvolutionStrategy):
    """OpenAI-ES with centred ranks, for an outer optimizer such as Adam; sigma is constant."""

    def _gradient(self, noise: Tensor, fitness: Tensor) -> Tensor:
        assert self.sigma is not None
        return -(centred_ranks(fitness).to(noise) @ noise) / (len(noise) * self.sigma)


@ESTIMATORS.register("snes")
class SNES(_EvolutionStrategy):
    """Separable natural evolution strategies: each parameter has its own, adapted standard deviation.

    The gradient is minus the natural step, so that the outer optimizer ``sgd`` at learning rate 1 is the published
    algorithm.
    """

    def _gradient(self, noise: Tensor, fitness: Tensor) -> Tensor:
        assert self.sigma is not None
        utilities = log_utilities(fitness).to(noise)
        size = noise.shape[1]
        rate = (3 + math.log(size)) / (5 * math.sqrt(size))
        step = -self.sigma * (utilities @ noise)
        self.sigma = self.sigma * (0.5 * rate * (utilities @ (noise * noise - 1))).exp()
        return step
