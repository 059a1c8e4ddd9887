"""The default folder for a command's report on a teacher or an environment. Does not import torch."""

from __future__ import annotations

from pathlib import Path


def folder_beside(file: Path) -> Path:
    """Returns ``report/`` of the run that the file belongs to, else a folder beside the file with its name."""
    from gtn_core.run_folder import RunFolder

    run = RunFolder(file.parent)
    return run.report if run.teacher == file and run.config.is_file() else file.with_suffix("")
