"""A transfer study from start to finish: trains the agents that are missing, and summarises all of them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gtn_core.distributed import SingleProcess, World, everywhere, first, share_out
from gtn_core.workers import run_jobs
from gtn_rl.environments import Environment
from gtn_rl.transfer.agents import AgentJob, run_job
from gtn_rl.transfer.outcome import Transfer, conclude
from gtn_rl.transfer.plan import TransferPlan, check, jobs_of
from gtn_rl.transfer.results_file import ResultsFile

log = logging.getLogger(__name__)


def study(
    env: Environment,
    task: str,
    plan: TransferPlan,
    folder: Path,
    advance: Callable[[str, int, int], None],
    world: World | None = None,
) -> Transfer:
    """Trains and judges every agent whose result ``folder`` does not hold yet.

    Args:
        env: The training environment.
        task: Name of the real task.
        plan: The plan of the study.
        folder: Folder of ``agents.jsonl`` and of the untrained teachers.
        advance: Called with an agent's title, the number of agents done and their total: after each agent, and before
            the first with an empty title.
        world: The processes among which the agents are divided. The first one holds the folder; all of them have to be
            able to read the files that agents train in.

    Raises:
        UsageError: An algorithm or a setting does not fit.
        GTNError: An agent failed; the results of finished agents are kept.
    """
    world = world or SingleProcess()
    everywhere(world, lambda: check(env, task, plan))
    with contextlib.ExitStack() as held:
        results: list[ResultsFile] = []

        def begin() -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
            results.append(ResultsFile(folder))
            held.enter_context(results[0].locked())
            jobs = list(jobs_of(env, task, plan, folder))
            if outdated := sum(results[0].outdated(job) for job in jobs):
                log.warning(
                    "%s has %d of these agents with other hyper-parameters, or with another version of Stable-Baselines3 "
                    "or none noted; they are trained anew",
                    *(results[0].path, outdated),
                )
            return [(job.to_json(), results[0].get(job)) for job in jobs]

        listed = [(AgentJob.from_json(job), result) for job, result in first(world, begin)]
        kept = {job.identity: result for job, result in listed if result is not None}
        missing = [job for job, result in listed if result is None]
        advance("", len(kept), len(listed))

        def keep(job: AgentJob, result: dict[str, Any]) -> None:
            for file in results:
                file.add(job, result)
            kept[job.identity] = result
            advance(job.title, len(kept), len(listed))

        if world.size == 1 and missing:
            run_jobs(run_job, missing, plan.workers, keep, _title)
        elif missing:
            _run_shared(world, missing, plan.workers, keep)
    return conclude(env, task, plan, [(job, kept[job.identity]) for job, _ in listed])


def _run_shared(
    world: World, jobs: list[AgentJob], workers: int, keep: Callable[[AgentJob, dict[str, Any]], None]
) -> None:
    """Runs jobs in rounds; in each, every process trains as many agents as it has workers."""

    def train(part: list[AgentJob]) -> list[dict[str, Any]]:
        done: dict[str, dict[str, Any]] = {}
        run_jobs(run_job, part, workers, lambda job, result: done.update({job.identity: result}), _title)
        return [done[job.identity] for job in part]

    def keep_part(part: list[AgentJob], results: list[dict[str, Any]]) -> None:
        for job, result in zip(part, results, strict=True):
            keep(job, result)

    share_out(world, [jobs[i : i + workers] for i in range(0, len(jobs), workers)], train, keep_part)


def _title(job: AgentJob) -> str:
    return job.title
