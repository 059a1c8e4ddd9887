"""One search from beginning to end: judgements are kept as files, so that the same search goes on where it stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gtn_core.errors import UsageError
from gtn_core.seeding import Streams
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.rankers import Ranker, Setting
from gtn_sl.nas.scorer import Scorer
from gtn_sl.nas.search.ledger import Budget, Ledger
from gtn_sl.nas.search.protocol import BudgetSpent, Fidelity, Search
from gtn_sl.nas.spaces import Genotype

FREE = 100
"""Judgements that may cost nothing of the budget, e.g. because they fail."""


@dataclass(frozen=True)
class Evaluation:
    """One judgement of a search.

    Attributes:
        architecture: Encoding.
        ranker: Specification of the ranker, at this fidelity.
        seeds: Of how many judgements the score is the mean.
        value: The score; ``None`` where it failed.
        failure: Why.
        incumbent: Encoding of the best architecture so far, at the best fidelity so far reached.
        incumbent_value: Its score.
        spent: The ledger after it; ``None`` for what nobody knows.
    """

    architecture: str
    ranker: str
    seeds: int
    value: float | None
    failure: str | None
    incumbent: str | None
    incumbent_value: float | None
    spent: dict[str, float | None]


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        search: Its specification.
        ranker: Specification of the ranker that winners are chosen by.
        seed: Root of its randomness.
        history: Every judgement, in order.
        winners: Architectures judged at the best fidelity by score, the best first.
        ledger: What it spent.
    """

    search: str
    ranker: str
    seed: int
    history: tuple[Evaluation, ...]
    winners: tuple[tuple[str, float], ...]
    ledger: Ledger

    def to_json(self) -> dict[str, Any]:
        """Returns everything as JSON values."""
        return dataclasses.asdict(self)


def run_search(
    search: Search,
    ranker: Ranker,
    setting: Setting,
    budget: Budget,
    folder: Path,
    *,
    seed: int = 0,
    seeds: int = 1,
    listener: Callable[[Evaluation, float], object] | None = None,
) -> Found:
    """Searches, or goes on with a search that was interrupted: it is run again, and what is known is not judged again.

    Args:
        search: How.
        ranker: Who judges.
        setting: Where.
        budget: What it may spend; what earlier runs of this very search spent counts.
        folder: A folder of work. Searches that share one share their judgements, too, and each pays for what it asks.
        seed: Root of the search's randomness, and of the seeds that architectures are judged with.
        seeds: Judgements that a score is the mean of.
        listener: Called after each judgement with it and the share of the budget that is spent.

    Raises:
        UsageError: There is no budget, or search and ranker do not go together.
        GTNError: The ranker cannot judge here, or a file cannot be written.
    """
    budget.limits()
    evaluator = _Evaluator(Fidelity(ranker, seeds), setting, budget, folder, seed, listener)
    with contextlib.suppress(BudgetSpent):
        search.run(setting.space, evaluator.best, evaluator, Streams(seed))
    if not evaluator.history:
        raise UsageError("the budget was spent before one architecture was judged")
    return Found(search.name, ranker.name, seed, tuple(evaluator.history), evaluator.winners(), evaluator.ledger)


class _Evaluator:
    """Judges for a search and keeps its books."""

    def __init__(
        self,
        best: Fidelity,
        setting: Setting,
        budget: Budget,
        folder: Path,
        seed: int,
        listener: Callable[[Evaluation, float], object] | None,
    ) -> None:
        self.best, self.setting, self.budget, self.folder = best, setting, budget, folder
        self.streams, self.listener = Streams(seed), listener
        self.ledger, self.history = Ledger(), list[Evaluation]()
        self._scorers: dict[str, Scorer] = {}
        self._scores: dict[str, float] = {}  # at the best fidelity
        self._glances: dict[str, float] = {}  # at others

    def __call__(self, genotype: Genotype, fidelity: Fidelity) -> float:
        """See ``Evaluate``."""
        candidate = Candidate(self.setting.space, genotype)
        scorer = self._scorer(fidelity.ranker)
        values, failure = [], None
        for number in range(fidelity.seeds):
            if self.ledger.share(self.budget) >= 1:
                raise BudgetSpent
            run = scorer.run(candidate, self.streams.seed("judgement", number))
            self.ledger.pay(run)
            self._refuse_for_ever(fidelity.ranker)
            failure = failure or run["failure"]
            values.append(run["value"])
        value = -math.inf if failure else sum(values) / len(values)
        (self._scores if fidelity == self.best else self._glances)[candidate.encoding] = value
        self._record(candidate.encoding, fidelity, value, failure)
        return value

    def _refuse_for_ever(self, ranker: Ranker) -> None:
        """Raises UsageError where nothing of the budget is spent, so that the search would never end."""
        if self.ledger.evaluations >= FREE and not self.ledger.share(self.budget):
            limited = " and ".join(self.budget.limits())
            raise UsageError(
                f"{ranker.name} takes no {limited}, which would never be used up: limit evaluations or cpu_seconds"
            )

    def winners(self) -> tuple[tuple[str, float], ...]:
        """Returns what was judged at the best fidelity, or at all where nothing was, the best first and no failures."""
        return tuple(sorted(self._known(), key=lambda pair: -pair[1]))

    def _known(self) -> list[tuple[str, float]]:
        judged = self._scores or self._glances
        return [(text, value) for text, value in judged.items() if math.isfinite(value)]

    def _scorer(self, ranker: Ranker) -> Scorer:
        """Returns the scorer of a ranker; the first time, what it cost to prepare is paid."""
        if ranker.name not in self._scorers:
            scorer = self._scorers[ranker.name] = Scorer(ranker, self.setting, self.folder)
            prepared, before = scorer.costs()
            self.ledger.cpu_seconds += prepared
            paid = self.ledger.paid_before
            self.ledger.paid_before = None if paid is None or before is None else max(paid, before)
        return self._scorers[ranker.name]

    def _record(self, encoding: str, fidelity: Fidelity, value: float, failure: str | None) -> None:
        incumbent, best = max(self._known(), key=lambda pair: pair[1], default=(None, None))
        evaluation = Evaluation(
            architecture=encoding,
            ranker=fidelity.ranker.name,
            seeds=fidelity.seeds,
            value=value if failure is None else None,
            failure=failure,
            incumbent=incumbent,
            incumbent_value=best,
            spent=dataclasses.asdict(self.ledger),
        )
        self.history.append(evaluation)
        if self.listener is not None:
            self.listener(evaluation, self.ledger.share(self.budget))
