"""Pictures by the classic-control tasks themselves, which are put into the state that an observation describes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import error
from gymnasium.envs.registration import load_env_creator, parse_env_id

from gtn_envs.valid_weights import Array, Weights

if TYPE_CHECKING:
    from gtn_envs.history import History


class RealPicture:
    """Draws with the real task's ``render``.

    Args:
        task: Id of a task in ``POSES``.
        render_mode: ``"rgb_array"`` or ``"human"``.
    """

    def __init__(self, task: str, render_mode: str) -> None:
        _, self._pose = POSES[_name(task)]
        self._env: Any = gym.make(task).unwrapped
        self._env.reset()
        self._env.render_mode = render_mode  # only now: in the mode "human", a reset would show its own state

    def draw(self, history: History) -> npt.NDArray[np.uint8] | None:
        """Returns the picture (height, width, 3), or shows it and returns None.

        Raises:
            gymnasium.error.DependencyNotInstalled: pygame is missing.
        """
        self._pose(self._env, history.states[-1], history.actions[-1] if history.actions else None)
        picture: npt.NDArray[np.uint8] | None = self._env.render()
        return picture

    def close(self) -> None:
        """Closes the window, if there is one."""
        self._env.close()


def is_drawable(weights: Weights) -> bool:
    """Returns whether the real task can be drawn from an observation."""
    size, _ = POSES.get(_name(weights.task), (0, None))
    return weights.observation_space.shape == (size,) and gym.registry.get(weights.task) is not None


def real_rate(task: str) -> int:
    """Returns the frame rate at which pictures of a task in ``POSES`` should be shown."""
    entry_point = gym.spec(task).entry_point
    made_by: Any = load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point
    return int(made_by.metadata["render_fps"])


def _name(task: str) -> str:
    """Returns the name of one of Gymnasium's own tasks; an empty string for any other task, or for an invalid id."""
    try:
        namespace, name, _ = parse_env_id(task)
    except error.Error:
        return ""
    return "" if namespace else name


def _state_is_observation(env: Any, state: Array, action: Any) -> None:
    env.state = state.astype(np.float64)


def _acrobot(env: Any, state: Array, action: Any) -> None:
    cos1, sin1, cos2, sin2, speed1, speed2 = state.tolist()
    env.state = np.array([np.arctan2(sin1, cos1), np.arctan2(sin2, cos2), speed1, speed2])


def _pendulum(env: Any, state: Array, action: Any) -> None:
    cos, sin, speed = state.tolist()
    env.state = np.array([np.arctan2(sin, cos), speed])
    env.last_u = None if action is None else float(action[0])


POSES: dict[str, tuple[int, Callable[[Any, Array, Any], None]]] = {
    "CartPole": (4, _state_is_observation),
    "MountainCar": (2, _state_is_observation),
    "MountainCarContinuous": (2, _state_is_observation),
    "Acrobot": (6, _acrobot),
    "Pendulum": (3, _pendulum),
}
"""By task name: d, and what puts the task into a state (d,) after an action (flat values, or None at the start)."""
