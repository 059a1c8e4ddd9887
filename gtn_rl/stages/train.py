"""A stage that is an outer loop, by evolution or meta-gradient, from the current teacher to the best one validated."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from gtn_core.checkpoint import load_into, save_checkpoint
from gtn_core.distributed import first
from gtn_core.distributed.files import read_first
from gtn_core.estimators import ESTIMATORS, Backprop, Estimator, EstimatorConfig, Teacher
from gtn_core.outer_job import Job, Validation
from gtn_core.outer_loop import Listener, OuterLoop
from gtn_core.planning.plan import StepPlan
from gtn_core.progress import Progress
from gtn_core.run_folder import RunFolder
from gtn_core.seeding import Streams
from gtn_core.training_state import saved_progress
from gtn_rl.config import StageConfig
from gtn_rl.gradient import FORMS, GradientJob
from gtn_rl.job import EvolutionJob, Save
from gtn_rl.models.environment import EnvironmentTeacher
from gtn_rl.stages.parts import learned_parts
from gtn_rl.stages.pipeline import Pipeline, own_metrics
from gtn_rl.stages.result import StageResult


def run_training(pipeline: Pipeline, index: int, stage: StageConfig, folder: RunFolder) -> StageResult:
    """Runs the outer loop of a stage, or resumes it."""
    teacher, config, world = pipeline.teacher, pipeline.config, pipeline.world
    teacher.learn_only(learned_parts(stage, discrete=teacher.spec.discrete))
    seed = pipeline.streams.seed("stage", index)
    best = folder.path / "best.safetensors"

    def save(validation: Validation, iteration: int) -> None:
        metrics = own_metrics(validation.metrics)
        facts = {"kind": "stage-best", "iteration": iteration, "metrics": metrics}
        save_checkpoint(best, teacher.state_dict(), facts)
        if not stage.nature.warms_up:  # those are judged as bandits, and an MDP's transitions are fitted later
            pipeline.write(validation.score, metrics, tracker.total)

    prepare = _gradient if stage.nature.differentiates else _evolution
    trained, job, estimator = prepare(pipeline, stage, seed, save)
    after = first(world, lambda: saved_progress(folder).iteration if folder.state.is_file() else None)
    tracker, settings = pipeline.tracker(folder, stage, after, world), config.outer(stage)
    tell = _listener(pipeline, index)
    loop = OuterLoop(trained, job, estimator, settings, folder, tracker, world=world, listener=tell)
    try:
        if after is not None:
            loop.resume()
        progress = loop.run()
        tensors, document = read_first(world, best, "stage-best")
        load_into(teacher, tensors, best)
        if stage.name == "greedy":  # after the last step, so that a resumed stage drops this row and logs it again
            tracker.scalars(progress.iteration + 1, {"cost/real_steps": float(pipeline.harvest_from_greedy())})
    finally:
        tracker.close()
    before = first(world, lambda: next(row["real/score"] for row in pipeline.rows(folder) if "real/score" in row))
    return pipeline.result(
        stage.name,
        tracker,
        kept=progress.best_iteration > 0,
        score=progress.best,
        outer_steps=progress.iteration,
        metrics=document["metrics"],
        before=before,
        seconds=round(progress.seconds, 1),
    )


def _evolution(pipeline: Pipeline, stage: StageConfig, seed: int, save: Save) -> tuple[Teacher, Job, Estimator]:
    """Returns the teacher, job and estimator of an outer loop by an evolution strategy."""
    judge, streams = pipeline.judge(), Streams(seed)
    job = EvolutionJob(pipeline.config, pipeline.task, pipeline.teacher, streams, judge, save, stage)
    settings = EstimatorConfig(seed=seed % 2**31, population=stage.population, sigma=stage.sigma)
    return pipeline.teacher, job, ESTIMATORS[stage.estimator](settings)


def _gradient(pipeline: Pipeline, stage: StageConfig, seed: int, save: Save) -> tuple[Teacher, Job, Estimator]:
    """Returns the teacher, job and estimator of an outer loop through a differentiated inner loop."""
    teacher = pipeline.teacher
    assert isinstance(teacher, EnvironmentTeacher)
    form, settings, streams = FORMS[stage.name], stage.gradient, Streams(seed)
    lessons = form.lessons(teacher, streams, settings)
    episodes = pipeline.config.agents.episodes
    job = GradientJob(form, settings, pipeline.task, lessons, streams, episodes, pipeline.judge(), save)
    plan = StepPlan(keep_last_k=lessons.steps)  # the graphs of small perceptrons are cheap to keep
    return lessons, job, Backprop(EstimatorConfig(plan=plan))


def _listener(pipeline: Pipeline, index: int) -> Listener | None:
    """Returns a listener for a stage that reports outer steps and share of the whole run."""
    listener, start = pipeline.listener, pipeline.outer_steps
    if listener is None:
        return None
    shares = [stage.share if stage.nature.loops else 0.0 for stage in pipeline.config.stages]
    before, own, total = sum(shares[:index]), shares[index], sum(shares)

    def tell(progress: Progress, share: float, values: Mapping[str, float]) -> None:
        whole = dataclasses.replace(progress, iteration=start + progress.iteration)
        listener(whole, (before + own * share) / total, values)

    return tell
