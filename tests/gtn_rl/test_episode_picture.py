"""Pictures of what an environment does: drawn states, or curves where a state cannot be drawn."""

import numpy as np
import pytest
from PIL import Image

from gtn_rl.report import write_episodes
from gtn_rl.transfer.environments import find_environment


def picture(name, folder):
    path = write_episodes(folder, find_environment(name))
    assert path == folder / "episodes.png"
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("name", ["GTN-CartPole-v0", "GTN-CartPoleBandit-v0", "GTN-Pendulum-v0"])
def test_states_that_can_be_drawn(name, tmp_path):
    pixels = picture(name, tmp_path)
    assert (pixels != 255).any(axis=2)[:, -250:].any()  # moments fill a row, up to the last one


@pytest.mark.parametrize("name", ["GTN-LunarLander-v0", "GTN-LunarLanderBandit-v0"])
def test_states_that_cannot(name, tmp_path):
    pixels = picture(name, tmp_path)
    assert pixels.shape[0] > 600  # eight entries and the reward, four panels a row
    assert (np.abs(pixels.astype(int) - (11, 110, 79)).max(axis=2) < 8).any()


def test_without_pygame_there_is_a_reason_in_the_log(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(__import__("sys").modules, "pygame", None)
    with caplog.at_level("INFO"):
        assert write_episodes(tmp_path, find_environment("GTN-CartPole-v0")) is None
    assert "no picture of episodes: " in caplog.text
