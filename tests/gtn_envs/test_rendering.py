"""Rendering of learned environments: the real task's picture, the plot, the window, and errors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import random_environments
from gymnasium import error

from gtn_envs import SyntheticEnv, SyntheticVectorEnv, make_weights, save_environment
from gtn_envs.history_plot import HEIGHT, WIDTH

pytestmark = pytest.mark.usefixtures("_no_window")

REAL = ["CartPole-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1"]


def still(task: str, observation: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Returns arguments of ``save_environment`` for a bandit whose only context is an observation of a real task."""
    real = gym.make(task)
    monkeypatch.setitem(random_environments.OBSERVATIONS, task, real.observation_space)
    monkeypatch.setitem(random_environments.ACTIONS, task, real.action_space)
    tensors, document = random_environments.environment("bandit", task)
    mean, std = tensors["observation.mean"], tensors["observation.std"]
    tensors["initial.means"] = ((observation - mean) / std)[None]
    tensors["initial.log_std"] = np.full_like(tensors["initial.log_std"], -30)
    return {"tensors": tensors, "document": document}


@pytest.mark.parametrize("task", REAL)
def test_picture_matches_real_tasks_render(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An observation's picture is the one that the real task renders of the underlying state."""
    real = gym.make(task, render_mode="rgb_array", disable_env_checker=True)
    observation, _ = real.reset(seed=5)
    real.action_space.seed(5)
    for _ in range(7):
        action = real.action_space.sample()
        observation = real.step(action)[0]
    path = tmp_path / "still.safetensors"
    save_environment(path, **still(task, observation, monkeypatch))
    env = SyntheticEnv(path, render_mode="rgb_array")
    env.reset(seed=0)
    env.step(action)  # a bandit keeps its state; Pendulum also draws the action
    picture, expected = env.render(), np.asarray(real.render())
    assert picture.shape == expected.shape
    assert picture.dtype == np.uint8
    assert (picture != expected).any(-1).mean() < 1e-3  # pixels at edges may be rounded differently
    env.close()


def test_plot_has_fixed_size_and_changes_with_steps(write: Callable[..., Path]) -> None:
    env = SyntheticEnv(write(task="Grid-v0", termination=False), render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    assert isinstance(first, np.ndarray)
    for _ in range(15):
        env.step(6)
    later = env.render()
    assert isinstance(later, np.ndarray)
    assert first.shape == later.shape == (HEIGHT, WIDTH, 3)
    assert (first != later).any(-1).mean() > 0.005


def test_observation_of_other_shape_than_real_task_is_plotted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(random_environments.OBSERVATIONS, "CartPole-v1", gym.spaces.Box(-1.0, 1.0, (3,)))
    tensors, document = random_environments.environment("bandit", "CartPole-v1")
    save_environment(tmp_path / "three.safetensors", tensors, document)
    env = SyntheticEnv(tmp_path / "three.safetensors", render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("id", ["GTN-TestGrid-v0", "GTN-Digits-v0"])
def test_rendering_survives_closing_another_environment(id: str, files: dict[str, Path]) -> None:
    env, other = gym.make(id, render_mode="rgb_array"), gym.make("CartPole-v1", render_mode="rgb_array")
    env.reset(seed=0), other.reset(seed=0)
    before = env.render()
    other.render(), other.close()  # closing it quits pygame
    np.testing.assert_array_equal(env.render(), before)


@pytest.mark.parametrize("task", ["my task!", "mine/CartPole-v1", "CartPole-v1"])
def test_only_gymnasium_tasks_use_real_tasks_picture(task: str) -> None:
    tensors, document = random_environments.environment()
    env = SyntheticEnv(make_weights(tensors, {**document, "task": task}), render_mode="rgb_array")
    env.reset(seed=0)
    assert (env.render().shape == (HEIGHT, WIDTH, 3)) == (task != "CartPole-v1")


def test_modifying_action_after_step_does_not_change_picture(write: Callable[..., Path]) -> None:
    path = write(task="Pendulum-v1")
    pictures = []
    for later in (None, 2.0):
        env, action = SyntheticEnv(path, render_mode="rgb_array"), np.array([-1.0], np.float32)
        env.reset(seed=0)
        env.step(action)
        if later is not None:
            action[:] = later
        pictures.append(env.render())
    np.testing.assert_array_equal(*pictures)


def test_plot_fits_episode_longer_than_files_limit(write: Callable[..., Path]) -> None:
    env = SyntheticEnv(write(task="Grid-v0", termination=False, max_episode_steps=5), render_mode="rgb_array")
    env.reset(seed=0)
    for _ in range(30):
        env.step(6)
    picture = env.render()
    assert (picture[:, -6:] == 255).all()  # right margin: nothing is drawn beyond the axes
    row = picture[22:140, 300:-12]  # right half of the first panel
    assert (row != 255).any(-1).any(0).mean() > 0.9  # the curves reach the right end


@pytest.mark.parametrize(("id", "rate"), [("GTN-CartPole-v0", 50), ("GTN-Acrobot-v0", 15), ("GTN-LunarLander-v0", 30)])
def test_render_fps_matches_real_task_or_plot(id: str, rate: int) -> None:
    assert gym.make(id, render_mode="rgb_array").metadata["render_fps"] == rate
    assert gym.make_vec(id, num_envs=2, render_mode="rgb_array").metadata["render_fps"] == rate
    assert gym.make(id).metadata is SyntheticEnv.metadata


@pytest.mark.parametrize("id", ["GTN-TestDiscrete-v0", "GTN-TestGrid-v0"])
def test_human_mode_steps_and_render_returns_none(id: str, files: dict[str, Path]) -> None:
    env = gym.make(id, render_mode="human")
    env.reset(seed=0)
    for _ in range(3):
        if env.step(env.action_space.sample())[2]:
            env.reset()
    assert env.render() is None
    env.close()


def test_vector_env_renders_each_copy_separately(write: Callable[..., Path]) -> None:
    path = write(task="Grid-v0", termination=False)
    env = SyntheticVectorEnv(path, num_envs=2, render_mode="rgb_array")
    env.reset(seed=0)
    for _ in range(5):
        env.step(np.array([5, 7]))
    one, other = env.render()  # type: ignore[misc]
    assert (one != other).any()
    single = SyntheticEnv(path, render_mode="rgb_array")
    single.reset(seed=0)
    for _ in range(5):
        single.step(5)
    assert (single.render() != one).any(-1).mean() < 1e-3
    env.close()


def test_render_without_pygame_raises(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    env = SyntheticEnv(files["GTN-TestGrid-v0"], render_mode="rgb_array")
    env.reset(seed=0)
    with pytest.raises(error.DependencyNotInstalled, match="pip install"):
        env.render()


def test_unknown_render_mode_raises_and_missing_mode_warns(files: dict[str, Path], write: Callable[..., Path]) -> None:
    with pytest.raises(error.UnsupportedMode, match="render_mode is 'ansi'"):
        SyntheticEnv(files["GTN-TestGrid-v0"], render_mode="ansi")
    env = SyntheticEnv(files["GTN-TestGrid-v0"])
    env.reset()
    with pytest.warns(UserWarning, match="without a render mode"):
        assert env.render() is None
