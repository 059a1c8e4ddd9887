"""Draws a few episodes of an environment, with the greedy actions of its reward."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from matplotlib.figure import Figure

from gtn_core.saved_figure import save_figure
from gtn_envs import Weights, load_environment
from gtn_envs.real_picture import is_drawable
from gtn_rl.environments import Environment
from gtn_rl.models.greedy_actions import greedy_action, has_greedy_actions
from gtn_rl.reports.desktop import need_no_desktop

ROWS, COLUMNS, LONGEST = 3, 6, 200


@dataclass(frozen=True)
class Cell:
    """One picture and its caption.

    Attributes:
        caption: Line above the picture.
        picture: (height, width, 3), uint8.
    """

    caption: str
    picture: np.ndarray


def plot_episodes(path: Path, env: Environment, seed: int = 0) -> None:
    """Draws three episodes, one per row, at six moments each.

    For a bandit, whose episodes have one step, eighteen contexts are drawn.

    Args:
        path: PNG file to write.
        env: An environment whose states can be drawn; see ``can_be_drawn``.
        seed: Seed of the episodes.

    Raises:
        gymnasium.error.Error: Rendering needs a package that is not installed.
    """
    assert env.file is not None
    weights = load_environment(env.file)
    rows = _rows(env.id, weights, seed)
    columns = max(map(len, rows))
    figure = Figure(figsize=(2.4 * columns, 0.5 + 1.95 * ROWS), layout="constrained")
    chosen = "rated highest by the reward" if has_greedy_actions(weights) else "at random"
    what = "contexts" if weights.form == "bandit" else "episodes"
    figure.suptitle(f"{env.name} ({weights.form}): {what}, actions {chosen}", x=0.01, ha="left", fontsize=10)
    for panels, cells in zip(figure.subplots(ROWS, columns, squeeze=False), rows, strict=True):
        for axes in panels:
            axes.set_axis_off()
        for axes, cell in zip(panels, cells, strict=False):  # an episode may be short
            axes.imshow(cell.picture)
            axes.set_title(cell.caption, fontsize=8)
    save_figure(figure, path)


def can_be_drawn(env: Environment) -> bool:
    """Returns whether states can be drawn as in the real task: it renders itself, or its observation says it all."""
    if env.file is None:
        return False
    if env.document["form"] != "reward":
        return is_drawable(load_environment(env.file))
    with contextlib.closing(gym.make(env.id, disable_env_checker=True)) as made:  # it steps the real task itself
        return "rgb_array" in made.metadata.get("render_modes", ())


def _rows(id: str, weights: Weights, seed: int) -> list[list[Cell]]:
    need_no_desktop()
    env = gym.make(id, render_mode="rgb_array", disable_env_checker=True)
    env.action_space.seed(seed)
    try:
        if weights.form == "bandit":
            contexts = [_context(env, weights, seed + number) for number in range(ROWS * COLUMNS)]
            return [contexts[row * COLUMNS : (row + 1) * COLUMNS] for row in range(ROWS)]
        return [_some(_episode(env, weights, seed + number), COLUMNS) for number in range(ROWS)]
    finally:
        env.close()


def _context(env: gym.Env, weights: Weights, seed: int) -> Cell:
    observation, _ = env.reset(seed=seed)
    action, picture = _action(env, weights, observation), np.asarray(env.render())
    reward = float(env.step(action)[1])
    return Cell(f"action {_shown(action)}, reward {reward:.2f}", picture)


def _episode(env: gym.Env, weights: Weights, seed: int) -> list[Cell]:
    observation, _ = env.reset(seed=seed)
    total, over = 0.0, False
    cells = [Cell("step 0", np.asarray(env.render()))]
    while not over and len(cells) <= LONGEST:
        action = _action(env, weights, observation)
        observation, reward, terminated, truncated, _ = env.step(action)
        total += float(reward)
        over = terminated or truncated
        caption = f"step {len(cells)}: action {_shown(action)}, return {total:.2f}"
        cells.append(Cell(caption, np.asarray(env.render())))
    return cells


def _action(env: gym.Env, weights: Weights, observation: Any) -> Any:
    return greedy_action(weights, observation) if has_greedy_actions(weights) else env.action_space.sample()


def _shown(action: Any) -> str:
    return str(action) if np.ndim(action) == 0 else np.array2string(action, precision=2)


def _some(cells: list[Cell], count: int) -> list[Cell]:
    """Returns up to ``count`` cells of an episode, evenly spaced, including the last one."""
    places = np.linspace(len(cells) - 1, 0, min(count, len(cells))).round().astype(int)[::-1]
    return [cells[place] for place in places]
