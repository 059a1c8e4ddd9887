"""Supervised meta-training and evaluation on the digits, with few inner steps."""

import dataclasses
import math
import signal

import numpy as np
import pytest
import torch

from gtn_core.checkpoint import load_checkpoint
from gtn_core.errors import DivergedError, UsageError
from gtn_core.inner_optim import SGD
from gtn_core.inner_schedule import Schedule
from gtn_core.interrupts import InterruptedRun
from gtn_core.planning.plan import StepPlan
from gtn_core.run_folder import RunFolder
from gtn_core.seeding import Streams
from gtn_sl.config import resolve_config
from gtn_sl.data import TASKS
from gtn_sl.evaluation import Evaluation, accuracy_of, evaluate_stream, refuse_divergence
from gtn_sl.job import _accuracies
from gtn_sl.judging import EvaluationPlan, judge, units_of_work, usual_controls
from gtn_sl.reports.report import write_evaluation_report, write_training_report
from gtn_sl.streams import RealData, images_of_equal_storage, learn_schedule
from gtn_sl.teacher import seeded_teacher
from gtn_sl.teacher_file import load_teacher
from gtn_sl.training import meta_train


def test_run_writes_report_metrics_and_best_teacher(tmp_path, config):
    run = RunFolder(tmp_path / "run")
    progress = meta_train(config, run)
    write_training_report(run)
    assert progress.iteration == 4
    assert {p.name for p in run.report.iterdir()} == {"curves.png", "schedule.png", "batches.png"}
    assert resolve_config("digits", "fast", run.read_config()).compute.threads is not None
    rows = list(run.metric_rows())
    assert {tag.split("/")[0] for row in rows for tag in row} == {"iteration", "meta", "inner", "real", "perf", "cost"}
    assert [row["iteration"] for row in rows if "real/score" in row] == [0, 2, 4]
    assert all(math.isfinite(value) for row in rows for value in row.values())
    best = load_teacher(run.teacher)
    assert best.document["metrics"]["real/validation_accuracy"] == progress.best
    assert list(run.tensorboard.glob("events.*"))


def test_validation_score_is_mean_over_judges(tmp_path, small):
    judges = ["base_fc:6,8,10", "linear:10,8", "base:4,6"]
    changes = {
        "learner": {
            "pool": ["base_fc:4-8,6-10,8-12", "linear:8-12,6,norm=none", "sampled:3"],
            "norms": ["own", "batch"],
        },
        "validation": {"architectures": judges},
        "outer": {"iterations": 6, "accumulate": 2},
    }
    run = RunFolder(tmp_path / "run")
    progress = meta_train(resolve_config("digits", "fast", small, changes), run)
    judged = [row for row in run.metric_rows() if "real/score" in row]
    for row in judged:
        each = [row[f"real/validation_accuracy/{name}"] for name in judges]
        assert row["real/score"] == row["real/validation_accuracy"] == pytest.approx(np.mean(each))
    assert progress.best == max(row["real/score"] for row in judged)
    assert all(row["inner/diverged"] == 0 for row in run.metric_rows() if "inner/diverged" in row)


@pytest.mark.parametrize("part", ["learner", "validation"])
def test_unfit_learners_are_rejected_before_run_is_written(tmp_path, part, small):
    changes = {"learner": {"pool": ["convnet:4,depth=5"]}, "validation": {"architectures": ["convnet:4,depth=5"]}}
    run = RunFolder(tmp_path / "run")
    with pytest.raises(UsageError, match="images of 1x8x8 are too small"):
        meta_train(resolve_config("digits", "fast", small, {part: changes[part]}), run)
    assert not run.path.exists()


@pytest.mark.slow
def test_meta_training_lowers_meta_loss(tmp_path, small):
    changes = {"inner": {"steps": 8}, "teacher": {"warm_start": 30}, "outer": {"iterations": 60}}
    longer = resolve_config("digits", "fast", small, changes)
    run = RunFolder(tmp_path / "run")
    meta_train(longer, run)
    losses = [row["meta/loss"] for row in run.metric_rows() if "meta/loss" in row]
    assert np.mean(losses[-10:]) < 0.93 * np.mean(losses[:10])


def test_run_is_determined_by_seed(tmp_path, config):
    states = []
    for name, seed in [("a", 0), ("b", 0), ("c", 1)]:
        run = RunFolder(tmp_path / name)
        meta_train(dataclasses.replace(config, seed=seed), run)
        states.append(load_checkpoint(run.state, "training-state")[0])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not all(torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_interrupted_first_validation_is_repeated_by_resume(tmp_path, config, monkeypatch):
    whole, broken = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "broken")
    meta_train(config, whole)
    trained = []

    def interrupted(*given, **settings):
        trained.append(given)
        if len(trained) == 1:
            signal.raise_signal(signal.SIGINT)
        return evaluate_stream(*given, **settings)

    monkeypatch.setattr("gtn_sl.job.evaluate_stream", interrupted)
    with pytest.raises(InterruptedRun):
        meta_train(config, broken)
    assert len(trained) == 1
    meta_train(config, broken, resume=True)
    rows = [
        [
            {tag: value for tag, value in row.items() if not tag.startswith(("perf/", "cost/"))}
            for row in run.metric_rows()
        ]
        for run in (whole, broken)
    ]
    assert rows[0] == rows[1]
    one, other = (load_checkpoint(run.state, "training-state")[0] for run in (whole, broken))
    assert all(torch.equal(one[name], tensor) for name, tensor in other.items())


def test_divergence_in_first_validation_raises_and_keeps_nothing(tmp_path, config):
    wild = dataclasses.replace(config, inner=dataclasses.replace(config.inner, lr=1e30))
    run = RunFolder(tmp_path / "run")
    with pytest.raises(DivergedError, match=r"after outer step 0: .* nan at inner step 1 of 4; a new run with a lower"):
        meta_train(wild, run)
    assert not run.state.is_file()
    assert not run.teacher.is_file()


def test_later_divergence_keeps_last_good_state_and_best_teacher(tmp_path, config):
    outer = dataclasses.replace(config.outer, lr=1e30, optimizer="sgd", patience=1)
    run = RunFolder(tmp_path / "run")
    with pytest.raises(DivergedError, match=r"^outer step 1: .*the last good state and the best teacher are kept in"):
        meta_train(dataclasses.replace(config, outer=outer), run)
    tensors, _ = load_checkpoint(run.state, "training-state")
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    untrained = seeded_teacher(config, TASKS["digits"], Streams(config.seed).seed("teacher")).state_dict()
    best = load_teacher(run.teacher).teacher.state_dict()
    assert all(torch.equal(best[name], tensor) for name, tensor in untrained.items())


@pytest.fixture
def real(data):
    return RealData(data, data.train, 6, 32, SGD(), Schedule(6, 0.02, 0.5))


def test_diverged_learner_counts_as_guess_unless_all_diverge(data, real):
    wild = RealData(data, data.train, 6, 32, SGD(), Schedule(6, 1e30, 0.5))
    lost, kept = (
        evaluate_stream("real", stream, "base_fc:6,8,10", data, data.validation, [1, 2], curve_images=50)
        for stream in (wild, real)
    )
    assert (lost.diverged, kept.diverged) == (2, 0)
    assert lost.final.tolist() == [0.1, 0.1]
    assert lost.curves.shape == kept.curves.shape == (2, 6)
    assert "inner step" in lost.failure
    refuse_divergence([lost, kept])
    with pytest.raises(DivergedError, match=r"every learner \(base_fc:6,8,10\) diverged on the real: .*inner step"):
        refuse_divergence([lost])


def test_divergence_in_last_inner_step_is_detected(data):
    once = RealData(data, data.train, 1, 32, SGD(), Schedule(1, 1e38, 0.1))  # its only loss is taken before the step
    lost = evaluate_stream("real", once, "base_fc:6,8,10", data, data.validation, [1])
    assert (lost.diverged, lost.final.tolist()) == (1, [0.1])
    assert lost.failure == "the learner's outputs are NaN"


def test_run_warns_if_samples_cannot_cover_classes(tmp_path, config, caplog):
    inner, teacher = (
        dataclasses.replace(config.inner, steps=1, batch_size=8),
        dataclasses.replace(config.teacher, labels="one-hot"),
    )
    meta_train(dataclasses.replace(config, inner=inner, teacher=teacher), RunFolder(tmp_path / "run"))
    assert "8 samples cannot cover 10 classes" in caplog.text


def test_real_batches_are_determined_by_seed(real):
    a, b, c = (real.for_learner(seed).batch(2) for seed in (1, 1, 2))
    assert torch.equal(a[0], b[0])
    assert not torch.equal(a[0], c[0])
    torch.testing.assert_close(a[1].sum(dim=1), torch.ones(32))


def test_random_subset_limits_number_of_images(data):
    stream = RealData(data, data.train, 10, 32, SGD(), Schedule(10, 0.02, 0.5), subset=25)
    lesson = stream.for_learner(0)
    images = torch.cat([lesson.batch(step)[0] for step in range(10)]).flatten(1)
    assert len(torch.unique(images, dim=0)) <= 25


def test_equal_storage_converts_bytes_to_images(data):
    assert images_of_equal_storage(65 * 100, data) == 100
    assert images_of_equal_storage(10**9, data) == len(data.train)
    assert images_of_equal_storage(1, data) == data.task.classes


def test_learned_schedule_beats_initial_schedule(data, real):
    def loss():
        seeds = range(5)
        return evaluate_stream("real", real, "base_fc:6,8,10", data, data.validation, seeds).mean

    before = loss()
    learn_schedule(real, "base_fc:6,8,10", Streams(0), iterations=25)
    assert loss() > before + 0.05


def test_evaluation_is_repeatable_and_curve_ends_at_final(data, real):
    everything = len(data.validation)
    results = [
        evaluate_stream(
            "real", real, "base_fc:6,8,10", data, data.validation, [3, 4], curve_images=everything, plan=plan
        )
        for plan in (None, StepPlan(), StepPlan(layout="channels_last"))
    ]
    assert np.array_equal(results[0].final, results[1].final)
    np.testing.assert_allclose(results[2].final, results[0].final, atol=0.02)
    assert results[0].curves.shape == (2, 6)
    assert np.array_equal(results[0].curves[:, -1], results[0].final)
    assert results[0].minimum <= results[0].mean <= results[0].final.max()
    assert results[0].spread == pytest.approx(np.std(results[0].final, ddof=1))


def test_validation_spread_is_within_architectures():
    def found(*final):
        return Evaluation("teacher", "base_fc", np.array(final), [], np.empty((len(final), 0)), 0)

    metrics = _accuracies([found(0.5, 0.7), found(0.9, 0.9)])
    assert metrics["real/validation_accuracy_spread"] == pytest.approx(np.sqrt(0.02 / 2))
    assert _accuracies([found(0.5, 0.7)])["real/validation_accuracy_spread"] == pytest.approx(np.sqrt(0.02))
    assert _accuracies([found(0.5)])["real/validation_accuracy_spread"] == 0


def test_accuracy_uses_smaller_batches_if_out_of_memory(data, caplog):
    sizes = []

    def classify(images):
        sizes.append(len(images))
        if len(images) > 100:
            raise MemoryError
        return torch.eye(10)[torch.zeros(len(images), dtype=torch.int64)]

    expected = float((data.validation.labels == 0).float().mean())
    assert accuracy_of(classify, data.validation) == pytest.approx(expected)
    assert sizes == [200, 100, 100]
    assert "classifying the remaining images 100 at a time" in caplog.text


def test_usual_controls_omit_subset_of_all_images(tmp_path, config, data):
    run = RunFolder(tmp_path / "run")
    meta_train(dataclasses.replace(config, outer=dataclasses.replace(config.outer, iterations=0)), run)
    file = load_teacher(run.teacher)
    assert usual_controls(file, data) == ("real", "subset", "untrained")
    assert images_of_equal_storage(load_teacher("digits").path.stat().st_size, data) == len(data.train)
    assert usual_controls(load_teacher("digits"), data) == ("real", "untrained")


def test_judge_evaluates_teacher_and_controls(tmp_path, config, data):
    run = RunFolder(tmp_path / "run")
    meta_train(config, run)
    plan, seen = EvaluationPlan(["base_fc:6,8,10"], count=2, control_iterations=3, curve_images=50), []
    results = judge(load_teacher(run.teacher), data, plan, seen.append)
    assert [r.name.split(" of ")[0] for r in results] == ["teacher", "real data", "random subset", "untrained teacher"]
    assert len(seen) == units_of_work(plan)
    assert all(r.n == 2 and r.curves.shape == (2, 4) for r in results)
    write_evaluation_report(run.report, results, "digits", {"seed": 0})
    assert (run.report / "evaluation.md").read_text().count("| base_fc:6,8,10 |") == 4
    assert (run.report / "accuracy-base_fc-6-8-10.png").read_bytes().startswith(b"\x89PNG")
