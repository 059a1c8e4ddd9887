"""Rankings by name: each of several rankers scores the same architectures, as ``gtn-cli nas rank`` has them do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from gtn_core.counts import require_counts
from gtn_core.distributed import SingleProcess, World, everywhere
from gtn_core.errors import UsageError
from gtn_sl.nas.candidate import Candidate, choose
from gtn_sl.nas.listener import Listener, counting, silent
from gtn_sl.nas.rankers import Ranker, Setting, find_ranker
from gtn_sl.nas.scoring import Scores, judgement_seeds, rank
from gtn_sl.nas.spaces import find_space
from gtn_sl.nas.specification import each_of


def rank_architectures(
    rankers: str | Iterable[str],
    architectures: str | Iterable[str] = (),
    *,
    space: str = "nb201-small",
    task: str = "mnist",
    count: int | None = None,
    seeds: int = 1,
    seed: int = 0,
    data_dir: str | Path | None = None,
    out: str | Path = Path("runs") / "nas" / "rank",
    listener: Listener = silent,
    world: World | None = None,
) -> list[Scores]:
    """Scores architectures with one or more rankers, as ``gtn-cli nas rank`` does.

    Args:
        rankers: Specifications of rankers, e.g. ``teacher@file=mnist-search,steps=32`` or ``package.module:function``.
        architectures: Encodings of architectures.
        space: Specification of their search space.
        task: The real task, see ``gtn_sl.load_task``.
        count: Number of further architectures, drawn at random; ``None`` for none.
        seeds: Judgements averaged in each score.
        seed: Root seed of all randomness.
        data_dir: Folder of the image files; see ``gtn_sl.load_task``.
        out: Work folder. Judgements that it already holds are read instead of made again.
        listener: Called with a ranker's name, the number of its judgements that are done and of all: before the first
            and after each, on every process.
        world: Processes that share the judgements; all must see the folder.

    Returns:
        The scores of each ranker; ``Scores.order()`` lists the architectures, best first.

    Raises:
        UsageError: A name or an encoding is unknown, no rankers or architectures were asked for, or a number is not
            positive.
        GTNError: A ranker does not support this setting, or a file cannot be read or written. If a ranker fails on one
            architecture, that is recorded, and the architecture ranks last.
    """
    world = world or SingleProcess()

    def asked() -> tuple[list[Ranker], list[Candidate], Setting]:
        require_counts(seeds=seeds)
        known = find_space(space)
        found = find_rankers(rankers)
        return found, choose(known, architectures, count, seed), Setting.of(known, task, data_dir, seed=seed)

    found, candidates, setting = everywhere(world, asked)
    return rank_by_each(found, candidates, setting, seeds, Path(out), listener, world)


def find_rankers(names: str | Iterable[str]) -> list[Ranker]:
    """Returns rankers by their specifications, so that a wrong one fails before any work; see ``find_ranker``.

    Raises:
        UsageError: One is unknown, or there are none.
    """
    found = [find_ranker(name) for name in each_of(names)]
    if not found:
        raise UsageError("no rankers given")
    return found


def rank_by_each(
    rankers: Sequence[Ranker],
    candidates: Sequence[Candidate],
    setting: Setting,
    seeds: int,
    folder: Path,
    listener: Listener,
    world: World,
) -> list[Scores]:
    """Scores architectures with each ranker, ``seeds`` times under the root seed of the setting; see ``rank``."""
    own = judgement_seeds(setting.seed, seeds)
    found = []
    for ranker in rankers:
        after_one = counting(listener, ranker.name, len(candidates) * seeds)
        found.append(rank(ranker, candidates, setting, own, folder, after_one, world))
    return found
