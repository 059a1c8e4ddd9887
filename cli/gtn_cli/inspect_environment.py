"""``gtn-cli inspect`` for a synthetic environment: the file, the stages that made it, their cost, and a picture."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from gtn_cli import console
from gtn_cli.drawn import drawn
from gtn_cli.environment_file import environment_file
from gtn_cli.json_output import echo_json
from gtn_cli.report_folder import folder_beside
from gtn_core.errors import GTNError

if TYPE_CHECKING:
    from gtn_envs import Weights
    from gtn_rl.natures import StageNature

HEADER = (
    *("form", "task", "max_episode_steps", "limit_terminates", "regret", "reward_reads_action"),
    *("activation", "reward_mode", "gamma", "command", "seed", "version"),
)
"""Entries of the file's document that are shown unchanged."""


def show_environment(path: Path, out: Path | None, *, quiet: bool, as_json: bool) -> None:
    """Prints an environment and writes ``episodes.png``; for a shipped environment only if ``out`` is given.

    Raises:
        GTNError: The file is invalid, or the folder ``out`` cannot be created.
    """
    import gtn_envs
    from gtn_rl.provenance import stages_of

    file = environment_file(path)
    try:
        weights = gtn_envs.load_environment(file)
    except gtn_envs.WeightsError as error:
        raise GTNError(str(error)) from error
    assert weights.path is not None
    usual = folder_beside(file) if file.is_file() else None  # None for a shipped id
    picture = drawn(out, usual, functools.partial(_picture, file))
    document = weights.document
    sizes = {name: list(tensor.shape) for name, tensor in weights.tensors.items()}
    facts = {
        "file": str(weights.path),
        "bytes": weights.path.stat().st_size,
        "numbers": sum(tensor.size for tensor in weights.tensors.values()),
        "observations": _space(weights.observation_space),
        "actions": _space(weights.action_space),
        **{key: document[key] for key in HEADER if document.get(key) is not None},
    }
    if as_json:
        provenance = {key: document[key] for key in ("stages", "metrics", "config", "start") if key in document}
        echo_json({**facts, **provenance, "tensors": sizes, "picture": str(picture) if picture else None})
        return
    console.print_table([{"": key, "value": str(value)} for key, value in facts.items()])
    if stages := stages_of(document):
        console.print_table(_stage_rows(stages), "stages: real return of held-out agents (for fit: explained variance)")
    if not quiet:
        _print_details(weights, sizes)
    if picture and not quiet:
        click.echo(f"picture: {picture}")


def _print_details(weights: Weights, sizes: Mapping[str, Sequence[int]]) -> None:
    from gtn_core.tracking import flatten

    document = weights.document
    told = flatten(document.get("metrics") or {})
    metrics = {key: value for key, value in told.items() if not key.startswith("meta_")}  # costs are in the stage table
    if metrics:
        console.print_table([{"metric": key, "value": _number(value)} for key, value in metrics.items()])
    if config := document.get("config"):
        stages = {f"{i + 1}-{stage.get('name')}": _own(stage) for i, stage in enumerate(config.get("stages", []))}
        settings = flatten({**config, "stages": stages})
        console.print_table([{"setting": key, "value": str(value)} for key, value in settings.items()])
    console.print_table([{"tensor": name, "shape": str(tuple(shape))} for name, shape in sizes.items()])


def _own(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that a stage uses; ``gradient`` only if the stage differentiates through the inner loop."""
    differentiates = _nature(stage).differentiates
    return {key: value for key, value in stage.items() if key != "gradient" or differentiates}


def _nature(stage: Mapping[str, Any]) -> StageNature:
    """Returns a stage's nature; for a name that this version does not know, that of an ordinary stage."""
    from gtn_rl.natures import NATURES, StageNature

    return NATURES.get(str(stage.get("name")), StageNature())


def _stage_rows(stages: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Returns a row for each stage and, if all costs are known, one for their sum."""
    rows = [
        {
            "stage": str(stage.get("name", "?")),
            "before": _number(stage.get("before")) if _nature(stage).changes else "",
            "after": _number(stage.get("score")),
            "kept": _kept(stage),
            "outer steps": _number(stage.get("outer_steps")),
            "real steps": _number(stage.get("real_steps")),
            "CPU-seconds": _number(stage.get("cpu_seconds")),
        }
        for stage in stages
    ]
    summed = ("outer_steps", "real_steps", "cpu_seconds")
    if all(key in stage for stage in stages for key in summed):
        outer, real, cpu = (_number(sum(stage[key] for stage in stages)) for key in summed)
        blank = dict.fromkeys(rows[0], "")
        rows.append({**blank, "stage": "all", "outer steps": outer, "real steps": real, "CPU-seconds": cpu})
    return rows


def _kept(stage: Mapping[str, Any]) -> str:
    if stage.get("kept") is None or not _nature(stage).changes:
        return ""
    return "yes" if stage["kept"] else "no"


def _number(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:,.4g}"


def _space(space: Any) -> str:
    """Returns a space as one line of text; a bound that is equal in all dimensions is given once."""
    if not hasattr(space, "low"):
        return str(space)
    low, high = (
        f"{bound.flat[0]:.4g}" if np.unique(bound).size == 1 else "[" + ", ".join(f"{v:.4g}" for v in bound.flat) + "]"
        for bound in (space.low, space.high)
    )
    return f"Box{space.shape} of {space.dtype}, from {low} to {high}"


def _picture(file: Path, folder: Path) -> Path | None:
    from gtn_rl.environments import find_environment
    from gtn_rl.reports.report import write_episodes

    return write_episodes(folder, find_environment(str(file)))
