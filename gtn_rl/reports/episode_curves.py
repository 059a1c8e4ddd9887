"""Plots an environment whose states cannot be drawn: observations and rewards over the steps of random episodes."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gtn_core.saved_figure import save_figure
from gtn_rl.environments import Environment

EPISODES, MOST = 40, 11
"""Number of episodes shown, and maximum number of observation entries."""

LINE, COLUMNS = "#0b6e4f", 4


def plot_episode_curves(path: Path, env: Environment, seed: int = 0) -> None:
    """Plots one panel per entry of the observation and one for the reward, with one line per episode.

    For a bandit, whose episodes have one step, each panel is a histogram over contexts.

    Args:
        path: PNG file to write.
        env: A synthetic environment.
        seed: Seed of the episodes and of the uniform random actions.
    """
    states, rewards = _episodes(env, 25 * EPISODES if env.document["form"] == "bandit" else EPISODES, seed)
    shown = min(MOST, states[0].shape[1])
    rows = -(-(shown + 1) // COLUMNS)
    figure = Figure(figsize=(3.2 * COLUMNS, 0.6 + 2.2 * rows), layout="constrained")
    left_out = f" (the first {shown} of {states[0].shape[1]})" if shown < states[0].shape[1] else ""
    what = f"{env.name} ({env.document['form']}): observations{left_out} and rewards of {len(states)} episodes, random actions"
    figure.suptitle(what, x=0.01, ha="left", fontsize=10)
    panels = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
    for entry, axes in enumerate(panels[:shown]):
        _panel(axes, f"observation {entry}", [episode[:, entry] for episode in states], first=0)
    _panel(panels[shown], "reward", rewards, first=1)
    for axes in panels[shown + 1 :]:
        axes.set_axis_off()
    save_figure(figure, path)


def _panel(axes: Axes, title: str, episodes: list[np.ndarray], first: int) -> None:
    """Plots one value over the steps of episodes; its first entry belongs to step ``first``."""
    axes.set_title(title, fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    if max(len(episode) for episode in episodes) == 1:
        axes.hist(np.concatenate(episodes), bins=30, color=LINE)
        return
    for episode in episodes:
        axes.plot(
            np.arange(len(episode)) + first, episode, color=LINE, alpha=0.4, linewidth=1, marker=".", markersize=3
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("step", fontsize=8)


def _episodes(env: Environment, count: int, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Returns each episode's observations, (steps + 1, d), or (1, d) for a bandit, and its rewards, (steps,)."""
    made = gym.make(env.id, disable_env_checker=True)
    made.action_space.seed(seed)
    states, rewards = [], []
    for number in range(count):
        observation, _ = made.reset(seed=seed + number)
        seen, earned, over = [np.ravel(observation)], [], False
        while not over:
            observation, reward, terminated, truncated, _ = made.step(made.action_space.sample())
            seen.append(np.ravel(observation))
            earned.append(float(reward))
            over = terminated or truncated
        states.append(np.stack(seen[:1] if env.document["form"] == "bandit" else seen))
        rewards.append(np.array(earned))
    made.close()
    return states, rewards
