"""Re-testing a claim: its meta-trainings, its measurements and the report, in a folder that can be resumed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from gtn_core.config import to_dict
from gtn_core.device import resolve_device
from gtn_core.errors import UsageError
from gtn_core.folder import make_folder, refuse_other_files
from gtn_core.whole_file import replacing
from gtn_sl.claims.lab import TRAINING_SHARE, Lab, Made, Show
from gtn_sl.claims.protocol import CLAIMS, Evidence, Run
from gtn_sl.claims.report import write_report
from gtn_sl.claims.scale import Scale, find_scale
from gtn_sl.config import MetaTrainConfig, resolve_config
from gtn_sl.data import find_task, load_task, whole_name
from gtn_sl.presets import alike

SETTINGS = "settings"
"""Key in a study's identity of the digest of everything else that its results depend on."""


@dataclass(frozen=True)
class Setup:
    """What the user asked for.

    Attributes:
        claim: A name in ``CLAIMS``.
        scale: The budget.
        task: As in ``gtn_sl.data.find_task``; ``None`` takes the scale's.
        minutes: Limit on the whole study; ``None`` takes the scale's outer steps.
        seed: Root of all randomness.
        device: Device to compute on.
        data_dir: Folder of the image files.
    """

    claim: str
    scale: Scale
    task: str | None = None
    minutes: float | None = None
    seed: int = 0
    device: str = "auto"
    data_dir: Path | None = None

    @property
    def task_name(self) -> str:
        """Name of the task."""
        return self.task or self.scale.task

    def identity(self) -> dict[str, Any]:
        """Returns everything that a folder's results depend on."""
        asked = {"claim": self.claim, "budget": self.scale.name, "task": whole_name(self.task_name)}
        return {**asked, "minutes": self.minutes, "seed": self.seed, SETTINGS: _digest(self)}


def reproduce_claim(
    claim: str,
    *,
    budget: str = "small",
    task: str | None = None,
    minutes: float | None = None,
    seed: int = 0,
    device: str = "auto",
    data_dir: str | Path | None = None,
    out: str | Path | None = None,
    listener: Show = lambda share, text: None,
    command: str = "",
) -> dict[str, Any]:
    """Re-tests a claim of the paper, as ``gtn-cli reproduce`` does; the same call resumes an interrupted study.

    Args:
        claim: Name of the claim, e.g. ``"curriculum"``.
        budget: ``"small"``, for minutes on two CPU cores, or ``"full"``, the paper's setting.
        task: The image task, see ``load_task``; ``None`` for the budget's: digits, with the full one mnist.
        minutes: Time limit in minutes, of which all meta-trainings share four fifths; ``None`` for the budget's outer
            steps.
        seed: Root seed of all randomness.
        device: Device to compute on.
        data_dir: Folder of the image files; see ``load_task``.
        out: The study's folder; ``None`` for ``runs/reproduce/CLAIM-TASK-BUDGET``.
        listener: Called with the share of the work that is done and what is being done.
        command: What asks for the study, for the report.

    Returns:
        The report, as ``CLAIM.json`` has it, e.g. ``held``, ``saw``, ``cannot show`` and ``table``; and ``folder``.

    Raises:
        GTNError: A name is unknown, the folder holds something else, data are missing, or a run diverged too early.
    """
    folder = study_folder(claim, budget, task) if out is None else Path(out)
    place = None if data_dir is None else Path(data_dir)
    setup = Setup(claim, find_scale(budget), task, minutes, seed, device, place)
    return {**reproduce(setup, folder, listener, command), "folder": str(folder)}


def study_folder(claim: str, budget: str, task: str | None) -> Path:
    """Returns the default folder of a study, ``runs/reproduce/CLAIM-TASK-BUDGET``.

    Raises:
        UsageError: The budget or the task is unknown.
    """
    scale = find_scale(budget)
    return Path("runs") / "reproduce" / f"{claim}-{find_task(task or scale.task).slug}-{budget}"


def reproduce(setup: Setup, folder: Path, show: Show, command: str = "") -> dict[str, Any]:
    """Re-tests a claim, or resumes an interrupted study.

    Args:
        setup: What the user asked for.
        folder: The study's folder; ``CLAIM.json``, ``CLAIM.md`` and ``CLAIM.png`` are the report.
        show: Called with progress.
        command: What the user typed.

    Returns:
        The report, as JSON values.

    Raises:
        GTNError: A name is unknown, the folder holds something else, data are missing, or a run diverged too early.
    """
    claim, base = CLAIMS[setup.claim](), _base(setup)
    runs, configs = claim.runs(base, setup.scale), settings(setup)
    data = load_task(base.task, base.data_dir)
    _claim_folder(folder, setup)
    lab = Lab(folder, base, setup.scale, data, show)
    made = _train(lab, runs, configs, command, show)
    measured = json.loads(json.dumps(claim.measure(lab, made)))
    evidence = Evidence(lab, made, measured)
    facts = {key: value for key, value in setup.identity().items() if key != SETTINGS}
    return write_report(setup.claim, claim, evidence, {**facts, "command": command})


def _digest(setup: Setup) -> str:
    """Returns a digest of all else that results depend on: settings of the runs, the scale, the user's own images."""
    runs = [{**to_dict(config), "compute": None, "data_dir": None} for config in settings(setup).values()]
    text = json.dumps([runs, dataclasses.asdict(setup.scale)], sort_keys=True, default=str)
    text += find_task(setup.task_name).digest or ""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def settings(setup: Setup) -> dict[str, MetaTrainConfig]:
    """Returns the settings of each meta-training, by name.

    Raises:
        UsageError: A name or a value is not accepted.
    """
    runs = CLAIMS[setup.claim]().runs(_base(setup), setup.scale)
    whole = sum(run.share for run in runs)
    return {run.name: _config(setup, run, Fraction(run.share, whole)) for run in runs}


def _train(
    lab: Lab, runs: Sequence[Run], configs: Mapping[str, MetaTrainConfig], command: str, show: Show
) -> dict[str, Made]:
    made: dict[str, Made] = {}
    whole, before = sum(run.share for run in runs), 0
    for run in runs:

        def shown(part: float, figures: str, run: Run = run, before: int = before, place: int = len(made) + 1) -> None:
            done = (before + part * run.share) / whole
            show(TRAINING_SHARE * done, f"{run.name} ({place} of {len(runs)}), {figures}")

        made[run.name] = lab.train(run.name, configs[run.name], command, shown)
        before += run.share
    return made


def _base(setup: Setup) -> MetaTrainConfig:
    """Returns the settings that all runs share; their budget is not set yet."""
    budget: dict[str, Any] = {"iterations": 1} if setup.scale.steps.get(_alike(setup)) else {}
    return _resolved(setup, {"outer": budget})


def _config(setup: Setup, run: Run, part: Fraction) -> MetaTrainConfig:
    """Returns the settings of one run, which has this part of the budget."""
    steps = setup.scale.steps.get(_alike(setup))
    budget: dict[str, Any] = {"iterations": max(1, int(part * steps / run.step_cost))} if steps else {}
    if setup.minutes is not None:
        budget = {"minutes": float(part) * TRAINING_SHARE * setup.minutes}
    config = _resolved(setup, run.settings, {"outer": budget})
    return dataclasses.replace(config, seed=(setup.seed * setup.scale.seeds + run.seed) % 2**63)  # unique to the study


def _alike(setup: Setup) -> str:
    return alike(find_task(setup.task_name))


def _resolved(setup: Setup, *layers: Mapping[str, Any]) -> MetaTrainConfig:
    task, scale = setup.task_name, setup.scale
    place = {
        "seed": setup.seed,
        "data_dir": str(setup.data_dir.absolute()) if setup.data_dir else None,
        "compute": {"device": resolve_device(setup.device)},
    }
    return resolve_config(task, scale.preset, scale.settings.get(_alike(setup), {}), *layers, place)


def _claim_folder(folder: Path, setup: Setup) -> None:
    """Creates the folder, or checks that an existing one belongs to this study.

    Raises:
        UsageError: It cannot be created, or holds something else.
    """
    path, asked = folder / "study.json", setup.identity()
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found != asked:
            differing = [key for key in asked if key != SETTINGS and found.get(key) != asked[key]]
            if not differing:
                raise UsageError(
                    f"{folder} already holds a study with settings of another version; choose another --out"
                )
            was = ", ".join(f"{key} {found.get(key)}" for key in differing)
            now = ", ".join(f"{key} {asked[key]}" for key in differing)
            raise UsageError(f"{folder} already holds a study of {was}, not {now}; choose another --out")
        return
    refuse_other_files(folder, path.name)
    with replacing(make_folder(folder) / path.name) as file:
        file.write(json.dumps(asked, indent=1).encode())
