"""One meta-training of an environment from config to file: its stages, one after the other, each kept only if it helps."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from gtn_core.checkpoint import load_checkpoint, load_into, replacing, save_checkpoint
from gtn_core.config import to_dict
from gtn_core.errors import CheckpointError, UsageError
from gtn_core.estimators import ESTIMATORS, EstimatorConfig
from gtn_core.memory import reuse_pages
from gtn_core.outer_loop import Listener, OuterLoop, Progress, Validation, saved_iteration
from gtn_core.run_folder import RunFolder
from gtn_core.seeding import Streams
from gtn_core.tracking import RunTracker
from gtn_envs.weights_file import save_environment
from gtn_rl.config import EnvironmentConfig, RLConfig, StageConfig
from gtn_rl.fitting import fit_transitions
from gtn_rl.harvest import Harvest, harvest
from gtn_rl.job import EvolutionJob, Judge, judges, learners
from gtn_rl.judging import Greedy
from gtn_rl.model import EnvironmentTeacher
from gtn_rl.tasks import BatchedTask, make_task
from gtn_rl.terminations import fit_terminations

log = logging.getLogger(__name__)


@dataclass
class StageResult:
    """What a stage came to, as the environment's file tells it.

    Attributes:
        name: The stage.
        kept: Whether it helped.
        score: Validation score after it; of ``fit``, the explained variance.
        outer_steps: Outer steps taken.
        real_steps: Steps of the real task, validation included.
        cpu_seconds: Processor time.
        metrics: The figures of the best validation.
    """

    name: str
    kept: bool
    score: float
    outer_steps: int
    real_steps: int
    cpu_seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Pipeline:
    """A meta-training in progress.

    Attributes:
        config: All settings.
        run: Where everything is written.
        task: The real task.
        teacher: The environment as it stands.
        harvests: Steps of the real task that dynamics are fitted to.
        results: The stages so far.
        command: What the user typed, for the file's header.
        listener: Told after every outer step.
    """

    config: RLConfig
    run: RunFolder
    task: BatchedTask
    teacher: EnvironmentTeacher
    harvests: list[Harvest]
    results: list[StageResult]
    command: str
    listener: Listener | None

    @property
    def streams(self) -> Streams:
        """The run's randomness."""
        return Streams(self.config.seed)

    def stage(self, index: int) -> None:
        """Runs one stage, or takes its result from the folder where it was finished before."""
        stage = self.config.stages[index]
        folder = RunFolder(self.run.path / "stages" / f"{index + 1}-{stage.name}")
        done = folder.path / "result.safetensors"
        if done.is_file():
            self._reload(done)
        else:
            folder.state.parent.mkdir(parents=True, exist_ok=True)
            self.results.append(self._fit(index) if stage.name == "fit" else self._evolve(index, stage, folder))
            document = {"kind": "stage", "result": vars(self.results[-1])}
            save_checkpoint(done, self.teacher.state_dict(), document)
        if stage.name == "greedy":
            self._harvest_from_greedy()

    def _fit(self, index: int) -> StageResult:
        started = time.process_time()
        explained = fit_transitions(self.teacher, self.harvests, self.streams.torch("fit", index))
        metrics = {"fit/explained_variance": explained}
        if self.teacher.termination is not None:
            accuracy = fit_terminations(self.teacher, self.harvests, self.streams.torch("fit-termination", index))
            metrics |= {} if accuracy is None else {"fit/termination_balanced_accuracy": accuracy}
        steps = sum(h.real_steps for h in self.harvests)
        return StageResult("fit", True, explained, 0, steps, time.process_time() - started, metrics)

    def _evolve(self, index: int, stage: StageConfig, folder: RunFolder) -> StageResult:
        teacher, config = self.teacher, self.config
        teacher.learn_only(stage.parts)
        seed = self.streams.seed("stage", index)
        best = folder.path / "best.safetensors"

        def save(validation: Validation, iteration: int) -> None:
            facts = {"kind": "stage-best", "iteration": iteration, "metrics": dict(validation.metrics)}
            save_checkpoint(best, teacher.state_dict(), facts)
            if stage.name != "greedy":  # what a greedy policy returns says nothing of the agents to come
                self.write(validation.score, validation.metrics)

        judge = Judge(config, self.task, self.streams)
        job = EvolutionJob(config, self.task, teacher, Streams(seed), judge, save, greedy=stage.name == "greedy")
        estimator = ESTIMATORS[stage.estimator](
            EstimatorConfig(seed=seed % 2**31, population=stage.population, sigma=stage.sigma)
        )
        continued = folder.state.is_file()
        tracker = RunTracker(folder, after=saved_iteration(folder) if continued else None, settings=to_dict(stage))
        loop = OuterLoop(teacher, job, estimator, config.outer(stage), folder, tracker, listener=self.listener)
        try:
            if continued:
                loop.resume()
            progress = loop.run()
        finally:
            tracker.close()
        tensors, document = load_checkpoint(best, "stage-best")
        load_into(teacher, tensors, best)
        rows = list(folder.metric_rows())
        return StageResult(
            name=stage.name,
            kept=progress.best > next(row["real/score"] for row in rows if "real/score" in row),
            score=progress.best,
            outer_steps=progress.iteration,
            real_steps=int(sum(row.get("cost/real_steps", 0) for row in rows)),
            cpu_seconds=sum(row.get("perf/cpu_seconds", 0) for row in rows),
            metrics=document["metrics"],
        )

    def _harvest_from_greedy(self) -> None:
        """Starts initial states anew, from where the greedy policy goes when it errs now and then."""
        settings = self.config.environment
        with torch.no_grad():
            greedy = Greedy().train(self.teacher.model(), torch.Generator())
        random = self.streams.numpy("harvest-greedy")
        gathered = harvest(
            self.task, settings.harvest_episodes, random, policies=greedy, exploration=settings.exploration
        )
        self.harvests.append(gathered)
        self.teacher.set_centres(gathered.centres(settings.centres, random))

    def _reload(self, path: Path) -> None:
        tensors, document = load_checkpoint(path, "stage")
        load_into(self.teacher, tensors, path)
        try:
            self.results.append(StageResult(**document["result"]))
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"{path} is not the result of a stage: {error}") from error

    def write(self, score: float, metrics: Mapping[str, float]) -> None:
        """Writes the environment as it stands, with all that is known of how it was made."""
        stages = [vars(result) for result in self.results]
        costs = [row for folder in (self.run.path / "stages").glob("*") for row in RunFolder(folder).metric_rows()]
        harvested = sum(gathered.real_steps for gathered in self.harvests)
        facts = {
            **metrics,
            "score": score,
            "meta_real_steps": harvested + int(sum(row.get("cost/real_steps", 0) for row in costs)),
            "meta_cpu_seconds": round(sum(row.get("perf/cpu_seconds", 0) for row in costs), 1),
        }
        spec = self.teacher.spec
        document = self.teacher.document(
            stages=stages,
            command=self.command,
            seed=self.config.seed,
            version=importlib.metadata.version("generative-teaching-networks"),
            metrics=facts,
            config=to_dict(self.config),
            observation_space=spec.observation_space,
            action_space=spec.action_space,
        )
        save_environment(self.run.teacher, {k: v.numpy() for k, v in self.teacher.tensors().items()}, document)


def meta_train(
    config: RLConfig,
    run: RunFolder,
    *,
    resume: bool = False,
    listener: Listener | None = None,
    command: str = "",
) -> tuple[Progress, list[StageResult]]:
    """Meta-trains an environment, or goes on where a run stopped.

    Args:
        config: All settings; of a resumed run, those in its folder.
        run: Where everything is written.
        resume: Whether the folder holds a run already.
        listener: Told after every outer step.
        command: What the user typed, for the file's header.

    Returns:
        Where the last stage ended, and what each came to. The environment lies in ``run.teacher``.

    Raises:
        GTNError: Something the user can mend: task, settings, disk, divergence.
    """
    reuse_pages()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)
    task = make_task(config.task, device=config.device, workers=config.workers)
    try:
        _refuse_nonsense(config, task)  # before the folder is made
        if not resume:
            run.create()
        with run.lock(), run.logged():
            run.write_config(config)
            pipeline = _start(config, run, task, listener, command)
            for index in range(len(config.stages)):
                pipeline.stage(index)
            _finish(pipeline)
    finally:
        task.close()
    best = max((r.score for r in pipeline.results if r.name != "fit"), default=-math.inf)
    steps = sum(result.outer_steps for result in pipeline.results)
    return Progress(iteration=steps, best=best), pipeline.results


def _refuse_nonsense(config: RLConfig, task: BatchedTask) -> None:
    """Raises UsageError for what would fail later: a wrong name, a stage that lacks what it needs."""
    learners(config, task.spec)
    judges(config, task.spec)
    for stage in config.stages:
        if stage.name != "fit":
            ESTIMATORS[stage.estimator](EstimatorConfig(population=stage.population))
    fits = any(stage.name == "fit" for stage in config.stages)
    if fits != (config.environment.kind == "mdp"):
        raise UsageError(
            "a bandit has no transitions, so no stage fit" if fits else "an mdp needs the stage fit for its dynamics"
        )
    if config.environment.termination and config.environment.kind != "mdp":
        raise UsageError("environment.termination is for an mdp: every step of a bandit ends an episode")
    for stage in config.stages:
        _refuse_missing_parts(stage, config.environment)
    if all(stage.name == "fit" for stage in config.stages):
        raise UsageError("the stage fit alone makes no reward; add greedy or bilevel")


def _refuse_missing_parts(stage: StageConfig, environment: EnvironmentConfig) -> None:
    """Raises UsageError where a stage would meta-learn what the environment does not have."""
    if "transition" in stage.parts and environment.kind != "mdp":
        raise UsageError(f"the stage {stage.name} cannot learn a transition: a {environment.kind} has none")
    if "termination" in stage.parts and not environment.termination:
        raise UsageError(
            f"the stage {stage.name} cannot learn a termination: there is none without environment.termination=true"
        )


def _start(config: RLConfig, run: RunFolder, task: BatchedTask, listener: Listener | None, command: str) -> Pipeline:
    settings, streams = config.environment, Streams(config.seed)
    random = streams.numpy("harvest")
    gathered = harvest(task, settings.harvest_episodes, random)
    mean, std = gathered.normalisation()
    mdp = settings.kind == "mdp"
    teacher = EnvironmentTeacher(
        task.spec,
        mean,
        std,
        gathered.centres(settings.centres, random),
        seed=streams.seed("teacher"),
        hidden=settings.hidden,
        transition_hidden=settings.transition_hidden if mdp else None,
        termination_hidden=settings.hidden if settings.termination else None,
        max_episode_steps=settings.episode_steps if mdp else 1,
        jitter=settings.jitter,
    )
    return Pipeline(config, run, task, teacher.to(config.device), [gathered], [], command, listener)


def _finish(pipeline: Pipeline) -> None:
    """Writes the final file: the best teacher with all its stages, and a summary beside it."""
    last = next(result for result in reversed(pipeline.results) if result.name != "fit")
    pipeline.write(last.score, last.metrics)
    summary: dict[str, Any] = {"stages": [vars(result) for result in pipeline.results]}
    with replacing(pipeline.run.path / "stages.json") as file:
        file.write(json.dumps(summary, indent=1).encode())
