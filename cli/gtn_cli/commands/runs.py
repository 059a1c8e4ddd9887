"""``gtn-cli runs``: the runs in a folder, and how far each has come."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gtn_cli import console, options
from gtn_cli.main import echo_json
from gtn_core.errors import GTNError, UsageError

if TYPE_CHECKING:
    from gtn_core.run_folder import RunFolder


@click.command("runs")
@click.argument("folder", default="runs", type=click.Path(path_type=Path))
@options.output_mode
def command(folder: Path, quiet: bool, as_json: bool) -> None:
    """List the runs in a folder (default: runs).

    \b
    Examples:
      gtn-cli runs
      gtn-cli runs /scratch/runs --json
    """
    from gtn_core.run_folder import RunFolder

    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    found = sorted(path.parent for path in folder.glob("**/config.yaml"))
    summaries = [_summary(RunFolder(path)) for path in found]
    if as_json:
        echo_json(summaries)
    elif summaries:
        console.print_table([{key: str(value) for key, value in summary.items()} for summary in summaries])
    else:
        click.echo(f"no runs in {folder}; make one with: gtn-cli meta-train --task digits")


def _summary(run: RunFolder) -> dict[str, Any]:
    summary: dict[str, Any] = {"run": str(run.path)}
    try:
        settings = run.read_config()
        summary |= {key: settings.get(key, "?") for key in ("task", "preset", "seed")}
        return summary | (_stages(run, settings) if "stages" in settings else _progress(run, settings))
    except GTNError as error:
        return {**summary, **dict.fromkeys(("task", "preset", "seed"), "?"), "state": str(error)} | summary


def _progress(run: RunFolder, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns how far a supervised run has come."""
    from gtn_core.checkpoint import load_document

    progress, outer = load_document(run.state, "training-state")["progress"], settings["outer"]
    if outer.get("iterations") is not None:
        done = progress["iteration"] / max(1, outer["iterations"])
    else:
        done = progress["seconds"] / (60 * outer["minutes"])
    state = "done" if done >= 1 else f"{100 * done:.0f}%: resume with --resume {run.path}"
    figures = {"steps": progress["iteration"], "minutes": round(progress["seconds"] / 60, 1)}
    return {**figures, "validation": f"{100 * progress['best']:.2f}%", "state": state}


def _stages(run: RunFolder, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns how far the meta-training of an environment has come."""
    from gtn_core.checkpoint import load_document

    steps, seconds, best = 0, 0.0, float("-inf")
    for path in sorted(run.path.glob("stages/*/state/latest.safetensors")):
        progress = load_document(path, "training-state")["progress"]
        steps, seconds, best = steps + progress["iteration"], seconds + progress["seconds"], progress["best"]
    done, all_stages = len(list(run.path.glob("stages/*/result.safetensors"))), len(settings["stages"])
    state = "done" if done == all_stages else f"{done} of {all_stages} stages: resume with --resume {run.path}"
    return {"steps": steps, "minutes": round(seconds / 60, 1), "validation": f"{best:.1f}", "state": state}
