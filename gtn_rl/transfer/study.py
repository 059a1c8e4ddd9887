"""A transfer study from start to finish: trains the agents that are missing, and summarises all of them."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gtn_core.distributed import SingleProcess, World, everywhere, first, share_out
from gtn_core.errors import GTNError
from gtn_core.workers import run_jobs
from gtn_rl.environments import Environment, find_environment
from gtn_rl.transfer.agents import AgentJob, close_real_task, run_job
from gtn_rl.transfer.outcome import Transfer, conclude
from gtn_rl.transfer.plan import TransferPlan, check, jobs_of
from gtn_rl.transfer.report import refuse_another_study, write_transfer_report
from gtn_rl.transfer.results_file import ResultsFile

log = logging.getLogger(__name__)

STUDIES = Path("runs") / "transfer"
"""Default parent of the folders of studies."""


def transfer_study(
    env: str | Path | Environment,
    *,
    task: str | None = None,
    plan: TransferPlan | None = None,
    out: str | Path | None = None,
    listener: Callable[[str, int, int], None] | None = None,
    command: str = "",
    world: World | None = None,
) -> Transfer:
    """Trains agents inside an environment and tests them on the real task, as ``gtn-cli transfer`` does.

    The folder then holds ``agents.jsonl`` with one line per agent, ``transfer.json``, ``transfer.md`` and
    ``transfer.png``. Agents that it already holds are not trained again, so the same call resumes an interrupted study.

    Args:
        env: The training environment: a Gymnasium id, ``package:id``, or the path of a run or of a ``.safetensors``
            file.
        task: Name of the real task; None for the one that the environment's file names, else the environment itself.
        plan: The plan of the study; None for the default one, of 20 agents of each algorithm with all controls. With
            several ``workers``, a script needs ``if __name__ == "__main__":``, as always with ``multiprocessing``.
        out: Output folder; None for one in ``runs/transfer`` with the environment's name.
        listener: Called with an agent's title, the number of agents done and their total: after each agent, and before
            the first with an empty title.
        command: What makes the study, for the report.
        world: The processes among which the agents are divided; the first one writes the folder.

    Raises:
        UsageError: A name is unknown, the plan does not fit the environment, or the folder holds another study.
        GTNError: An agent failed other than by diverging, all of them diverged, or a file cannot be read or written; the
            results of finished agents are kept.
    """
    world, plan = world or SingleProcess(), plan or TransferPlan()

    def found() -> tuple[Environment, str, Path]:
        place = env if isinstance(env, Environment) else find_environment(str(env))
        real = find_environment(task or place.real_task).full_id
        folder = study_folder(place.name) if out is None else Path(out)
        refuse_another_study(folder, place, real)
        return place, real, folder

    place, real, folder = everywhere(world, found)
    transfer = study(place, real, plan, folder, listener or (lambda title, done, total: None), world)
    first(world, lambda: write_transfer_report(folder, transfer, command))
    return transfer


def study_folder(name: str, parent: Path = STUDIES) -> Path:
    """Returns the folder in ``parent`` for the study of an environment, by its name as given."""
    own = re.sub(r"[^\w.-]+", "-", name.removesuffix(".safetensors")).strip("-.")
    return parent / (own or Path(name).resolve().name)


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
        GTNError: An agent failed other than by diverging, or all of them diverged; the results of finished agents are
            kept.
    """
    world = world or SingleProcess()
    everywhere(world, lambda: check(env, task, plan))
    with contextlib.ExitStack() as held:
        held.callback(close_real_task)  # worker processes end with theirs
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
            if result["diverged_at"] is not None:
                log.warning(
                    "%s diverged after %s steps; it counts as not solving", job.title, f"{result['diverged_at']:,}"
                )
            advance(job.title, len(kept), len(listed))

        if world.size == 1 and missing:
            run_jobs(run_job, missing, plan.workers, keep, _title)
        elif missing:
            _run_shared(world, missing, plan.workers, keep)
    return conclude(env, task, plan, [(job, kept[job.identity]) for job, _ in listed])


def _run_shared(
    world: World, jobs: list[AgentJob], workers: int, keep: Callable[[AgentJob, dict[str, Any]], None]
) -> None:
    """Runs jobs in rounds; in each, every process trains as many agents as it has workers.

    Raises:
        GTNError: An agent failed; those that the processes finished in its round have been kept.
    """
    failures: list[GTNError] = []

    def train(part: list[AgentJob]) -> dict[str, Any]:
        done: dict[str, dict[str, Any]] = {}
        failure = None
        try:
            run_jobs(run_job, part, workers, lambda job, result: done.update({job.identity: result}), _title)
        except GTNError as error:
            failure = str(error)
        return {"done": done, "failure": failure, "rank": world.rank}

    def keep_part(part: list[AgentJob], answer: dict[str, Any]) -> None:
        for job in part:
            if job.identity in answer["done"]:
                keep(job, answer["done"][job.identity])
        if answer["failure"] is not None:
            failures.append(GTNError(answer["failure"]))
            failures[-1].rank = answer["rank"]

    def stop_if_failed() -> None:
        if failures:
            raise failures[0]

    parts = [jobs[i : i + workers] for i in range(0, len(jobs), workers)]
    share_out(world, parts, train, keep_part, before_round=stop_if_failed)
    stop_if_failed()


def _title(job: AgentJob) -> str:
    return job.title
