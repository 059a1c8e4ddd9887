"""Long trainings: accuracy, determinism and reuse; and the ground truths made from them."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from gtn_core.config import resolve
from gtn_core.errors import DataError, DivergedError, GTNError, UsageError
from gtn_sl import load_learner
from gtn_sl.data import download
from gtn_sl.evaluation import accuracy_of
from gtn_sl.nas.candidate import Candidate, decode_all, sample_seeing, sees
from gtn_sl.nas.final_training import FinalTraining, train_finally
from gtn_sl.nas.ground_truth import find_ground_truth, load_ground_truth, put_together, save_ground_truth
from gtn_sl.nas.spaces import find_space
from gtn_sl.nas.trainings import Course, train_all, training_folder

SPACE = find_space("nb201-small@channels=4")
SHORT = FinalTraining(epochs=0.3, batch_size=50)
FULL, SPARSE, BLIND = "c3-c3.c3-c3.c3.c3", "c3-sk.no-c1.a3.c3", "c3-c3.c3-no.no.no"


def candidate(text, space=SPACE):
    return Candidate(space, space.decode(text))


@pytest.fixture
def course():
    return Course(SPACE, "digits", SHORT)


def of_channels_last(module, data):
    return lambda images: module(data.normalise(images).contiguous(memory_format=torch.channels_last))


def test_training_learns_and_is_deterministic(digits):
    trained = train_finally(candidate(SPARSE), digits, FinalTraining(epochs=5, batch_size=50), 0)
    assert trained.validation > 0.6
    assert trained.steps == 100
    assert trained.images == 5000
    assert accuracy_of(of_channels_last(trained.module, digits), digits.test) == trained.test
    first, second, other = (train_finally(candidate(SPARSE), digits, SHORT, seed) for seed in (0, 0, 1))
    assert (first.validation, first.test, first.train_loss) == (second.validation, second.test, second.train_loss)
    assert other.train_loss != first.train_loss


@pytest.mark.parametrize("space", ["nb201-small@channels=4", "cells-small@channels=4", "macro-small"])
def test_auxiliary_head_trains_in_every_space_and_is_removed(digits, space):
    space = find_space(space)
    drawn = Candidate(space, space.sample(np.random.default_rng(3)))
    steps = []
    settings = resolve(
        FinalTraining, {"epochs": 0.2, "auxiliary": 0.4, "augmentation": "affine", "label_smoothing": 0.1}
    )
    trained = train_finally(drawn, digits, settings, 0, lambda done, loss, lr: steps.append((done, loss, lr)))
    assert [step for step, _, _ in steps] == [1, 2]
    assert steps[-1][1] == trained.train_loss
    assert 0 < steps[0][2] < settings.lr
    at_once = dataclasses.replace(settings, warm_up=1e-4)
    train_finally(drawn, digits, at_once, 0, lambda done, loss, lr: steps.append((done, loss, lr)))
    assert steps[2][2] == settings.lr
    assert not any(name.startswith("layers") for name in trained.module.state_dict())
    plain = train_finally(drawn, digits, dataclasses.replace(settings, auxiliary=0.0), 0)
    assert plain.train_loss != trained.train_loss


def test_divergence_error_names_the_step(digits):
    with pytest.raises(DivergedError, match="the loss is nan at step"):
        train_finally(candidate(FULL), digits, FinalTraining(epochs=1, lr=1e30, clip=1e30, warm_up=0.0), 0)


def test_divergence_in_last_step_is_detected(digits):
    settings = FinalTraining(epochs=0.01, lr=1e30, clip=1e30, warm_up=0.0)  # one step, after which no loss follows
    with pytest.raises(DivergedError, match="the learner's outputs are NaN"):
        train_finally(candidate(FULL), digits, settings, 0)


def curve_of(course, encoding, seed, folder):
    return training_folder(course, folder).path / "curves" / f"{encoding}-{seed}" / "metrics.jsonl"


def test_finished_trainings_are_reused_on_resume(course, tmp_path):
    both = decode_all(SPACE, [FULL, SPARSE])
    done = []
    first = train_all(course, both[:1], [0], tmp_path, after_one=done.append)
    assert len(done) == 1
    again = train_all(course, both, [0, 1], tmp_path, after_one=done.append)
    assert done[1] is None
    assert [(job.candidate.encoding, job.seed) for job in done[2:]] == [(SPARSE, 0), (FULL, 1), (SPARSE, 1)]
    assert again[FULL][0] == first[FULL][0]
    rows = [json.loads(line) for line in curve_of(course, SPARSE, 1, tmp_path).read_text().splitlines()]
    assert rows[-1]["real/test_accuracy"] == again[SPARSE][1]["test"]
    assert [row["iteration"] for row in rows if "train/loss" in row] == [
        again[SPARSE][1]["steps"]
    ]  # fewer steps than one point of the curve averages
    assert list(curve_of(course, SPARSE, 1, tmp_path).parent.glob("tensorboard/events*"))
    assert {"validation", "test", "cpu_seconds", "steps"} <= set(again[SPARSE][1])
    other = dataclasses.replace(course, settings=dataclasses.replace(SHORT, lr=0.05))
    assert training_folder(other, tmp_path).path != training_folder(course, tmp_path).path


def test_kept_networks_reload_with_same_accuracy(course, digits, tmp_path):
    course = dataclasses.replace(course, keeps_networks=True)
    run = train_all(course, [candidate(SPARSE)], [2], tmp_path)[SPARSE][2]
    other = dataclasses.replace(course, settings=dataclasses.replace(SHORT, lr=0.05))
    train_all(other, [candidate(SPARSE)], [2], tmp_path)  # must not replace the network of the first course
    paths = [training_folder(each, tmp_path).path / "networks" / f"{SPARSE}-2.safetensors" for each in (course, other)]
    assert load_learner(paths[1]).document["training"]["lr"] == 0.05
    classifier = load_learner(paths[0])
    assert classifier.document["learner"] == candidate(SPARSE).learner
    assert classifier.document["test_accuracy"] == run["test"]
    answers = classifier(digits.test.images).argmax(dim=1)
    assert float((answers == digits.test.labels).float().mean()) == pytest.approx(run["test"], abs=2e-3)
    assert accuracy_of(of_channels_last(classifier.net, digits), digits.test) == run["test"]


def test_unknown_names_are_rejected_before_training(course, tmp_path):
    for wrong, words in [
        ({"task": "digit"}, "did you mean 'digits'"),
        ({"settings": FinalTraining(augmentation="crop")}, "unknown augmentation 'crop'"),
    ]:
        with pytest.raises(UsageError, match=words):
            train_all(dataclasses.replace(course, **wrong), [candidate(FULL)], [0], tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_two_workers_give_same_accuracies_as_one(course, tmp_path):
    both = decode_all(SPACE, [FULL, SPARSE])
    one, two = (train_all(course, both, [0], tmp_path / str(n), workers=n) for n in (1, 2))
    for text in (FULL, SPARSE):
        assert one[text][0]["test"] == two[text][0]["test"]


def test_architectures_blind_to_the_image_are_not_drawn():
    assert sees(candidate(SPARSE), "digits")
    assert not sees(candidate(BLIND), "digits")
    drawn = sample_seeing(SPACE, "digits", 12, np.random.default_rng(0))
    assert len({c.encoding for c in drawn}) == 12
    assert all(sees(c, "digits") for c in drawn)
    assert drawn == sample_seeing(SPACE, "digits", 12, np.random.default_rng(0))


def runs_of(*accuracies):
    return {
        seed: {"validation": a, "test": a, "failure": None if a is not None else "the loss is nan", "cpu_seconds": 2.0}
        for seed, a in enumerate(accuracies)
    }


def test_ground_truth_omits_diverged_and_round_trips(course, tmp_path, caplog):
    truth = put_together(course, {FULL: runs_of(0.9, 0.8), SPARSE: runs_of(0.5, 0.6), BLIND: runs_of(0.1, None)})
    assert f"{BLIND} diverged" in caplog.text
    assert truth.accuracies() == pytest.approx([0.85, 0.55])
    assert truth.entries[FULL].parameters > truth.entries[SPARSE].parameters
    path = tmp_path / "truth.json"
    save_ground_truth(path, truth, "gtn-cli nas ground-truth")
    assert load_ground_truth(path) == find_ground_truth(str(path)) == truth
    assert len(path.read_text().splitlines()) == 4
    assert [c.encoding for c in truth.candidates()] == [FULL, SPARSE]


def test_changed_images_invalidate_trainings_and_ground_truth(tmp_path):
    path = tmp_path / "colours.npz"
    labels = np.arange(60) % 2
    images = (labels[:, None, None] * 150 + np.random.default_rng(0).integers(0, 100, (60, 8, 8))).astype(np.uint8)
    course = Course(SPACE, str(path), FinalTraining(epochs=10, batch_size=10))
    made = []
    for tested in (0, 1):
        mine = {"test_images": images[labels == 0], "test_labels": np.full(30, tested)}
        np.savez(path, train_images=images, train_labels=labels, **mine)
        found = train_all(course, [candidate(SPARSE)], range(1), tmp_path)
        made.append((found[SPARSE][0]["test"], put_together(course, found)))
    assert made[0][0] == pytest.approx(1 - made[1][0])
    save_ground_truth(tmp_path / "truth.json", made[0][1], "")
    with pytest.raises(DataError, match=r"colours\.npz differ from those that this ground truth was made on"):
        load_ground_truth(tmp_path / "truth.json").refuse_other_images()
    made[1][1].refuse_other_images()


def test_damaged_or_unknown_ground_truths_are_rejected(course, tmp_path):
    path = tmp_path / "truth.json"
    with pytest.raises(DataError, match="cannot read the ground truth"):
        load_ground_truth(path)
    save_ground_truth(path, put_together(course, {FULL: runs_of(0.9, 0.8), SPARSE: runs_of(0.5, 0.6)}), "")
    whole = path.read_text()
    fewer = json.loads(whole)
    fewer["architectures"][FULL]["test"].pop()
    none = json.dumps({**fewer, "architectures": {}})
    for damaged in (whole[:60], "[]", whole.replace("ground-truth", "teacher"), json.dumps(fewer), none):
        path.write_text(damaged)
        with pytest.raises(DataError, match="is not a ground truth"):
            load_ground_truth(path)
    path.write_text(whole.replace(FULL, "c3-c3"))
    with pytest.raises(UsageError, match="'c3-c3' is not an architecture"):
        load_ground_truth(path)
    with pytest.raises(UsageError, match="unknown ground truth 'nb201-mnist'"):
        find_ground_truth("nb201-mnist", tmp_path)


def test_batch_statistics_come_from_first_training_images(digits):
    trained = train_finally(candidate(SPARSE), digits, dataclasses.replace(SHORT, statistics_images=64), 0)
    means = [m.mean.clone() for m in trained.module.modules() if hasattr(m, "variance")]
    trained.module.train()
    with torch.no_grad():
        trained.module(digits.normalise(digits.train.images[:64]))
    again = [m.mean for m in trained.module.modules() if hasattr(m, "variance")]
    for one, other in zip(means, again, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_images_are_downloaded_before_workers_start(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "BASE_URLS", dict.fromkeys(download.BASE_URLS, "http://127.0.0.1:9/"))
    course, both = Course(SPACE, "mnist", SHORT, tmp_path / "none"), [candidate(FULL), candidate(SPARSE)]
    with pytest.raises(GTNError, match=r"^cannot fetch"):
        train_all(course, both, [0], tmp_path, workers=2)
