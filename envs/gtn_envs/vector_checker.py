"""A checker for vector environments, as Gymnasium's ``check_env`` is for single environments."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.utils import batch_space

_ARRAYS = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)
"""Spaces whose batches are single arrays."""


def check_vector_env(
    env: gym.vector.VectorEnv[Any, Any, Any],
    steps: int = 200,
    seed: int = 0,
    *,
    random: bool = True,
    invalid_actions: bool = True,
) -> None:
    """Checks a vector environment of numpy arrays or torch tensors by running it; does not close it.

    Checks that the spaces are batches of the single ones; that results have the right shapes and dtypes, lie in the
    observation space, and share no memory with earlier ones; that a seed determines the trajectory; that invalid
    actions raise and leave the environment usable; that episodes end, and are followed, as the autoreset mode in the
    metadata says; that episodes are truncated after the spec's ``max_episode_steps``, if it has any, and not before;
    and that the metadata dict is the instance's own.

    Args:
        env: Vector environment, whose ``metadata["autoreset_mode"]`` says how it resets.
        steps: Steps in each run.
        seed: Seed of the resets and the actions.
        random: Whether the trajectory depends on the seed, so that another seed must lead to other observations.
        invalid_actions: Whether to check that invalid actions raise. An ``AsyncVectorEnv`` gets none: its workers do
            not outlive an error.

    Raises:
        TypeError: A space is not a Box, Discrete, MultiDiscrete or MultiBinary, so that its batches are not arrays.
        AssertionError: A check failed; one line says which.
    """
    assert isinstance(env, gym.vector.VectorEnv), f"{env!r} is not a gymnasium.vector.VectorEnv"
    _check_spaces(env)
    first = _run(env, steps, seed)
    second = _run(env, steps, seed)
    for step, (one, other) in enumerate(zip(first, second, strict=True)):
        for name, a, b in zip(("observations", "rewards", "terminations", "truncations"), one, other, strict=True):
            assert np.array_equal(a, b), f"{name} of step {step} differ between two runs with seed {seed}"
    other_seed = _run(env, steps, seed + 1000)
    assert not random or any(not np.array_equal(a[0], b[0]) for a, b in zip(first, other_seed, strict=True)), (
        f"seeds {seed} and {seed + 1000} give the same observations (random=False allows it)"
    )
    if invalid_actions and not isinstance(env.unwrapped, AsyncVectorEnv):
        _check_refusals(env, seed)


def _check_spaces(env: gym.vector.VectorEnv[Any, Any, Any]) -> None:
    for kind in ("observation", "action"):
        single, batched = getattr(env, f"single_{kind}_space"), getattr(env, f"{kind}_space")
        if not isinstance(single, _ARRAYS):
            accepted = ", ".join(space.__name__ for space in _ARRAYS)
            raise TypeError(f"single_{kind}_space is {single}, but only these can be checked: {accepted}")
        expected = batch_space(single, env.num_envs)
        assert batched == expected, f"{kind}_space is {batched}, expected {expected}"
    mode = env.metadata.get("autoreset_mode")
    assert isinstance(mode, AutoresetMode), f"metadata['autoreset_mode'] is {mode!r}, expected an AutoresetMode"
    assert env.metadata is not type(env).metadata, "metadata is the class's own dict: another instance would change it"


def _run(env: gym.vector.VectorEnv[Any, Any, Any], steps: int, seed: int) -> list[tuple[npt.NDArray[Any], ...]]:
    """Checks each step of random actions; returns every step's (observations, rewards, terminations, truncations)."""
    mode, n = env.metadata["autoreset_mode"], env.num_envs
    env.action_space.seed(seed)
    observations, info = env.reset(seed=seed)
    assert isinstance(info, dict), f"reset returned {type(info).__name__} as its info, expected a dict"
    limit = _limit(env)
    over, elapsed = np.zeros(n, np.bool_), np.zeros(n, np.int64)
    record: list[tuple[npt.NDArray[Any], ...]] = [(_host(observations).copy(), np.zeros(n), over, over)]
    handed_out = [(observations, _host(observations).copy())]
    _check_observations(env, record[0][0])
    for _ in range(steps):
        resets = over.copy()
        if mode is AutoresetMode.DISABLED and over.any():
            before = record[-1][0]
            observations, _ = env.reset(options={"reset_mask": over.copy()})
            after = _host(observations).copy()
            _check_observations(env, after)
            assert np.array_equal(after[~over], before[~over]), "a reset with a mask changed copies outside it"
            elapsed[over] = 0
            resets[:] = False
        observations, rewards, terminated, truncated, info = env.step(env.action_space.sample())
        step = _Step(*(_host(part).copy() for part in (observations, rewards, terminated, truncated)))
        _check_observations(env, step.observations)
        step.check(n)
        elapsed = np.where(resets, 0, elapsed + 1)
        if mode is AutoresetMode.NEXT_STEP:
            step.check_reset(resets)
        over = step.terminated | step.truncated
        if limit is not None:
            assert (elapsed <= limit).all(), f"an episode has {elapsed.max()} steps, the spec allows {limit}"
            late = (elapsed == limit) & ~step.truncated
            assert not late.any(), f"copies {late.nonzero()[0].tolist()} are not truncated after {limit} steps"
            early = step.truncated & (elapsed < limit)
            assert not early.any(), f"copies {early.nonzero()[0].tolist()} are truncated before {limit} steps"
        if mode is AutoresetMode.SAME_STEP:
            _check_final(env, info, over, step.observations)
            elapsed[over] = 0
            over = np.zeros(n, np.bool_)
        for array, copy in handed_out:
            assert np.array_equal(_host(array), copy), "a step changed an array that an earlier call returned"
        parts = [observations, rewards, terminated, truncated]
        _check_memory([array for array, _ in handed_out], parts)
        handed_out = [(part, _host(part).copy()) for part in parts]
        record.append((step.observations, step.rewards, step.terminated, step.truncated))
    return record


class _Step:
    """The results of a step, copied to numpy arrays."""

    def __init__(
        self,
        observations: npt.NDArray[Any],
        rewards: npt.NDArray[Any],
        terminated: npt.NDArray[Any],
        truncated: npt.NDArray[Any],
    ) -> None:
        self.observations, self.rewards, self.terminated, self.truncated = observations, rewards, terminated, truncated

    def check(self, n: int) -> None:
        for name, array, kind in (
            ("rewards", self.rewards, "f"),
            ("terminations", self.terminated, "b"),
            ("truncations", self.truncated, "b"),
        ):
            assert array.shape == (n,), f"{name} have shape {array.shape}, expected ({n},)"
            assert array.dtype.kind == kind, f"{name} have dtype {array.dtype}, expected {_KINDS[kind]}"
        assert np.isfinite(self.rewards).all(), "a reward is not finite"

    def check_reset(self, resets: npt.NDArray[np.bool_]) -> None:
        """In the mode NEXT_STEP, checks that the step after an episode's end only resets."""
        wrong = resets & ((self.rewards != 0) | self.terminated | self.truncated)
        assert not wrong.any(), (
            f"copies {wrong.nonzero()[0].tolist()} were reset in this step, but report a reward or an episode's end"
        )


_KINDS = {"f": "floating", "b": "bool"}


def _check_observations(env: gym.vector.VectorEnv[Any, Any, Any], observations: npt.NDArray[Any]) -> None:
    space = env.observation_space
    assert observations.dtype == space.dtype, f"observations have dtype {observations.dtype}, expected {space.dtype}"
    assert observations.shape == space.shape, f"observations have shape {observations.shape}, expected {space.shape}"
    assert space.contains(observations), f"observations are outside {space}"


def _check_final(
    env: gym.vector.VectorEnv[Any, Any, Any],
    info: dict[str, Any],
    over: npt.NDArray[np.bool_],
    observations: npt.NDArray[Any],
) -> None:
    """In the mode SAME_STEP, checks that the info holds the final observations, separate from the returned ones."""
    if not over.any():
        assert "final_obs" not in info or not _host(info["_final_obs"]).any(), (
            "the info has final_obs, but no episode ended"
        )
        return
    for key in ("final_obs", "_final_obs", "final_info", "_final_info"):
        assert key in info, f"an episode ended, but the info has no {key!r}"
    assert np.array_equal(_host(info["_final_obs"]), over), "_final_obs does not mark the copies whose episodes ended"
    for i in over.nonzero()[0].tolist():
        final = _host(info["final_obs"][i])
        assert env.single_observation_space.contains(final), f"final_obs[{i}] is outside {env.single_observation_space}"
        assert not np.shares_memory(final, observations), f"final_obs[{i}] shares memory with the observations"


def _check_memory(earlier: list[Any], parts: list[Any]) -> None:
    arrays = [*earlier, *parts]
    for i, array in enumerate(parts, start=len(earlier)):
        for other in arrays[:i]:
            assert not np.shares_memory(_host(array), _host(other)), "two returned arrays share memory"


def _check_refusals(env: gym.vector.VectorEnv[Any, Any, Any], seed: int) -> None:
    """Checks that invalid actions raise, and do not change the trajectory of a seed."""
    space = env.single_action_space
    env.action_space.seed(seed)
    good = env.action_space.sample()
    wrong = [good[:-1], np.concatenate([good, good[:1]])]
    if isinstance(space, spaces.Discrete):
        wrong += [np.full_like(good, space.start + space.n), np.full_like(good, space.start - 1), good + 0.5]
    elif isinstance(space, spaces.Box):
        wrong += _outside(space, good)
    env.reset(seed=seed)
    expected = env.step(good)
    env.reset(seed=seed)
    for actions in wrong:
        try:
            env.step(actions)
        except Exception:  # of any kind: an environment may look up its actions in a dict, for example
            env.reset(seed=seed)
            continue
        raise AssertionError(
            f"the actions {actions.tolist()} were accepted, though they are not in {env.action_space} "
            "(invalid_actions=False allows it)"
        )
    for name, a, b in zip(("observations", "rewards"), env.step(good), expected, strict=False):
        assert np.array_equal(_host(a), _host(b)), f"{name} differ after rejected actions"


def _outside(space: spaces.Box, good: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Returns batches of actions whose last entry is outside the space, as far as its dtype allows."""
    highest, wrong = space.high.flat[-1], []
    if good.dtype.kind == "f":
        wrong.append(np.nan)
        if np.isfinite(highest):
            wrong.append(np.nextafter(highest, np.inf, dtype=good.dtype) + 1)
    elif highest < np.iinfo(good.dtype).max:
        wrong.append(highest + 1)
    batches = []
    for value in wrong:
        actions = good.copy()
        actions.flat[-1] = value
        batches.append(actions)
    return batches


def _limit(env: gym.vector.VectorEnv[Any, Any, Any]) -> int | None:
    """Returns the time limit of the spec; None if there is none, or if it is -1."""
    limit = None if env.spec is None else env.spec.kwargs.get("max_episode_steps", env.spec.max_episode_steps)
    return None if limit == -1 else limit


def _host(array: Any) -> npt.NDArray[Any]:
    """Returns a numpy array itself, or a tensor as an array, which shares its memory if that is on the CPU."""
    return array.detach().cpu().numpy() if hasattr(array, "detach") else np.asarray(array)
