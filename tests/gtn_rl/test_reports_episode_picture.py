"""The report's ``episodes.png``: drawn states, or curves where a state cannot be drawn."""

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.envs.classic_control import CartPoleEnv
from gymnasium.envs.registration import EnvSpec
from PIL import Image

from gtn_core.errors import UsageError
from gtn_envs import save_environment
from gtn_rl.environments import find_environment
from gtn_rl.models.reward import RewardTeacher
from gtn_rl.reports.report import write_episodes
from gtn_rl.tasks import make_task
from gtn_rl.transfer.video import require_rendering


def picture(name, folder):
    path = write_episodes(folder, find_environment(name))
    assert path == folder / "episodes.png"
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize(
    "name", ["GTN-CartPole-v0", "GTN-CartPoleBandit-v0", "GTN-PendulumBandit-v0", "GTN-Pendulum-v0"]
)
def test_drawable_states_are_drawn_to_the_last_column(name, tmp_path):
    pixels = picture(name, tmp_path)
    assert (pixels != 255).any(axis=2)[:, -250:].any()  # a row is filled up to its last picture


def test_reward_for_task_without_rendering_is_plotted_as_curves(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "examples")
    task = make_task("thermostat:Thermostat-v0", workers=0)
    teacher = RewardTeacher(task, torch.zeros(2), torch.ones(2), torch.randn(8, 2), seed=0, hidden=(8,))
    spec = task.spec
    spaces = {"observation_space": spec.observation_space, "action_space": spec.action_space}
    tensors = {name: tensor.numpy() for name, tensor in teacher.tensors().items()}
    save_environment(tmp_path / "reward.safetensors", tensors, teacher.document(**spaces))
    pixels = picture(str(tmp_path / "reward.safetensors"), tmp_path)
    assert (np.abs(pixels.astype(int) - (11, 110, 79)).max(axis=2) < 8).any()  # the curves' colour


@pytest.mark.parametrize("name", ["GTN-LunarLander-v0", "GTN-LunarLanderBandit-v0"])
def test_undrawable_states_are_plotted_per_entry(name, tmp_path):
    pixels = picture(name, tmp_path)
    assert pixels.shape[0] > 600  # nine panels in three rows: eight entries and the reward
    assert (np.abs(pixels.astype(int) - (11, 110, 79)).max(axis=2) < 8).any()


class Blind(CartPoleEnv):
    """A CartPole that declares a render mode but fails to render."""

    def render(self):
        raise RuntimeError("no display")


def test_render_failure_skips_picture_but_rejects_video(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(gym.registry, "Blind-v0", EnvSpec("Blind-v0", Blind, max_episode_steps=20))
    task = make_task("Blind-v0", workers=0)
    teacher = RewardTeacher(task, torch.zeros(4), torch.ones(4), torch.randn(8, 4), seed=0, hidden=(8,))
    tensors = {name: tensor.numpy() for name, tensor in teacher.tensors().items()}
    spaces = {"observation_space": task.spec.observation_space, "action_space": task.spec.action_space}
    save_environment(tmp_path / "reward.safetensors", tensors, teacher.document(**spaces))
    with caplog.at_level("INFO"):
        assert write_episodes(tmp_path, find_environment(str(tmp_path / "reward.safetensors"))) is None
    assert "could not draw episodes: no display" in caplog.text
    with pytest.raises(UsageError, match="cannot render Blind-v0: no display"):
        require_rendering(find_environment("Blind-v0"))


def test_missing_pygame_skips_picture_with_log_entry(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(__import__("sys").modules, "pygame", None)
    with caplog.at_level("INFO"):
        assert write_episodes(tmp_path, find_environment("GTN-CartPole-v0")) is None
    assert "could not draw episodes: " in caplog.text
