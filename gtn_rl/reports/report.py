"""Writes the report of an environment's meta-training, in the run's report folder."""

from __future__ import annotations

import logging
from pathlib import Path

from gtn_core.run_folder import RunFolder
from gtn_rl.config import RLConfig
from gtn_rl.environments import Environment, find_environment
from gtn_rl.reports.curves import plot_curves
from gtn_rl.reports.episode_curves import plot_episode_curves
from gtn_rl.reports.episode_picture import can_be_drawn, plot_episodes
from gtn_rl.tasks import threshold_of

log = logging.getLogger(__name__)


def write_training_report(run: RunFolder, config: RLConfig) -> None:
    """Writes ``curves.png`` and, unless rendering fails, ``episodes.png``."""
    what = "a reward for" if config.environment.kind == "reward" else "synthetic"
    title = f"{what} {config.task} ({config.environment.kind}): meta-training"
    run.report.mkdir(exist_ok=True)
    plot_curves(run.report / "curves.png", list(run.metric_rows()), title, threshold_of(config.task))
    write_episodes(run.report, find_environment(str(run.teacher)))


def write_episodes(folder: Path, env: Environment) -> Path | None:
    """Writes ``episodes.png``: pictures if states can be drawn, else curves.

    Returns:
        Its path; None, with a line in the log, if rendering failed.
    """
    path = folder / "episodes.png"
    try:
        (plot_episodes if can_be_drawn(env) else plot_episode_curves)(path, env)
    except Exception as error:  # a renderer may raise anything; the environment matters more
        log.info("could not draw episodes: %s", error)
        return None
    return path
