"""A folder of correlations: all rankers with scores in it, compared on one ground truth, as tables and plots."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gtn_core.counts import require_counts
from gtn_core.distributed import SingleProcess, World, everywhere, first
from gtn_core.errors import DataError, UsageError
from gtn_core.markdown import markdown_table
from gtn_core.whole_file import replacing
from gtn_sl.nas.comparison import Comparison, compare, refuse_few, table, to_json
from gtn_sl.nas.comparison_plots import plot_correlations, plot_cost, plot_scatter
from gtn_sl.nas.ground_truth import GroundTruth, find_ground_truth, whole_truth
from gtn_sl.nas.listener import Listener, silent
from gtn_sl.nas.ranker_names import distinct_names
from gtn_sl.nas.rankers import Ranker, Setting
from gtn_sl.nas.ranking import find_rankers, rank_by_each
from gtn_sl.nas.results import result_folders
from gtn_sl.nas.scorer import FIELDS, SCORES
from gtn_sl.nas.scoring import Scores, judgement_seeds, read_scores
from gtn_sl.nas.spaces import find_space
from gtn_sl.nas.step_curves import plot_steps, write_curves

ASKED = "asked.json"


@dataclass(frozen=True)
class Asked:
    """The latest request made of a folder.

    Attributes:
        truth: Name or file of the ground truth.
        seeds: Judgements averaged in each score.
        command: The command line that the user typed.
    """

    truth: str
    seeds: int
    command: str


def read_asked(folder: Path) -> Asked | None:
    """Returns the latest request made of a folder, or ``None`` if there was none.

    Raises:
        DataError: The file is damaged or cannot be read.
    """
    path = folder / ASKED
    try:
        asked = json.loads(path.read_text(encoding="utf-8"))
        return Asked(str(asked["truth"]), int(asked["seeds"]), str(asked["command"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged: {error}; run gtn-cli nas correlate again") from error


def refuse_another_truth(folder: Path, truth: str) -> None:
    """Protects a folder's table from being replaced by that of another ground truth.

    Raises:
        UsageError: The folder holds the table of another ground truth.
        DataError: The record of the latest request is damaged.
    """
    asked = read_asked(folder)
    if asked is not None and asked.truth != truth:
        raise UsageError(
            f"{folder} already holds correlations with {asked.truth}; choose another folder (--out) for {truth}"
        )


def correlate_rankers(
    rankers: str | Iterable[str],
    *,
    truth: str | Path = "nb201-small-mnist",
    seeds: int = 1,
    seed: int = 0,
    data_dir: str | Path | None = None,
    out: str | Path = Path("runs") / "nas" / "correlate",
    listener: Listener = silent,
    command: str = "",
    world: World | None = None,
) -> Comparison:
    """Measures how well rankers order architectures whose accuracy is known, as ``gtn-cli nas correlate`` does.

    Args:
        rankers: Specifications of rankers, e.g. ``teacher@file=mnist-search,steps=32`` or ``package.module:function``.
        truth: Name of a shipped ground truth, or a file that ``make_ground_truth`` has written.
        seeds: Judgements averaged in each score.
        seed: Root seed of all randomness.
        data_dir: Folder of the image files; see ``gtn_sl.load_task``.
        out: Work folder, which gets tables and plots. Judgements that it already holds are read instead of made again.
        listener: Called with a ranker's name, the number of its judgements that are done and of all: before the first
            and after each, on every process.
        command: What asks for the comparison, for the report.
        world: Processes that share the judgements; all must see the folder. The first one writes the report.

    Returns:
        The comparison of all rankers in the folder, also those of earlier calls.

    Raises:
        UsageError: A name is unknown, the ground truth is too small, the folder holds correlations with another one, or
            a number is not positive.
        GTNError: A ranker does not support this setting, a user's own images have changed, or a file cannot be read or
            written.
    """
    world, folder, asked = world or SingleProcess(), Path(out), Asked(whole_truth(str(truth)), seeds, command)

    def found() -> tuple[GroundTruth, list[Ranker], Setting]:
        require_counts(seeds=seeds)
        known = find_ground_truth(asked.truth)
        refuse_few(known)
        known.refuse_other_images()
        judges = find_rankers(rankers)
        refuse_another_truth(folder, asked.truth)
        return known, judges, Setting.of(find_space(known.space), known.task, data_dir, seed=seed)

    known, judges, setting = everywhere(world, found)
    rank_by_each(judges, known.candidates(), setting, seeds, folder, listener, world)
    shared = first(world, lambda: [vars(scores) for scores in _scores(folder, known, asked)])
    comparison = compare(known, [Scores(**scores) for scores in shared], seeds)
    first(world, lambda: _write(folder, comparison, asked))
    return comparison


def write_correlations(folder: Path, asked: Asked) -> Comparison:
    """Writes ``correlate.md``, ``correlate.json``, plots and TensorBoard curves, and returns the comparison they show.

    Raises:
        UsageError: No ranker has scores of all architectures, or the ground truth is unknown or too small.
        DataError: The ground truth's file cannot be read.
    """
    truth = find_ground_truth(asked.truth)
    comparison = compare(truth, _scores(folder, truth, asked), asked.seeds)
    _write(folder, comparison, asked)
    return comparison


def _write(folder: Path, comparison: Comparison, asked: Asked) -> None:
    facts = {"ground truth": asked.truth, "judgements a score": asked.seeds}
    facts |= {"command": asked.command} if asked.command else {}
    _write_tables(folder, comparison, facts)
    for name, plot in (("correlations", plot_correlations), ("scores", plot_scatter), ("cost", plot_cost)):
        plot(folder / f"{name}.png", comparison)
    if not plot_steps(folder / "steps.png", comparison):
        (folder / "steps.png").unlink(missing_ok=True)
    write_curves(folder / "tensorboard", comparison)
    with replacing(folder / ASKED) as file:
        file.write(json.dumps(dataclasses.asdict(asked)).encode())


def _scores(folder: Path, truth: GroundTruth, asked: Asked) -> list[Scores]:
    """Returns the scores of each ranker that has judged every architecture of a ground truth, under distinct names.

    Raises:
        UsageError: There is none.
    """
    found = []
    for results in result_folders(folder / SCORES, FIELDS):
        identity = results.identity()
        if tuple(identity.get(key) for key in ("space", "task", "data")) != (truth.space, truth.task, truth.data):
            continue
        scores = read_scores(results, list(truth.entries), judgement_seeds(int(identity.get("seed", 0)), asked.seeds))
        if scores is not None:
            found.append((identity, scores))
    if not found:
        raise UsageError(f"{folder} holds no ranker's scores for all of {asked.truth} with {asked.seeds} seeds")
    names = distinct_names([identity for identity, _ in found])
    return [dataclasses.replace(scores, ranker=name) for name, (_, scores) in zip(names, found, strict=True)]


def _write_tables(folder: Path, comparison: Comparison, facts: dict[str, Any]) -> None:
    truth = comparison.truth
    lines = [f"# Rankers of {truth.space} on {truth.task}", "", *(f"- {key}: {value}" for key, value in facts.items())]
    with replacing(folder / "correlate.md") as file:
        file.write(("\n".join([*lines, "", *markdown_table(table(comparison))]) + "\n").encode())
    with replacing(folder / "correlate.json") as file:
        file.write(json.dumps({**facts, **to_json(comparison)}, indent=1).encode())
