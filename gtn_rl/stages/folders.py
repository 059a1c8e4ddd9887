"""Where the stages of a run leave what they need and what they came to."""

from __future__ import annotations

from pathlib import Path

from gtn_core.run_folder import RunFolder
from gtn_rl.config import StageConfig

RESULT_KIND = "stage"
"""Of the file that a finished stage leaves."""


def stage_folder(run: RunFolder, index: int, stage: StageConfig) -> RunFolder:
    """Returns the folder of a run's stage; ``index`` counts from 0."""
    return RunFolder(run.path / "stages" / f"{index + 1}-{stage.name}", whole=run.path)


def result_file(folder: RunFolder) -> Path:
    """Returns the file that a stage leaves in its folder when it has ended."""
    return folder.path / "result.safetensors"
