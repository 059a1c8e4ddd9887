"""One meta-training of an environment from config to file: its stages, one after the other, each kept only if it helps."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import itertools
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gtn_core.checkpoint import load_into, replacing, save_checkpoint
from gtn_core.config import to_dict
from gtn_core.cost import Cost, CostTracker
from gtn_core.cpu_time import cpu_seconds
from gtn_core.device import resolve_device
from gtn_core.distributed import SingleProcess, World, everywhere, first
from gtn_core.distributed.files import first_tensors, held_by_first, read_first
from gtn_core.errors import CheckpointError
from gtn_core.estimators import ESTIMATORS, Backprop, Estimator, EstimatorConfig, Teacher
from gtn_core.memory import reuse_pages
from gtn_core.outer_loop import Job, Listener, OuterLoop, Progress, Validation
from gtn_core.plan import StepPlan
from gtn_core.run_folder import RunFolder
from gtn_core.seeding import Streams
from gtn_core.tracking import NoTracker, RunTracker, Stage, Tracker
from gtn_core.training_state import saved_iteration
from gtn_envs.weights_file import save_environment
from gtn_rl.config import UNBUDGETED, RLConfig, StageConfig
from gtn_rl.fitting import fit_transitions
from gtn_rl.fresh_teacher import fresh_teacher
from gtn_rl.gradient import FORMS, GradientJob
from gtn_rl.harvest import Harvest, harvest, harvest_from_greedy, start_from_greedy
from gtn_rl.job import EvolutionJob, Judge, Save, judges, learners
from gtn_rl.learned_teacher import LearnedTeacher
from gtn_rl.model import EnvironmentTeacher
from gtn_rl.scaling import try_sizes
from gtn_rl.stage_result import StageResult
from gtn_rl.stage_rules import refuse_nonsense
from gtn_rl.starting_point import load_start, normalisation, shaped_like, take_over
from gtn_rl.tasks import BatchedTask, make_task
from gtn_rl.tasks.rollout import Transitions, step_limit
from gtn_rl.terminations import fit_terminations

log = logging.getLogger(__name__)


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
        pending: What was harvested before the first stage, which it counts to.
        world: The processes that train together; the first holds the folder, and the harvests.
    """

    config: RLConfig
    run: RunFolder
    task: BatchedTask
    teacher: LearnedTeacher
    harvests: list[Harvest]
    results: list[StageResult]
    command: str
    listener: Listener | None
    pending: Cost
    world: World

    @property
    def streams(self) -> Streams:
        """The run's randomness."""
        return Streams(self.config.seed)

    @property
    def outer_steps(self) -> int:
        """Outer steps of the stages so far."""
        return sum(result.outer_steps for result in self.results)

    @property
    def judged(self) -> StageResult:
        """The last stage that was validated; its score is the environment's."""
        return next(result for result in reversed(self.results) if result.name != "fit")

    @property
    def cost(self) -> Cost:
        """What the stages so far took."""
        return sum((result.cost for result in self.results), Cost())

    def stage(self, index: int) -> None:
        """Runs one stage, or takes its result from the folder where it was finished before."""
        stage, world = self.config.stages[index], self.world
        folder = RunFolder(self.run.path / "stages" / f"{index + 1}-{stage.name}", whole=self.run.path)
        done = folder.path / "result.safetensors"
        if first(world, done.is_file):
            self._reload(done)
            if stage.name == "greedy":
                self._harvest_from_greedy()
        else:
            log.info("stage %d of %d: %s", index + 1, len(self.config.stages), stage.name)
            first(world, lambda: folder.state.parent.mkdir(parents=True, exist_ok=True))
            run = {"fit": self._fit, "scale": self._scale}.get(stage.name, self._train)
            result = run(index, stage, folder)
            document = {"kind": "stage", "result": vars(result)}
            first(world, lambda: save_checkpoint(done, self.teacher.state_dict(), document))
            self.results.append(result)
            log.info("%s", result)
        self.pending = Cost()

    def _fit(self, index: int, stage: StageConfig, folder: RunFolder) -> StageResult:
        """Fits dynamics, on the first process alone, which has the harvests."""
        result = first(self.world, lambda: vars(self._fitted(index, stage, folder)))
        self.world.broadcast_(self.teacher.state_dict().values())
        return StageResult(**result)

    def _fitted(self, index: int, stage: StageConfig, folder: RunFolder) -> StageResult:
        assert isinstance(self.teacher, EnvironmentTeacher)
        tracker = self._tracker(folder, stage, None, SingleProcess())
        explained = fit_transitions(self.teacher, self.harvests, self.streams.torch("fit", index))
        metrics = {"fit/explained_variance": explained}
        if self.teacher.termination is not None:
            accuracy = fit_terminations(self.teacher, self.harvests, self.streams.torch("fit-termination", index))
            metrics |= {} if accuracy is None else {"fit/termination_balanced_accuracy": accuracy}
        tracker.scalars(0, metrics)
        tracker.close()
        spent = tracker.total - self.cost
        return StageResult("fit", True, explained, 0, spent.real_steps, round(spent.cpu_seconds, 2), metrics=metrics)

    def _scale(self, index: int, stage: StageConfig, folder: RunFolder) -> StageResult:
        tracker, taken = self._tracker(folder, stage, None, self.world), itertools.count()

        def log_trial(factor: float, validation: Validation) -> None:
            tracker.scalars(next(taken), {"meta/reward_factor": factor, **validation.metrics})

        usual = self._judge()  # that of the other stages, for scores that compare
        before = usual(self.teacher.model)
        log_trial(1.0, before)
        best = try_sizes(self.teacher, usual, log_trial)
        after = before if best == 1.0 else usual(self.teacher.model)
        log_trial(best, after)
        kept = best != 1.0 and after.score >= before.score
        if not kept:
            self.teacher.resize(1 / best)
        tracker.close()
        spent, reached = tracker.total - self.cost, after if kept else before
        return StageResult(
            name="scale",
            kept=kept,
            score=reached.score,
            outer_steps=0,
            real_steps=spent.real_steps,
            cpu_seconds=round(spent.cpu_seconds, 2),
            metrics={**_own(reached.metrics), "meta/reward_factor": best if kept else 1.0},
            before=before.score,
        )

    def _train(self, index: int, stage: StageConfig, folder: RunFolder) -> StageResult:
        teacher, config, world = self.teacher, self.config, self.world
        teacher.learn_only(stage.parts)
        seed = self.streams.seed("stage", index)
        best = folder.path / "best.safetensors"

        def save(validation: Validation, iteration: int) -> None:
            metrics = _own(validation.metrics)
            facts = {"kind": "stage-best", "iteration": iteration, "metrics": metrics}
            save_checkpoint(best, teacher.state_dict(), facts)
            if stage.name != "greedy":  # it is judged as a bandit, and an MDP's transitions are fitted later
                self.write(validation.score, metrics, tracker.total)

        prepare = self._gradient if stage.name in FORMS else self._evolution
        trained, job, estimator = prepare(stage, seed, save)
        after = first(world, lambda: saved_iteration(folder) if folder.state.is_file() else None)
        tracker, settings = self._tracker(folder, stage, after, world), config.outer(stage)
        tell = self._listener(index)
        loop = OuterLoop(trained, job, estimator, settings, folder, tracker, world=world, listener=tell)
        try:
            if after is not None:
                loop.resume()
            progress = loop.run()
            tensors, document = read_first(world, best, "stage-best")
            load_into(teacher, tensors, best)
            if stage.name == "greedy":  # beyond the last step, so that a resumed stage drops the row, which comes again
                tracker.scalars(progress.iteration + 1, {"cost/real_steps": float(self._harvest_from_greedy())})
        finally:
            tracker.close()
        rows = self._rows
        before = first(world, lambda: next(row["real/score"] for row in rows(folder) if "real/score" in row))
        spent = tracker.total - self.cost
        return StageResult(
            name=stage.name,
            kept=progress.best > before,
            score=progress.best,
            outer_steps=progress.iteration,
            real_steps=spent.real_steps,
            cpu_seconds=round(spent.cpu_seconds, 2),
            metrics=document["metrics"],
            before=before,
            seconds=round(progress.seconds, 1),
        )

    def _evolution(self, stage: StageConfig, seed: int, save: Save) -> tuple[Teacher, Job, Estimator]:
        """Returns what an outer loop by an evolution strategy needs."""
        judge, greedy = self._judge(), stage.name == "greedy"
        job = EvolutionJob(self.config, self.task, self.teacher, Streams(seed), judge, save, greedy=greedy)
        settings = EstimatorConfig(seed=seed % 2**31, population=stage.population, sigma=stage.sigma)
        return self.teacher, job, ESTIMATORS[stage.estimator](settings)

    def _gradient(self, stage: StageConfig, seed: int, save: Save) -> tuple[Teacher, Job, Estimator]:
        """Returns what an outer loop through a differentiated inner loop needs."""
        assert isinstance(self.teacher, EnvironmentTeacher)
        form, settings, streams = FORMS[stage.name], stage.gradient, Streams(seed)
        lessons = form.lessons(self.teacher, streams, settings)
        judge, episodes = self._judge(), self.config.agents.episodes
        job = GradientJob(form, settings, self.task, lessons, streams, episodes, judge, save)
        plan = StepPlan(keep_last_k=lessons.steps)  # the graphs of small perceptrons are cheap to keep
        return lessons, job, Backprop(EstimatorConfig(plan=plan))

    def _judge(self) -> Judge:
        return Judge(self.config, self.task, self.streams, world=self.world)

    def _tracker(self, folder: RunFolder, stage: StageConfig, after: int | None, world: World) -> CostTracker:
        """Returns what takes a stage's curves and counts its cost, on from where a resumed stage was saved."""
        settings = {**to_dict(self.config), "stages": [to_dict(stage)]}
        named, made = Stage(folder.path.name, self.outer_steps), list[Tracker]()

        def make() -> tuple[int, float]:
            made.append(RunTracker(self.run, after=after, settings=settings, stage=named))
            rows = self._rows(folder)
            before = Cost.of(rows[-1]) if rows else self.cost + self.pending
            return before.real_steps, before.cpu_seconds

        before = Cost(*first(world, make))
        return CostTracker(made[0] if made else NoTracker(), before, world)

    def _rows(self, folder: RunFolder) -> list[dict[str, Any]]:
        """Returns a stage's rows of the run's metrics."""
        return [row for row in self.run.metric_rows() if row.get("stage") == folder.path.name]

    def _listener(self, index: int) -> Listener | None:
        """Returns what a stage tells: outer steps and share of the whole run."""
        listener, start = self.listener, self.outer_steps
        if listener is None:
            return None
        shares = [0.0 if stage.name in UNBUDGETED else stage.share for stage in self.config.stages]
        before, own, total = sum(shares[:index]), shares[index], sum(shares)

        def tell(progress: Progress, share: float, values: Mapping[str, float]) -> None:
            whole = dataclasses.replace(progress, iteration=start + progress.iteration)
            listener(whole, (before + own * share) / total, values)

        return tell

    def _harvest_from_greedy(self) -> int:
        """Starts initial states anew, from where the greedy policy goes when it errs now and then; returns the real steps."""

        def work() -> int:
            random = self.streams.numpy("harvest-greedy")
            self.harvests.append(start_from_greedy(self.task, self.teacher, self.config.environment, random))
            return self.harvests[-1].real_steps

        steps = first(self.world, work)
        self.world.broadcast_(self.teacher.state_dict().values())
        return steps

    def _reload(self, path: Path) -> None:
        tensors, document = read_first(self.world, path, "stage")
        load_into(self.teacher, tensors, path)
        try:
            self.results.append(StageResult(**document["result"]))
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"{path} is not the result of a stage: {error}") from error

    def write(self, score: float, metrics: Mapping[str, float], cost: Cost) -> None:
        """Writes the environment as it stands, with all that is known of how it was made and what that cost."""
        stages = [vars(result) for result in self.results]
        facts = {
            **metrics,
            "score": score,
            "meta_real_steps": cost.real_steps,
            "meta_cpu_seconds": round(cost.cpu_seconds, 1),
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
            **self._origin(),
        )
        save_environment(self.run.teacher, {k: v.numpy() for k, v in self.teacher.tensors().items()}, document)

    def _origin(self) -> dict[str, Any]:
        """Returns what the header says of the file that it started from: what made it is part of what made this."""
        start = self.config.environment.start
        if start is None:
            return {}
        document = load_start(start, self.teacher.spec).document
        told = ("command", "seed", "stages", "metrics", "start")
        return {"start": {"file": start, **{key: document[key] for key in told if key in document}}}


def meta_train(
    config: RLConfig,
    run: RunFolder,
    *,
    resume: bool = False,
    listener: Listener | None = None,
    command: str = "",
    world: World | None = None,
) -> tuple[Progress, list[StageResult]]:
    """Meta-trains an environment, or goes on where a run stopped.

    Args:
        config: All settings; of a resumed run, those in its folder.
        run: Where everything is written, by the first process.
        resume: Whether the folder holds a run already.
        listener: Told after every outer step.
        command: What the user typed, for the file's header; of a resumed run, what began it is told.
        world: The processes that train together; a resumed run may have other ones.

    Returns:
        Where the last stage ended, and what each came to. The environment lies in ``run.teacher``.

    Raises:
        GTNError: Something the user can mend: task, settings, disk, divergence, a process that has gone.
    """
    reuse_pages()
    world = world or SingleProcess()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)
    config = dataclasses.replace(config, device=everywhere(world, lambda: resolve_device(config.device)))
    workers = world.workers() if config.workers is None else config.workers
    task = everywhere(world, lambda: make_task(config.task, device=config.device, workers=workers))
    try:
        everywhere(world, lambda: _refuse_nonsense(config, task))  # before the folder is made
        if not resume:
            first(world, run.create)
        with held_by_first(world, run):
            first(world, lambda: run.write_config(config))
            told = first(world, lambda: run.remember_command(command))
            pipeline = _start(config, run, task, listener, told, world)
            for index in range(len(config.stages)):
                pipeline.stage(index)
            first(world, lambda: _finish(pipeline))
    finally:
        task.close()
    seconds = sum(result.seconds for result in pipeline.results)
    return Progress(iteration=pipeline.outer_steps, seconds=seconds, best=pipeline.judged.score), pipeline.results


def _refuse_nonsense(config: RLConfig, task: BatchedTask) -> None:
    """Raises UsageError for what would fail later: a wrong name, a stage that lacks what it needs, an endless task."""
    step_limit(task.spec, None)
    learners(config, task.spec)
    judges(config, task.spec)
    if config.environment.start is not None:
        load_start(config.environment.start, task.spec)
    for stage in config.stages:
        if stage.name in FORMS:
            FORMS[stage.name].refuse(task.spec)
        elif stage.name not in UNBUDGETED:
            ESTIMATORS[stage.estimator](EstimatorConfig(population=stage.population))
    refuse_nonsense(config.environment, config.stages)


def _start(
    config: RLConfig, run: RunFolder, task: BatchedTask, listener: Listener | None, command: str, world: World
) -> Pipeline:
    settings, streams, clock = config.environment, Streams(config.seed), cpu_seconds()
    random = streams.numpy("harvest")
    gathered = _harvested(world, lambda: harvest(task, settings.harvest_episodes, random))
    start = None if settings.start is None else load_start(settings.start, task.spec)
    if start is not None:
        settings = shaped_like(settings, start)
        config = dataclasses.replace(config, environment=settings)
    scales = gathered.normalisation() if start is None else normalisation(start)
    teacher = fresh_teacher(settings, task, gathered, scales, random, streams.seed("teacher"))
    harvests = [gathered]
    if start is not None:
        take_over(teacher, start)
        again = streams.numpy("harvest-start")
        harvests.append(_harvested(world, lambda: harvest_from_greedy(task, teacher, settings, again)))
    world.broadcast_(teacher.state_dict().values())  # the first process alone drew the centres after a harvest
    pending = Cost(sum(part.real_steps for part in harvests), cpu_seconds() - clock)
    return Pipeline(config, run, task, teacher.to(config.device), harvests, [], command, listener, pending, world)


def _harvested(world: World, work: Callable[[], Harvest]) -> Harvest:
    """Returns a harvest that the first process gathers, on all of them."""
    if world.size == 1:
        return work()

    def packed() -> tuple[dict[str, Tensor], dict[str, int]]:
        gathered = work()
        return {**vars(gathered.transitions), "returns": gathered.returns}, {"real_steps": gathered.real_steps}

    tensors, values = first_tensors(world, packed)
    returns = tensors.pop("returns")
    return Harvest(Transitions(**tensors), returns, values["real_steps"])


def _finish(pipeline: Pipeline) -> None:
    """Writes the final file: the best teacher with all its stages, and a summary beside it."""
    last = pipeline.judged
    pipeline.write(last.score, last.metrics, pipeline.cost)
    summary: dict[str, Any] = {"stages": [vars(result) for result in pipeline.results]}
    with replacing(pipeline.run.path / "stages.json") as file:
        file.write(json.dumps(summary, indent=1).encode())


def _own(metrics: Mapping[str, float]) -> dict[str, float]:
    """Returns what a validation says of the environment, without what it cost."""
    return {tag: value for tag, value in metrics.items() if not tag.startswith(("cost/", "perf/"))}
