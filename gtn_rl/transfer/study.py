"""A transfer study from beginning to end: the agents that are missing are trained, and all of them put together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gtn_core.workers import run_jobs
from gtn_rl.transfer.agents import Job, run_job
from gtn_rl.transfer.environments import Environment
from gtn_rl.transfer.outcome import Transfer, conclude
from gtn_rl.transfer.plan import TransferPlan, check, jobs_of
from gtn_rl.transfer.results_file import ResultsFile


def study(
    env: Environment, task: str, plan: TransferPlan, folder: Path, advance: Callable[[str, int, int], None]
) -> Transfer:
    """Trains and judges every agent that ``folder`` does not hold already.

    Args:
        env: Where the agents train.
        task: Id of the real task.
        plan: What to do.
        folder: Where ``agents.jsonl`` is, and the untrained teachers.
        advance: Called with an agent's title, the number of agents done and their total, after each.

    Raises:
        UsageError: An algorithm or a setting does not fit.
        GTNError: An agent failed; what was done before is kept.
    """
    check(env, task, plan)
    results = ResultsFile(folder)
    with results.locked():
        jobs = list(jobs_of(env, task, plan, folder))
        missing = [job for job in jobs if results.get(job) is None]
        finished = len(jobs) - len(missing)
        advance("", finished, len(jobs))

        def keep(job: Job, result: dict[str, Any]) -> None:
            nonlocal finished
            results.add(job, result)
            finished += 1
            advance(job.title, finished, len(jobs))

        if missing:
            run_jobs(run_job, missing, plan.workers, keep, lambda job: job.title)
    done = [(job, result) for job in jobs if (result := results.get(job)) is not None]
    return conclude(env, task, plan, done)
