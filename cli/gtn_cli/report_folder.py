"""Where a command puts what it tells of a teacher or an environment, unless the user names a folder. Imports no torch."""

from __future__ import annotations

from pathlib import Path


def folder_beside(file: Path) -> Path:
    """Returns ``report/`` of the run whose teacher a file is, else a folder beside it that is called like the file."""
    from gtn_core.run_folder import RunFolder

    run = RunFolder(file.parent)
    return run.report if run.teacher == file and run.config.is_file() else file.with_suffix("")
