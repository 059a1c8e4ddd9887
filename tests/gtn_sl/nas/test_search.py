"""Architecture searches: algorithms, budgets, reuse of judgements, and recorded results."""

import json
import math
import re
import shutil
import time
from pathlib import Path

import pytest
import torch

from gtn_core.config import to_dict
from gtn_core.errors import UsageError
from gtn_sl.nas.rankers import Score, Setting, find_ranker
from gtn_sl.nas.rankers.user import UserRanker
from gtn_sl.nas.scorer import score_folder
from gtn_sl.nas.search import Budget, Fidelity, find_search, recorded_search, run_search
from gtn_sl.nas.search.protocol import Search, rungs_of, unseen
from gtn_sl.nas.search.report import SearchTracker, plot_anytime, read_searches, winners_table, write_search
from gtn_sl.nas.spaces import find_space
from gtn_sl.teacher_file import load_teacher, save_teacher


def convolutions(candidate, setting, seed):
    return Score(candidate.encoding.count("c3") + 0.1 * candidate.encoding.count("c1"), steps=3, images=30)


RANKER = UserRanker("mine:convolutions", convolutions)


@pytest.fixture
def macro():
    return Setting.of(find_space("macro-small@operations=2"), "digits")


def search(text, setting, folder, ranker=RANKER, **changes):
    budget = changes.pop("budget", Budget(evaluations=80))
    return run_search(find_search(text), ranker, setting, budget, folder, **changes)


def test_evolution_beats_random_search(tmp_path):
    wide = Setting.of(find_space("macro-small"), "digits")
    best = {
        text: sum(search(text, wide, tmp_path / text, seed=seed).winners[0][1] for seed in range(3))
        for text in ("random", "evolution@population=10,tournament=4")
    }
    assert best["evolution@population=10,tournament=4"] > best["random"]


def test_evolution_mutates_population_and_removes_oldest(macro, tmp_path):
    found = search("evolution@population=4,tournament=2", macro, tmp_path, budget=Budget(evaluations=24))
    texts = [e.architecture.replace("-", ".").split(".") for e in found.history]
    assert len({tuple(text) for text in texts}) == 24
    for index in range(4, 24):
        alive = texts[index - 4 : index]
        assert min(sum(a != b for a, b in zip(texts[index], parent, strict=True)) for parent in alive) == 1


def test_halving_promotes_best_architectures_to_more_steps(macro, tmp_path):
    ranker = find_ranker("real@steps=9,batch_size=8,measure=loss")
    found = search("halving@candidates=9,rungs=3,eta=3", macro, tmp_path, ranker, budget=Budget(evaluations=13))
    names = [e.ranker.split("steps=")[1].partition(",")[0] if "steps=" in e.ranker else "?" for e in found.history]
    assert names == ["1"] * 9 + ["3"] * 3 + ["9"]
    first, second = found.history[:9], found.history[9:12]
    best = sorted(first, key=lambda e: -e.value)[:3]
    assert [e.architecture for e in second] == [e.architecture for e in best]
    assert found.winners == ((found.history[12].architecture, found.history[12].value),)
    assert found.history[11].incumbent is not None


def test_halving_warns_if_fidelity_cannot_be_divided(macro, tmp_path, caplog):
    for spec, words in (("halving@rungs=1", ""), ("halving@eta=2", "becomes a random search: .* nas search --seeds 4")):
        caplog.clear()
        search(spec, macro, tmp_path / spec, budget=Budget(evaluations=3))
        assert bool(re.search(words, caplog.text)) if words else not caplog.text


def test_rungs_divide_steps_or_seeds():
    def steps(text):
        return [fidelity.ranker.steps for fidelity in rungs_of(Fidelity(find_ranker(text)), 3, 3)]

    assert steps("real@steps=27") == [3, 9, 27]
    assert steps("real@steps=2") == [1, 2]
    assert [f.seeds for f in rungs_of(Fidelity(find_ranker("naswot"), 8), 3, 2)] == [2, 4, 8]
    assert [f.seeds for f in rungs_of(Fidelity(RANKER, 1), 3, 2)] == [1]
    with pytest.raises(UsageError, match=r"set them, e\.g\. teacher@file=x,steps=32"):
        steps("teacher@file=x")


@pytest.mark.parametrize(
    ("budget", "count"),
    [({"evaluations": 7}, 7), ({"steps": 10}, 4), ({"images": 95}, 4), ({"steps": 1, "evaluations": 5}, 1)],
)
def test_search_ends_when_first_budget_limit_is_reached(macro, tmp_path, budget, count):
    found = search("random", macro, tmp_path, budget=Budget(**budget))
    assert found.ledger.evaluations == count
    assert found.ledger.steps == 3 * count
    assert found.history[-1].spent["images"] == 30 * count


def test_cpu_seconds_budget_ends_search_once_spent(macro, tmp_path):
    def slow(candidate, setting, seed):
        return Score(1.0, cpu_seconds=0.4)

    found = search("random", macro, tmp_path, UserRanker("mine:slow", slow), budget=Budget(cpu_seconds=2.0))
    assert len(found.history) == 5
    assert found.ledger.cpu_seconds >= 2.0


def test_cpu_seconds_budget_includes_preparation(macro, tmp_path):
    class Prepared(UserRanker):
        def prepare(self, setting):
            started = time.process_time()
            while time.process_time() - started < 0.2:
                pass
            return super().prepare(setting)

    ranker = Prepared("mine:prepared", lambda *_: Score(1.0, cpu_seconds=0.1))
    found = search("random", macro, tmp_path, ranker, budget=Budget(cpu_seconds=0.3))
    assert len(found.history) == 1
    with pytest.raises(UsageError, match="the budget was spent before any architecture was judged"):
        search("random", macro, tmp_path, ranker, budget=Budget(cpu_seconds=0.1))


def test_scores_average_seeds_and_each_seed_is_charged(macro, tmp_path):
    found = search("random", macro, tmp_path, budget=Budget(evaluations=9), seeds=3)
    assert len(found.history) == 3
    assert found.ledger.evaluations == 9
    other = search("random", macro, tmp_path / "b", UserRanker("m:f", lambda c, s, seed: seed % 7), seeds=2)
    assert any(e.value % 1 == 0.5 for e in other.history)


def test_halving_over_seeds_pays_once_for_each_judgement(macro, tmp_path):
    def halved(evaluations):
        budget = Budget(evaluations=evaluations)
        return search("halving@candidates=9,rungs=3,eta=3", macro, tmp_path, budget=budget, seeds=9)

    found = halved(21)
    assert [e.seeds for e in found.history] == [1] * 9 + [3] * 3 + [9]
    assert [e.spent["evaluations"] for e in found.history] == [*range(1, 10), 11, 13, 15, 21]
    assert found.ledger.steps == 3 * 21
    longer = halved(40)
    assert longer.history[:13] == found.history
    assert longer.ledger.evaluations == 40


def test_search_that_asks_for_nothing_new_is_ended(macro, tmp_path, monkeypatch):
    class Stubborn(Search):
        name = "stubborn"

        def run(self, space, best, evaluate, streams):
            first = next(unseen(space, streams.numpy("sample"), set()))
            while True:
                evaluate(first, best)

    monkeypatch.setattr("gtn_sl.nas.search.run.ATTEMPTS", 5)
    found = run_search(Stubborn(), RANKER, macro, Budget(evaluations=4), tmp_path)
    assert (len(found.history), found.ledger.evaluations) == (6, 1)


def test_searches_share_judgements_and_are_charged_for_them(macro, tmp_path):
    asked = []

    def noted(candidate, setting, seed):
        asked.append(candidate.encoding)
        return 1.0

    ranker = UserRanker("mine:noted", noted)
    first = search("random", macro, tmp_path, ranker, budget=Budget(evaluations=20))
    again = search("random", macro, tmp_path, ranker, budget=Budget(evaluations=30))
    assert len(asked) == 30
    assert again.history[:20] == first.history
    assert again.ledger.evaluations == 30
    damaged = score_folder(ranker, macro, tmp_path).path / f"{asked[4]}.json"
    damaged.write_text("{")
    assert search("random", macro, tmp_path, ranker, budget=Budget(evaluations=30)).winners == again.winners
    assert asked[30:] == [asked[4]]


def test_missing_budget_and_unknown_search_are_rejected(macro, tmp_path):
    with pytest.raises(UsageError, match="one or more of evaluations, cpu_seconds, steps, images"):
        search("random", macro, tmp_path, budget=Budget())
    with pytest.raises(UsageError, match="unknown search 'evolve'"):
        find_search("evolve")


def test_budget_that_is_never_spent_is_rejected(tmp_path):
    free = UserRanker("mine:free", lambda candidate, setting, seed: 1.0)
    wide = Setting.of(find_space("macro-small"), "digits")
    with pytest.raises(UsageError, match=r"mine:free uses no steps, .*limit evaluations or cpu_seconds"):
        search("random", wide, tmp_path, free, budget=Budget(steps=5))


def test_recorded_search_is_not_replaced_by_different_one(macro, tmp_path):
    def record(ranker, **facts):
        facts = {"space": macro.space.name, "task": macro.data.task.name, **facts}
        found = find_search("random")
        return recorded_search(found, ranker, macro, Budget(evaluations=2), tmp_path, tmp_path / "random-0", facts)

    first = record(RANKER)
    assert record(RANKER) == first
    kept = (tmp_path / "random-0" / "search.json").read_bytes()
    for ranker, facts in ((find_ranker("parameters"), {}), (RANKER, {"task": "mnist"})):
        with pytest.raises(UsageError, match=r"random-0 already holds a search with .*another folder"):
            record(ranker, **facts)
    assert (tmp_path / "random-0" / "search.json").read_bytes() == kept


def test_search_is_not_replaced_by_smaller_or_changed_one(macro, tmp_path, teacher_file):
    folder = tmp_path / "random-0"

    def record(ranker, evaluations, seeds=1):
        budget = Budget(evaluations=evaluations)
        facts = {"space": macro.space.name, "task": "digits", "budget": to_dict(budget)}
        return recorded_search(find_search("random"), ranker, macro, budget, tmp_path, folder, facts, seeds=seeds)

    record(RANKER, 4)
    assert record(RANKER, 6)["ledger"]["evaluations"] == 6
    with pytest.raises(UsageError, match="random-0 already holds a search with evaluations 6;"):
        record(RANKER, 4)
    with pytest.raises(UsageError, match="random-0 already holds a search with seeds 1;"):
        record(RANKER, 6, seeds=2)
    shutil.rmtree(folder)
    file = Path(shutil.copy(teacher_file, tmp_path))
    record(find_ranker(f"teacher@file={file},steps=1"), 1)
    teacher = load_teacher(file)
    with torch.no_grad():
        teacher.teacher.inner_schedule.log_lr += 1
    save_teacher(file, teacher.teacher, teacher.config, {})
    with pytest.raises(UsageError, match="random-0 already holds a search with teacher"):
        record(find_ranker(f"teacher@file={file},steps=1"), 1)


def test_unknown_teacher_cost_is_omitted_from_search_curves(macro, tmp_path, teacher_file):
    file, facts = load_teacher(teacher_file), {"space": macro.space.name, "task": "digits"}
    save_teacher(tmp_path / "unknown.safetensors", file.teacher, file.config, {})
    ranker = find_ranker(f"teacher@file={tmp_path / 'unknown.safetensors'},steps=1")
    made = recorded_search(
        find_search("random"), ranker, macro, Budget(evaluations=1), tmp_path, tmp_path / "run", facts
    )
    assert made["ledger"]["paid_before"] is None
    (row,) = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert row["cost/steps"] == 1
    assert "cost/paid_before" not in row


def test_search_survives_failure_of_every_judgement(macro, tmp_path):
    found = search("evolution", macro, tmp_path, UserRanker("m:f", lambda *_: math.nan), budget=Budget(evaluations=30))
    assert found.winners == ()
    assert found.history[-1].failure == "the score is nan"
    plot_anytime(tmp_path / "anytime.png", {"evolution-0": write_search(tmp_path, found, {})})


def test_failure_at_best_fidelity_leaves_what_lower_ones_found(macro, tmp_path):
    calls = []

    def fails_at_last(candidate, *_):
        calls.append(candidate)
        return 1 / 0 if len(calls) > 15 else len(candidate.encoding)  # 9 architectures, then 3 with two more seeds

    ranker = UserRanker("m:f", fails_at_last)
    found = search(
        "halving@candidates=9,rungs=3,eta=3", macro, tmp_path, ranker, budget=Budget(evaluations=21), seeds=9
    )
    last = found.history[-1]
    assert (len(found.history), last.seeds) == (13, 9)
    assert "division by zero" in last.failure
    assert len(found.winners) == 9
    assert (last.incumbent, last.incumbent_value) == found.winners[0]


def test_search_retries_user_ranker_failures(macro, tmp_path):
    broken, mended = (UserRanker("m:f", f) for f in (lambda *_: 1 / 0, lambda candidate, *_: len(candidate.encoding)))
    assert search("random", macro, tmp_path, broken, budget=Budget(evaluations=3)).winners == ()
    assert len(search("random", macro, tmp_path, mended, budget=Budget(evaluations=3)).winners) == 3


def test_search_writes_curves_and_damaged_results_are_skipped(macro, tmp_path, caplog):
    tracker = SearchTracker(tmp_path / "run", {"search": "random"})
    found = search("random", macro, tmp_path / "run", budget=Budget(evaluations=6), listener=tracker)
    tracker.close()
    write_search(tmp_path / "run", found, {"space": "macro-small"})
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[-1]["search/best"] == found.winners[0][1]
    searches = read_searches(tmp_path)
    assert searches["run"]["winners"][0][0] == found.winners[0][0]
    assert winners_table(searches["run"], 2)[0]["architecture"] == found.winners[0][0]
    plot_anytime(tmp_path / "anytime.png", searches)
    assert (tmp_path / "anytime.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "more" / "run").mkdir(parents=True)
    (tmp_path / "more" / "run" / "search.json").write_bytes((tmp_path / "run" / "search.json").read_bytes())
    assert list(read_searches(tmp_path)) == ["more/run", "run"]
    for damaged in ("{", "[]", '{"kind": "x"}', '{"kind": "architecture-search"}'):
        (tmp_path / "run" / "search.json").write_text(damaged)
        caplog.clear()
        assert list(read_searches(tmp_path)) == ["more/run"]
        assert "run/search.json is not the result of a search" in caplog.text
