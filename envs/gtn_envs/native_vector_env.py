"""Base class of the native vector environments: seeds, resets, the three autoreset modes, time limits, rendering."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import error
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from gtn_envs.backends import TorchBackend, make_backend
from gtn_envs.history import Picture
from gtn_envs.rendering import Renderer, can_render
from gtn_envs.space_encoding import Space

if TYPE_CHECKING:
    import torch
    from gymnasium import spaces

_FOREVER = 2**62


def _plain(seed: Any) -> Any:
    """Converts a numpy integer to a Python one, which Gymnasium insists on; returns anything else unchanged."""
    return int(seed) if isinstance(seed, np.integer) else seed


class NativeVectorEnv(gym.vector.VectorEnv[Any, Any, Any]):
    """n copies of an environment, stepped together without a loop over copies.

    Episode ends are handled as in Gymnasium's ``SyncVectorEnv``, in all three autoreset modes. The states are an array
    with one row per copy. A subclass defines how they change (``_advance``), begin (``_initial``) and look
    (``_observed``, ``_pictured``), and sets ``_states`` to any array of that shape before the first reset.

    Args:
        observation_space: Observation space of one copy.
        action_space: Action space of one copy.
        num_envs: n.
        horizon: Steps after which an episode terminates; None for no horizon.
        max_episode_steps: Steps after which it is truncated; None or -1 for no limit.
        backend: One of ``backends.BACKENDS``.
        device: Device of the torch backend; the CPU if None.
        autoreset_mode: One of Gymnasium's ``AutoresetMode``, or its value.
        render_mode: ``"rgb_array"`` or None.
        render_fps: Frame rate at which pictures should be shown.
        picture: Takes the render mode and returns what draws one copy.

    Raises:
        ValueError: An argument is invalid.
        gymnasium.error.UnsupportedMode: The render mode is not supported.
    """

    _renderers: Sequence[Renderer] = ()  # for `close`, if the constructor has raised

    def __init__(
        self,
        observation_space: spaces.Box,
        action_space: Space,
        num_envs: int,
        *,
        horizon: int | None,
        max_episode_steps: int | None,
        backend: str,
        device: str | torch.device | None,
        autoreset_mode: AutoresetMode | str,
        render_mode: str | None,
        render_fps: int,
        picture: Callable[[str], Picture],
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}, expected at least 1")
        if render_mode not in (None, "rgb_array"):
            raise error.UnsupportedMode(f"render_mode is {render_mode!r}, expected 'rgb_array' or None")
        self.num_envs = num_envs
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": render_fps, "autoreset_mode": self.autoreset_mode}
        self.render_mode = render_mode
        self.single_observation_space = observation_space
        self.single_action_space = action_space
        self.observation_space = batch_space(observation_space, num_envs)
        self.action_space = batch_space(action_space, num_envs)
        ends, cuts = _limit("horizon", horizon), _limit("max_episode_steps", max_episode_steps)
        self._limit, self._terminates, self._truncates = min(ends, cuts), ends <= cuts, cuts <= ends
        self.backend = make_backend(backend, action_space, device)
        self._states: Any = None
        self._generators: list[np.random.Generator | None] = [None] * num_envs
        self._seeds = [-1] * num_envs
        # Steps so far, and the step at which each copy's episode reaches its limit: one comparison per step.
        self._clock = 0
        self._deadlines = self.backend.array(np.zeros(num_envs, np.int64))
        # Copies whose episode is over (all of them before the first reset).
        self._over = np.ones(num_envs, np.bool_)
        self._started = False
        self._renderers = [Renderer(picture, render_mode) for _ in range(num_envs)] if render_mode else []

    def _advance(self, states: Any, actions: Any) -> tuple[Any, Any, Any]:
        """Returns the states after a step, rewards (n,) and terminations (n,), without modifying anything.

        The results for copies whose episodes are over are ignored.
        """
        raise NotImplementedError

    def _initial(self, copies: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Returns initial states (k, ...) of k copies, drawn from their generators."""
        raise NotImplementedError

    def _seeded(self, copies: npt.NDArray[np.int64]) -> None:
        """Called after the generators of these copies have been reseeded."""

    def _observed(self, states: Any) -> Any:
        """Returns the observations of all copies as a new array."""
        raise NotImplementedError

    def _pictured(self, copy: int) -> Any:
        """Returns what a copy's renderer records of its state."""
        raise NotImplementedError

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The generator of each copy, as in ``SyncVectorEnv``."""
        return tuple(self._generator(i) for i in range(self.num_envs))

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed of each copy's generator, as in ``SyncVectorEnv``."""
        for i in range(self.num_envs):
            self._generator(i)
        return tuple(self._seeds)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Starts an episode in all copies, or in some.

        Args:
            seed: Copy i is seeded with ``seed + i``, or with ``seed[i]``; None leaves its generator as it is.
            options: ``reset_mask``, a boolean array (n,): only these copies are reset. Anything else is ignored.

        Returns:
            The observations of all copies, and an empty info.

        Raises:
            ValueError: ``seed`` or ``reset_mask`` has the wrong length, or the mask selects no copy.
            gymnasium.error.Error: A seed is not an integer of at least 0.
            TypeError: ``reset_mask`` is not a boolean array.
            gymnasium.error.ResetNeeded: Copies that the mask leaves out have never been reset.
        """
        copies = self._masked((options or {}).get("reset_mask"))
        seeds = [int(seed) + i for i in range(self.num_envs)] if isinstance(seed, int | np.integer) else seed
        if seeds is not None:
            if not hasattr(seeds, "__len__"):
                raise error.Error(f"seed is {seed!r}, expected an integer, or one for each copy")
            if len(seeds) != self.num_envs:
                raise ValueError(f"seed has length {len(seeds)}, expected num_envs={self.num_envs}")
            seeded = [i for i in copies.tolist() if seeds[i] is not None]
            for i, new in zip(
                seeded, [seeding.np_random(_plain(seeds[i])) for i in seeded], strict=True
            ):  # if one seed is invalid, no generator changes
                self._generators[i], self._seeds[i] = new
            self._seeded(np.array(seeded, np.int64))
        with self._untracked():
            self._restart(copies)
            self._over[copies] = False
            self._started = True
            return self._observed(self._states), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Takes one step in every copy.

        Args:
            actions: A batch of actions. Those of copies that are only reset are validated, but otherwise ignored.

        Returns:
            Observations (n, ...), rewards (n,), terminations (n,), truncations (n,), and an info, which is empty except
            for ``final_obs`` and ``final_info`` when a copy was reset in the mode ``SameStep``. None of them shares
            memory with another, with this object, or with the results of an earlier call.

        Raises:
            gymnasium.error.ResetNeeded: No copy has been reset yet or, in the mode ``Disabled``, a copy's episode is
                over.
            gymnasium.error.InvalidAction: An action is not in the space; no copy has moved.
        """
        if not self._started:
            raise error.ResetNeeded("Cannot call env.step() before calling env.reset()")
        resets = self._over.nonzero()[0]
        if resets.size and self.autoreset_mode is AutoresetMode.DISABLED:
            raise error.ResetNeeded(f"the episodes of copies {resets.tolist()} are over: reset them with a reset_mask")
        with self._untracked():
            return self._step(actions, resets)

    def render(self) -> tuple[Any, ...] | None:
        """Returns a picture (height, width, 3) of each copy; None without a render mode.

        Raises:
            gymnasium.error.ResetNeeded: No copy has been reset yet.
            gymnasium.error.DependencyNotInstalled: pygame is missing.
        """
        drawn = can_render(self.render_mode, begun=self._started)
        return tuple(renderer.draw() for renderer in self._renderers) if drawn else None

    def close_extras(self, **kwargs: Any) -> None:
        """Closes the renderers."""
        for renderer in self._renderers:
            renderer.close()

    def _step(self, actions: Any, resets: npt.NDArray[np.int64]) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        backend = self.backend
        info: dict[str, Any] = {}
        taken, wrong = backend.actions(actions, self.num_envs)
        if wrong is True:  # known at once in numpy; torch's flag arrives with the transfer below
            raise self._invalid(actions)
        states, rewards, terminated = self._advance(self._states, taken)
        truncated = self._deadlines <= self._clock + 1
        if self._terminates:
            terminated = terminated | truncated
            truncated = truncated & self._truncates
        if resets.size:
            rewards[backend.array(resets)] = 0.0
            live = backend.array(~self._over)
            terminated, truncated = terminated & live, truncated & live
        over, wrong = backend.on_host(terminated | truncated, wrong)
        if wrong:
            raise self._invalid(actions)
        self._states, self._over = states, over
        self._clock += 1
        self._record(taken, rewards)
        if resets.size:
            self._restart(resets)
        if self.autoreset_mode is AutoresetMode.SAME_STEP and over.any():
            info = self._final(over)
            self._restart(over.nonzero()[0])
            self._over = np.zeros_like(over)
        return self._observed(self._states), backend.rewards(rewards), terminated, truncated, info

    def _restart(self, copies: npt.NDArray[np.int64]) -> None:
        """Moves copies to their next initial states."""
        initial = self._initial(copies)
        where = slice(None) if copies.size == self.num_envs else self.backend.array(copies)
        self._states[where] = self.backend.array(initial)
        self._deadlines[where] = self._clock + self._limit
        if self._renderers:
            for i in copies.tolist():
                self._renderers[i].start(self._pictured(i))

    def _final(self, over: npt.NDArray[np.bool_]) -> dict[str, Any]:
        """Returns the info of copies that are about to be reset in the step that ended them."""
        observations = self._observed(self._states)
        if isinstance(self.backend, TorchBackend):
            mask = self.backend.array(over)
            return {"final_obs": observations, "_final_obs": mask, "final_info": {}, "_final_info": mask.clone()}
        final, ended = np.full(self.num_envs, None, dtype=object), over.nonzero()[0]
        final[ended] = np.fromiter(observations.take(ended, 0), object, ended.size)  # a row each
        return {"final_obs": final, "_final_obs": over.copy(), "final_info": {}, "_final_info": over.copy()}

    def _record(self, taken: Any, rewards: Any) -> None:
        for i, renderer in enumerate(self._renderers):
            action = taken[i].tolist()
            renderer.record(self._pictured(i), action, float(rewards[i]))

    def _generator(self, copy: int) -> np.random.Generator:
        generator = self._generators[copy]
        if generator is None:
            generator, self._seeds[copy] = seeding.np_random()
            self._generators[copy] = generator
        return generator

    def _masked(self, mask: Any) -> npt.NDArray[np.int64]:
        if mask is None:
            return np.arange(self.num_envs)
        if hasattr(mask, "cpu"):
            mask = mask.cpu().numpy()
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_:
            raise TypeError(
                f"reset_mask is a {type(mask).__name__}, expected a boolean array of shape ({self.num_envs},)"
            )
        if mask.shape != (self.num_envs,) or not mask.any():
            raise ValueError(f"reset_mask is {mask}, expected shape ({self.num_envs},) and at least one True")
        if not self._started and not mask.all():
            raise error.ResetNeeded("the first reset must include every copy; omit reset_mask")
        return mask.nonzero()[0]

    def _invalid(self, actions: Any) -> error.InvalidAction:
        return error.InvalidAction(f"an action in {actions} is not in {self.single_action_space}")

    def _untracked(self) -> contextlib.AbstractContextManager[Any]:
        return self.backend.untracked() if isinstance(self.backend, TorchBackend) else contextlib.nullcontext()


def _limit(name: str, steps: int | None) -> int:
    if steps is None or steps == -1:
        return _FOREVER
    if steps < 1:
        raise ValueError(f"{name} is {steps}, expected at least 1, or -1 for no limit")
    return steps
