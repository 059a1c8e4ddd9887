"""Runs a search. Judgements are kept as files, so that an interrupted search can be resumed."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gtn_core.errors import UsageError
from gtn_core.seeding import Streams
from gtn_sl.nas.candidate import Candidate
from gtn_sl.nas.rankers import Ranker, Setting
from gtn_sl.nas.scorer import Scorer
from gtn_sl.nas.search.ledger import Budget, Ledger
from gtn_sl.nas.search.protocol import ATTEMPTS, BudgetSpent, Fidelity, Search
from gtn_sl.nas.spaces import Genotype

FREE = 100
"""Judgements after which a search that has spent none of its budget, e.g. because they all fail, is stopped."""


@dataclass(frozen=True)
class Evaluation:
    """One evaluated architecture of a search.

    Attributes:
        architecture: Encoding of the architecture.
        ranker: Specification of the ranker at this fidelity.
        seeds: Judgements averaged in the score.
        value: The score; ``None`` if a judgement failed.
        failure: Reason for the first failure; ``None`` if there was none.
        incumbent: Encoding of the best architecture so far at the best fidelity, or at others while none was judged at
            that.
        incumbent_value: Score of the incumbent.
        spent: The ledger after this evaluation; ``None`` for unknown costs.
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
    """The result of a search.

    Attributes:
        search: Specification of the search.
        ranker: Specification of the ranker that decides the winners.
        seed: Root seed of the search.
        history: Every evaluation, in order.
        winners: Architectures judged at the best fidelity (if none, at any) with their scores, best first, no failures.
        ledger: What the search spent.
    """

    search: str
    ranker: str
    seed: int
    history: tuple[Evaluation, ...]
    winners: tuple[tuple[str, float], ...]
    ledger: Ledger

    def to_json(self) -> dict[str, Any]:
        """Returns the result as JSON values."""
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
    """Runs a search; an interrupted one is resumed by running it again, which reuses its judgements.

    Args:
        search: The search.
        ranker: The ranker that judges.
        setting: Space, task and images.
        budget: The budget; reused judgements are charged at their original cost.
        folder: Work folder. Searches with the same work folder share judgements, but each is charged, once, for every
            one that it requests.
        seed: Root seed of the search and of the seeds that architectures are judged with.
        seeds: Judgements averaged in each score.
        listener: Called as ``listener(evaluation, spent fraction of the budget)`` after each evaluation.

    Raises:
        UsageError: There is no budget, it is spent before one architecture is judged, or the ranker never uses it up;
            or the search and the ranker are incompatible.
        GTNError: The ranker does not support this setting, or a file cannot be written.
    """
    budget.limits()
    evaluator = _Evaluator(Fidelity(ranker, seeds), setting, budget, folder, seed, listener)
    with contextlib.suppress(BudgetSpent):
        search.run(setting.space, evaluator.best, evaluator, Streams(seed))
    if not evaluator.history:
        raise UsageError("the budget was spent before any architecture was judged")
    return Found(search.name, ranker.name, seed, tuple(evaluator.history), evaluator.winners(), evaluator.ledger)


class _Evaluator:
    """Judges architectures for a search and records history and costs."""

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
        self._paid: set[tuple[str, str, int]] = set()  # ranker, architecture and seed of each judgement
        self._repeats = 0  # consecutive evaluations that were paid for before

    def __call__(self, genotype: Genotype, fidelity: Fidelity) -> float:
        """See ``Evaluate``."""
        candidate = Candidate(self.setting.space, genotype)
        scorer, paid = self._scorer(fidelity.ranker), len(self._paid)
        values, failure = [], None
        for number in range(fidelity.seeds):
            if self.ledger.share(self.budget) >= 1 or self._repeats >= ATTEMPTS:
                raise BudgetSpent
            seed = self.streams.seed("judgement", number)
            run = scorer.run(candidate, seed)
            self._pay_once((fidelity.ranker.name, candidate.encoding, seed), run)
            self._refuse_for_ever(fidelity.ranker)
            failure = failure or run["failure"]
            values.append(run["value"])
        self._repeats = self._repeats + 1 if len(self._paid) == paid else 0
        value = -math.inf if failure else sum(values) / len(values)
        (self._scores if fidelity == self.best else self._glances)[candidate.encoding] = value
        self._record(candidate.encoding, fidelity, value, failure)
        return value

    def _pay_once(self, judgement: tuple[str, str, int], run: Mapping[str, Any]) -> None:
        """Charges a judgement unless this search has paid for it, e.g. on a lower rung of successive halving."""
        if judgement not in self._paid:
            self._paid.add(judgement)
            self.ledger.pay(run)

    def _refuse_for_ever(self, ranker: Ranker) -> None:
        """Raises UsageError if ``FREE`` judgements have used none of the budget, so that the search would never end."""
        if self.ledger.evaluations >= FREE and not self.ledger.share(self.budget):
            limited = " and ".join(self.budget.limits())
            raise UsageError(
                f"{ranker.name} uses no {limited}, so this budget would never be spent; limit evaluations or cpu_seconds"
            )

    def winners(self) -> tuple[tuple[str, float], ...]:
        """Returns encodings and scores at the best fidelity (if there are none, at any), best first; no failures."""
        return tuple(sorted(self._known(), key=lambda pair: -pair[1]))

    def _known(self) -> list[tuple[str, float]]:
        for scores in (self._scores, self._glances):
            if known := [(text, value) for text, value in scores.items() if math.isfinite(value)]:
                return known
        return []

    def _scorer(self, ranker: Ranker) -> Scorer:
        """Returns the scorer of a ranker; its first use is charged for preparation."""
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
