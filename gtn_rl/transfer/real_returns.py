"""The returns of an agent on the real task: many copies side by side, exactly one episode in each."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import torch

import gtn_envs
from gtn_core.errors import GTNError
from gtn_rl.sb3.randomness import own_randomness

log = logging.getLogger(__name__)

Act = Callable[[np.ndarray], np.ndarray]
"""Maps observations (copies, ...) to actions (copies, ...)."""

ENDLESS = 100_000  # steps after which an episode without a time limit counts as endless


class EpisodeCopies(Protocol):
    """Copies of one task that are stepped together."""

    def reset(self, seed: int) -> np.ndarray:
        """Starts an episode in every copy; returns observations (copies, ...)."""

    def step(self, actions: np.ndarray, running: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Steps at least the running copies; returns observations (copies, ...), rewards and ends, both (copies,)."""

    def close(self) -> None:
        """Closes the environments."""


class RealTask:
    """A real task, ready to evaluate agents.

    Args:
        task: The task's Gymnasium id.
        episodes: Episodes per evaluation, and so the number of copies of the task.
    """

    measure, counted = "return", "episodes"

    def __init__(self, task: str, episodes: int) -> None:
        self.task = task
        self.count = episodes
        spec = gym.spec(task)
        file = gtn_envs.file_of(spec)
        horizon = gtn_envs.load_environment(file).horizon if file else None  # which the spec does not tell
        if spec.max_episode_steps is None and horizon is None:
            log.warning("%s has no time limit; episodes are abandoned after %s steps", task, f"{ENDLESS:,}")
        native = spec.vector_entry_point is not None
        self._copies: EpisodeCopies = _NativeCopies(task, episodes) if native else _ListedCopies(task, episodes)

    def returns(self, act: Act, seed: int) -> np.ndarray:
        """Plays one episode in every copy, so that short episodes count no more often than long ones.

        Args:
            act: The agent; called with all copies, including those whose episodes have ended.
            seed: Seed of the initial states and of every draw that the agent makes; the caller's random states do not
                change.

        Returns:
            Undiscounted returns, (episodes,) float64.

        Raises:
            GTNError: An episode does not end.
        """
        total = np.zeros(self.count)
        running = np.ones(self.count, dtype=bool)
        with own_randomness(seed):
            observations = self._copies.reset(seed)
            for _ in range(ENDLESS):
                observations, rewards, ended = self._copies.step(act(observations), running)
                total += np.where(running, rewards, 0.0)
                running &= ~ended
                if not running.any():
                    return total
        raise GTNError(f"an episode of {self.task} did not end within {ENDLESS:,} steps; the task needs a time limit")

    def close(self) -> None:
        """Closes the environments."""
        self._copies.close()


def acting(model: Any, *, deterministic: bool, seed: int) -> Act:
    """Returns the policy of a trained agent, with observations normalised as in its training.

    Args:
        model: An agent of Stable-Baselines3.
        deterministic: Whether to take the most likely action; otherwise it is sampled (with gSDE, as in a
            rollout) or, for Q-learners, explores.
        seed: Seed of the exploration of Q-learners.
    """
    normalizer = model.get_vec_normalize_env()
    exploring = None if deterministic else getattr(model, "exploration_rate", None)
    noise = contextlib.nullcontext if deterministic or not model.use_sde else _DrawnAnew(model).for_step
    random = np.random.default_rng(seed)
    state: tuple[np.ndarray, ...] | None = None  # of a recurrent policy

    def act(observations: np.ndarray) -> np.ndarray:
        nonlocal state
        starts = np.full(len(observations), state is None)
        seen = observations if normalizer is None else normalizer.normalize_obs(observations)
        # Stable-Baselines3's own exploration tosses one coin for the whole batch.
        quiet = deterministic or exploring is not None
        with noise(len(seen)):
            actions, state = model.predict(seen, state=state, episode_start=starts, deterministic=quiet)
        if exploring is not None:
            wild = random.random(len(actions)) < exploring
            actions = np.where(wild, random.integers(model.action_space.n, size=len(actions)), actions)
        return np.asarray(actions)

    return act


class _DrawnAnew:
    """Exploration matrices of gSDE, drawn as in a rollout of the training, whose own are put back after every step.

    ``predict`` alone would go on with the last matrices of the training.
    """

    MATRICES = ("weights_dist", "exploration_mat", "exploration_matrices")

    def __init__(self, model: Any) -> None:
        self._policy, self._every = model.policy, model.sde_sample_freq
        self._distribution = getattr(model.policy, "actor", model.policy).action_dist
        self._drawn: dict[str, Any] = {}
        self._steps = 0

    @contextlib.contextmanager
    def for_step(self, copies: int) -> Iterator[None]:
        """Has the policy act with its own matrix for each copy."""
        training = self._held()
        try:
            if self._steps == 0 or (self._every > 0 and self._steps % self._every == 0):
                with torch.no_grad():
                    self._policy.reset_noise(copies)
                self._drawn = self._held()
            self._hold(self._drawn)
            self._steps += 1
            yield
        finally:
            self._hold(training)

    def _held(self) -> dict[str, Any]:
        return {name: getattr(self._distribution, name) for name in self.MATRICES}

    def _hold(self, matrices: dict[str, Any]) -> None:
        for name, value in matrices.items():
            setattr(self._distribution, name, value)


class _NativeCopies:
    """A task with a vector environment of its own in Gymnasium; what its automatic resets yield is ignored."""

    def __init__(self, task: str, count: int) -> None:
        self._envs = gym.make_vec(task, num_envs=count)

    def reset(self, seed: int) -> np.ndarray:
        return np.array(self._envs.reset(seed=_small(seed))[0])

    def step(self, actions: np.ndarray, running: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        observations, rewards, terminated, truncated, _ = self._envs.step(actions)
        return np.array(observations), np.asarray(rewards), np.logical_or(terminated, truncated)

    def close(self) -> None:
        self._envs.close()


class _ListedCopies:
    """Any other task: its copies are stepped one after the other, and not after their episodes have ended."""

    def __init__(self, task: str, count: int) -> None:
        self._envs = [gym.make(task, disable_env_checker=True) for _ in range(count)]
        self._observations = np.empty(0)

    def reset(self, seed: int) -> np.ndarray:
        seeds = np.random.SeedSequence(seed).generate_state(len(self._envs))
        first = [env.reset(seed=_small(int(s)))[0] for env, s in zip(self._envs, seeds, strict=True)]
        dtype = self._envs[0].observation_space.dtype  # a task's first observations may be integers, and later ones not
        self._observations = np.stack(first).astype(dtype, copy=False)
        return self._observations.copy()

    def step(self, actions: np.ndarray, running: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rewards, ended = np.zeros(len(self._envs)), np.zeros(len(self._envs), dtype=bool)
        for i in np.flatnonzero(running):
            self._observations[i], reward, terminated, truncated, _ = self._envs[i].step(actions[i])
            rewards[i], ended[i] = float(reward), terminated or truncated
        return self._observations.copy(), rewards, ended

    def close(self) -> None:
        for env in self._envs:
            env.close()


def _small(seed: int) -> int:
    return seed % 2**31  # which every environment accepts
