"""Where the stages of a run store their states and results."""

from __future__ import annotations

from pathlib import Path

from gtn_core.run_folder import RunFolder
from gtn_rl.config import StageConfig

RESULT_KIND = "stage"
"""Kind of the file that a finished stage leaves."""


def stage_folder(run: RunFolder, index: int, stage: StageConfig) -> RunFolder:
    """Returns the folder of a stage of a run; ``index`` counts from 0."""
    return RunFolder(run.stages / f"{index + 1}-{stage.name}", whole=run.path)


def result_file(folder: RunFolder) -> Path:
    """Returns the file that a finished stage leaves in its folder."""
    return folder.path / "result.safetensors"
