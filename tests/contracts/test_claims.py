"""Every claim re-tested end to end on the digits with a tiny budget; verdicts, resuming and settings of studies."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from gtn_cli.commands.reproduce import NAMES
from gtn_core.errors import DivergedError, UsageError
from gtn_core.run_folder import RunFolder
from gtn_sl.claims import CLAIMS, SCALES, Scale, Setup, reproduce, reproduce_claim
from gtn_sl.claims.lab import TRAINING_SHARE, Lab
from gtn_sl.claims.protocol import Evidence
from gtn_sl.claims.study import settings
from gtn_sl.claims.transfer import HELD_OUT, TAUGHT
from gtn_sl.claims.weight_norm import FACTORS
from gtn_sl.combinations import refuse_impossible
from gtn_sl.data import TASKS, load_task
from gtn_sl.learners import architecture
from gtn_sl.learners.pool import pool_families
from gtn_sl.streams.real_classifier import RealTraining

TINY = Scale(
    "tiny",
    "fast",
    "digits",
    settings={
        "digits": {
            "teacher": {"hidden": 8, "channels": [2, 2], "latent": 4, "warm_start": 0, "labels": "one-hot"},
            "learner": {"architecture": "base_fc:4,4,8", "random_widths": [[4, 5], [4, 5], [8, 9]]},
            "inner": {"steps": 2, "batch_size": 10},
            "meta_loss": {"batch_size": 32, "every": 0},
            "outer": {"validations": 1},
            "validation": {"learners": 1, "images": 50},
            "compute": {"plan": {}},
        }
    },
    steps={"digits": 6},
    learners=2,
    control_steps=2,
    test_images=300,
    curve_images=20,
    narrowing=32,
    convnet="convnet:2-4,depth=3",
    warm_start=1,
    reader=RealTraining(steps=3),
)


def ignore(share, figures):
    assert 0 <= share <= 1


def test_command_lists_every_claim_and_small_scale_every_task():
    assert set(NAMES) == set(CLAIMS)
    assert len(NAMES) == len(CLAIMS)
    assert set(SCALES["small"].settings) == set(SCALES["small"].steps) == set(TASKS)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_claim_is_retested_reported_and_not_recomputed(name, tmp_path):
    result = reproduce(Setup(name, TINY), tmp_path, ignore, "the command")
    assert {f"{name}.json", f"{name}.md", f"{name}.png", "study.json"} <= {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    stored = json.loads((tmp_path / f"{name}.json").read_text())
    assert stored == json.loads(json.dumps(result))
    assert isinstance(stored["held"], bool)
    page = (tmp_path / f"{name}.md").read_text()
    assert all(
        text in page
        for text in (stored["saw"], "inner loops have 2 steps instead of 32", "tested on 300 of 597", "`the command`")
    )
    assert all(row.keys() == stored["table"][0].keys() for row in stored["table"])
    assert len(stored["runs"]) > 1
    assert all(run["outer steps"] >= 1 for run in stored["runs"].values())
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert reproduce(Setup(name, TINY), tmp_path, ignore, "the command") == result
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == before
    with pytest.raises(UsageError, match="already holds a study of seed 0, not seed 1"):
        reproduce(Setup(name, TINY, seed=1), tmp_path, ignore)
    with pytest.raises(UsageError, match="with settings of another version"):
        reproduce(Setup(name, dataclasses.replace(TINY, control_steps=3)), tmp_path, ignore)


def test_distilling_more_images_takes_more_steps_and_budget():
    runs = settings(Setup("distillation", dataclasses.replace(TINY, steps={"digits": 60})))
    shapes = {name: (run.inner.steps, run.inner.batch_size, run.outer.iterations) for name, run in runs.items()}
    assert shapes == {"1-per-class": (2, 10, 12), "10-per-class": (4, 50, 6), "50-per-class": (4, 250, 6)}
    assert runs["1-per-class"].teacher.schedule_lr > runs["10-per-class"].teacher.schedule_lr
    minutes = [run.outer.minutes for run in settings(Setup("distillation", TINY, minutes=10)).values()]
    assert minutes == pytest.approx([0.2 * TRAINING_SHARE * 10, 0.4 * TRAINING_SHARE * 10, 0.4 * TRAINING_SHARE * 10])


def test_diverged_meta_trainings_are_reported_or_raise(tmp_path):
    digits = TINY.settings["digits"]
    wild = dataclasses.replace(TINY, settings={"digits": {**digits, "inner": {**digits["inner"], "lr": 1e30}}})
    result = reproduce(Setup("weight-norm", wild), tmp_path / "all", ignore)
    assert result["diverged"].count("after 0 outer steps") == len(result["runs"])
    assert f"- diverged before the end: {result['diverged']}" in (tmp_path / "all" / "weight-norm.md").read_text()
    for _ in range(2):
        with pytest.raises(DivergedError, match=r"runs/none has no teacher to measure: validation after outer step 0"):
            reproduce(Setup("endless", wild), tmp_path / "one", ignore)


def test_run_that_diverges_as_soon_as_resumed_has_the_steps_of_its_state(tmp_path, monkeypatch):
    config = next(iter(settings(Setup("endless", TINY)).values()))
    lab = Lab(tmp_path, config, TINY, load_task("digits"), ignore)
    made = lab.train("none", config, "", ignore)
    (tmp_path / "runs" / "none" / "outcome.json").unlink()

    def diverge(*_, **__):
        raise DivergedError("at once")

    monkeypatch.setattr("gtn_sl.claims.lab.meta_train", diverge)
    again = lab.train("none", config, "", ignore)
    assert (again.diverged, again.outer_steps, again.seconds) == ("at once", made.outer_steps, made.seconds)
    assert made.outer_steps > 0


def test_resumed_study_takes_device_and_data_dir_of_new_command(tmp_path):
    setup = Setup("endless", TINY, device="cpu")
    config = next(iter(settings(setup).values()))
    lab = Lab(tmp_path, config, TINY, load_task("digits"), ignore)
    elsewhere = dataclasses.replace(config.compute, device="cuda:99")
    begun = RunFolder(tmp_path / "runs" / "none")
    begun.create()
    begun.write_config(dataclasses.replace(config, data_dir="/gone", compute=elsewhere))
    made = lab.train("none", config, "", ignore)
    assert made.diverged is None
    assert begun.read_config()["compute"]["device"] == "cpu"
    assert begun.read_config()["data_dir"] is None


def evidence(measured):
    task = SimpleNamespace(classes=10)
    lab = SimpleNamespace(base=SimpleNamespace(inner=SimpleNamespace(steps=2)), data=SimpleNamespace(task=task))
    return Evidence(lab, {}, measured)


def endless_curves(after_t, at_the_end):
    scattered = np.linspace(-0.02, 0.02, 10)[:, None] * np.linspace(0, 1, 15)  # ten learners, about their mean
    curves = np.linspace(after_t, at_the_end, 15) + scattered
    return {"curves": np.insert(curves, 0, 0.1, axis=1).tolist()}


@pytest.mark.parametrize(
    ("after_t", "at_the_end", "held"), [(0.6, 0.7, True), (0.6, 0.601, False), (0.7, 0.6, False), (0.1, 0.15, False)]
)
def test_endless_holds_only_if_taught_learners_clearly_gain(after_t, at_the_end, held):
    curves = endless_curves(after_t, at_the_end)
    verdict = CLAIMS["endless"]().verdict(evidence({"fresh noise": curves, "its table again": curves}))
    assert verdict.held is held
    assert "gains" in verdict.saw


@pytest.mark.parametrize(
    ("other", "pool", "held"), [(0.3, 0.8, True), (0.88, 0.8, False), (0.3, 0.32, False), (0.1, 0.1, False)]
)
def test_transfer_holds_only_if_accuracies_differ_clearly(other, pool, held):
    learners = [*TAUGHT, *HELD_OUT]
    rows = {own: {name: {"mean": 0.9 if name == own else other} for name in learners} for own in TAUGHT}
    rows["pool"] = {name: {"mean": pool} for name in learners}
    assert CLAIMS["transfer"]().verdict(evidence(rows)).held is held


@pytest.mark.parametrize(("with_it", "without", "held"), [(0.8, 0.7, True), (0.7, 0.8, False), (0.12, 0.11, False)])
def test_weight_norm_holds_only_if_better_and_taught(with_it, without, held):
    ends = {"with": with_it, "without": without}
    runs = {f"{form}-lr-{factor:g}-{seed}": {"last": end + 0.01 * seed, "diverged": False}
            for form, end in ends.items() for factor in FACTORS for seed in range(2)}  # fmt: skip
    seen = evidence(runs)
    seen.lab.scale = SimpleNamespace(seeds=2)
    assert CLAIMS["weight-norm"]().verdict(seen).held is held


@pytest.mark.parametrize(
    ("classes", "accuracy", "taught"), [(2, 0.8, True), (2, 0.7, False), (10, 0.21, True), (10, 0.19, False)]
)
def test_taught_threshold_depends_on_number_of_classes(classes, accuracy, taught):
    seen = evidence({})
    seen.lab.data.task.classes = classes
    assert seen.taught(accuracy) is taught


def test_studies_with_different_seeds_share_no_meta_seed():
    seeds = [
        {config.seed for config in settings(Setup("curriculum", SCALES["full"], seed=seed)).values()}
        for seed in (0, 1, 2**63 - 1)
    ]
    assert seeds[0] == set(range(SCALES["full"].seeds))
    assert not seeds[0] & seeds[1]
    assert not seeds[1] & seeds[2]


def test_study_identity_ignores_spelling_of_image_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    arrays = {f"{split}_images": random.integers(0, 256, (60, 8, 8), np.uint8) for split in ("train", "test")}
    labels = {f"{split}_labels": np.arange(60) % 3 for split in ("train", "test")}
    np.savez("mine.npz", **arrays, **labels)
    written = [
        Setup("endless", SCALES["small"], task) for task in ("mine.npz", "./mine.npz", str(tmp_path / "mine.npz"))
    ]
    assert len({json.dumps(setup.identity(), sort_keys=True) for setup in written}) == 1


@pytest.mark.parametrize("budget", SCALES)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", NAMES)
def test_settings_of_every_claim_task_and_budget_are_valid(name, task, budget):
    for config in settings(Setup(name, SCALES[budget], task)).values():
        refuse_impossible(config)
        assert config.outer.minutes is None
        assert 50 < config.outer.iterations <= 2400
        for learner in config.validation.architectures or (config.learner.architecture,):
            architecture(learner).module(TASKS[task].image_shape, TASKS[task].classes)
        assert pool_families(config.learner)


def test_unknown_budget_is_rejected():
    with pytest.raises(UsageError, match="unknown budget 'smal'; did you mean 'small'"):
        reproduce_claim("speed", budget="smal")


@pytest.mark.parametrize("name", NAMES)
def test_limit_in_minutes_is_divided_among_meta_trainings(name):
    configs = settings(Setup(name, SCALES["full"], minutes=10)).values()
    assert sum(config.outer.minutes for config in configs) == pytest.approx(8)
