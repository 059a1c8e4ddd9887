"""What a person finds in a run's report folder after the meta-training of an environment."""

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
    """Writes ``curves.png`` and, where the environment can be drawn, ``episodes.png``."""
    what = "a reward for" if config.environment.kind == "reward" else "synthetic"
    title = f"{what} {config.task} ({config.environment.kind}): meta-training"
    run.report.mkdir(exist_ok=True)
    plot_curves(run.report / "curves.png", list(run.metric_rows()), title, threshold_of(config.task))
    write_episodes(run.report, find_environment(str(run.teacher)))


def write_episodes(folder: Path, env: Environment) -> Path | None:
    """Writes ``episodes.png`` and returns where; None, and a line in the log, where there can be no picture."""
    path = folder / "episodes.png"
    try:
        (plot_episodes if can_be_drawn(env) else plot_episode_curves)(path, env)
    except Exception as error:  # whatever a renderer raises: the environment is made, and worth more
        log.info("no picture of episodes: %s", error)
        return None
    return path
