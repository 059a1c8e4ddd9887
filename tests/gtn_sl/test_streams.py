"""Streams of real data and the controls: augmentation, soft labels, and meta-learned schedules."""

import dataclasses
import itertools
import math
from types import SimpleNamespace

import pytest
import torch

from gtn_core.errors import DivergedError, UsageError
from gtn_core.inner_optim import SGD
from gtn_core.inner_schedule import Schedule
from gtn_core.planning.plan import StepPlan
from gtn_core.run_folder import RunFolder
from gtn_core.seeding import Streams
from gtn_sl import judging, memory_use
from gtn_sl.claims import controls
from gtn_sl.config import resolve_config
from gtn_sl.data import AUGMENTATIONS, TASKS, load_task, sample_batches
from gtn_sl.judging import EvaluationPlan, control_plan, judge, units_of_work
from gtn_sl.streams import STREAMS, TRIALS, RealData, choose_schedule, learn_schedule
from gtn_sl.streams.real_classifier import RealTraining
from gtn_sl.streams.semi_supervised import SoftlyLabelled, label_the_rest
from gtn_sl.teacher_file import load_teacher
from gtn_sl.training import meta_train

SMALL = {
    "teacher": {"hidden": 16, "channels": [4, 2], "latent": 8, "warm_start": 0},
    "inner": {"steps": 3, "batch_size": 20},
    "learner": {"architecture": "base_fc:6,8,10", "random_widths": [[4, 8], [6, 10], [8, 12]]},
    "meta_loss": {"batch_size": 64, "every": 0, "augmentation": "cutout"},
    "outer": {"iterations": 1, "validations": 1},
    "validation": {"learners": 1},
    "compute": {"plan": {}},
}


@pytest.fixture(scope="module")
def data():
    return load_task("digits")


@pytest.mark.parametrize("side", [8, 28, 32])
def test_cutout_hides_square_of_at_most_half_the_side(side):
    images = torch.ones(200, 3, side, side)
    varied = AUGMENTATIONS["cutout"](images, torch.Generator().manual_seed(0), torch.tensor([-1.0] * 3))
    hidden = (varied == 0).sum(dim=(2, 3))
    assert (hidden[:, 0] == hidden[:, 2]).all()
    assert hidden.max() == (side // 2) ** 2
    assert 0 < hidden.min() < hidden.max()
    assert (images == 1).all()


def test_crop_flip_shifts_up_to_four_pixels_and_mirrors_half():
    height, width, count = 6, 9, 3000
    image = torch.arange(2 * height * width, dtype=torch.float32).view(2, height, width)
    black = torch.tensor([-1.0, -2.0])
    possible = {}  # every shift of the image and of its mirror image, on black
    for mirrored, down, right in itertools.product((False, True), range(-4, 5), range(-4, 5)):
        shifted = black.view(2, 1, 1).expand_as(image).clone()
        for row, column in itertools.product(range(height), range(width)):
            if 0 <= row - down < height and 0 <= column - right < width:
                source = column - right
                shifted[:, row, column] = image[:, row - down, width - 1 - source if mirrored else source]
        possible[shifted.numpy().tobytes()] = mirrored
    assert len(possible) == 2 * 9 * 9
    varied = AUGMENTATIONS["crop-flip"](image.expand(count, -1, -1, -1), torch.Generator().manual_seed(0), black)
    found = [one.contiguous().numpy().tobytes() for one in varied]
    assert set(found) == possible.keys()
    assert 0.45 < sum(possible[one] for one in found) / count < 0.55


@pytest.mark.parametrize("name", ["affine", "crop-flip", "crop-flip-cutout"])
def test_image_is_augmented_alike_beside_other_images(name):
    task = TASKS["cifar10"]
    pixels = torch.randint(100, 200, (20, *task.image_shape), generator=torch.Generator().manual_seed(1))
    images, (black, white) = task.normalise(pixels.byte()), task.value_range
    varied = []
    for first in (black, white):
        batch = torch.cat([first.view(1, 3, 1, 1).expand_as(images[:1]), images])
        varied.append(AUGMENTATIONS[name](batch, torch.Generator().manual_seed(0), black)[1:])
    assert torch.equal(*varied)


def test_augmented_batches_are_determined_by_seed(data):
    plain, varied = (
        RealData(data, data.train, 4, 16, SGD(), Schedule(4, 0.02, 0.5), augmentation=name)
        for name in ("none", "crop-flip-cutout")
    )
    a, b, c = (varied.for_learner(seed).batch(2)[0] for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert not torch.equal(a, plain.for_learner(1).batch(2)[0])
    with pytest.raises(UsageError, match="unknown augmentation 'cut'"):
        RealData(data, data.train, 4, 16, SGD(), Schedule(4, 0.02, 0.5), augmentation="cut")


def test_batches_are_not_drawn_from_generator_of_initial_weights(data):
    stream = RealData(data, data.train, 4, 16, SGD(), Schedule(4, 0.02, 0.5))
    labels = stream.for_learner(1).batch(2)[1].argmax(dim=1)
    as_weights = sample_batches(data.train, 4, 16, torch.Generator().manual_seed(1))[1][2]
    assert not torch.equal(labels, as_weights)


def test_lesson_is_stored_on_device_of_schedule(data):
    schedule = Schedule(4, 0.02, 0.5).to("meta")
    images, labels = RealData(data, data.train, 4, 16, SGD(), schedule).for_learner(1).batch(2)
    assert (images.device.type, labels.device.type) == ("meta", "meta")
    lesson = RealData(data, data.train, 4, 16, SGD(), schedule).for_learner(1)
    assert lesson._images.device.type == "meta"  # the whole lesson: the inner loop copies no batch


def test_soft_labels_follow_shuffled_images(data):
    probabilities = torch.rand(len(data.train), 10).softmax(dim=1)
    images = data.train.images
    stream = SoftlyLabelled(data, images, probabilities, 5, 16, SGD(), Schedule(5, 0.02, 0.5)).for_learner(3)
    shown, taught = stream.batch(4)
    pixels = data.normalise(images).flatten(1)
    where = [int((pixels == image.flatten()).all(dim=1).nonzero()[0]) for image in shown]
    assert torch.equal(taught, probabilities[where])


def test_label_the_rest_beats_chance_and_keeps_given_labels(data):
    images, probabilities = label_the_rest(data, "base_fc:16,24,32", 0, StepPlan(), RealTraining(steps=150))
    assert torch.equal(images, data.train.images)
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(len(images)))
    right = probabilities.argmax(dim=1) == data.train.labels
    given = probabilities.max(dim=1).values == 1
    assert right[given].all()
    assert given.sum() >= 0.1 * len(images)
    assert 0.6 < right[~given].float().mean() < 1


@pytest.mark.slow
def test_every_control_is_evaluated_beside_teacher(tmp_path, data):
    run = RunFolder(tmp_path / "run")
    meta_train(resolve_config("digits", "fast", SMALL), run)
    plan, seen = EvaluationPlan(["base_fc:6,8,10"], 1, 0, tuple(STREAMS), 2, 20), []
    results = judge(load_teacher(run.teacher), data, plan, seen.append)
    names = [result.name for result in results]
    assert names[:2] == ["teacher", "real data, cutout"]
    assert len(set(names)) == len(STREAMS) + 1
    assert len(seen) == units_of_work(plan)


@pytest.mark.parametrize("iterations", [0, 1])
def test_learners_that_try_schedules_are_units_of_work(teacher_path, data, iterations):
    plan, seen = EvaluationPlan(["base_fc:4,6,8"], 1, 0, ("real", "untrained"), iterations, 0), []
    judge(load_teacher(teacher_path), data, plan, seen.append)
    assert seen.count("choosing the schedule of real data") == 2 * TRIALS * iterations
    assert len(seen) == units_of_work(plan)


def diverging(*_arguments, **_settings):
    raise DivergedError("the loss is nan at step 3")


def test_control_whose_classifier_diverges_counts_as_guessing(teacher_path, data, monkeypatch, caplog):
    monkeypatch.setattr("gtn_sl.streams.semi_supervised.train_on_real", diverging)
    plan, seen = EvaluationPlan(["base_fc:4,6,8"], 2, 0, ("semi-supervised", "untrained"), 1, 20), []
    teacher, lost, untrained = judge(load_teacher(teacher_path), data, plan, seen.append)
    assert (lost.name, lost.diverged, lost.final.tolist()) == ("real data, 10% labelled", 2, [0.1, 0.1])
    assert lost.failure == "the loss is nan at step 3"
    assert (lost.curve_steps, lost.curves.shape) == (teacher.curve_steps, teacher.curves.shape)
    assert lost.curve_images == teacher.curve_images == 20
    assert untrained.diverged == 0
    assert len(seen) == units_of_work(plan)
    assert "10% labelled cannot be made for base_fc:4,6,8 learners" in caplog.text


def test_teacher_that_diverges_is_told_before_controls_are_made(teacher_path, data, monkeypatch):
    file = load_teacher(teacher_path)
    with torch.no_grad():
        file.teacher.inner_schedule.log_lr += 100
    monkeypatch.setattr(judging, "learn_schedule", None)  # an error if called
    with pytest.raises(DivergedError, match=r"every learner \(base_fc:4,6,8\) diverged on the teacher"):
        judge(file, data, EvaluationPlan(["base_fc:4,6,8"], 2, curve_images=0))


NETS = """
from torch import nn

class Smooth(nn.Sequential):
    def __init__(self, image_shape, classes):
        super().__init__(nn.Flatten(), nn.Linear(64, 8), nn.SiLU(), nn.Linear(8, classes))

class Large(Smooth):
    def forward(self, images):
        if len(images) > 100:
            raise MemoryError
        return super().forward(images)
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    (tmp_path / "nets_of_streams.py").write_text(NETS)
    monkeypatch.syspath_prepend(tmp_path)
    return "nets_of_streams"


def planned(path, plan):
    file = load_teacher(path)
    compute = dataclasses.replace(file.config.compute, plan=plan)
    return dataclasses.replace(file, config=dataclasses.replace(file.config, compute=compute))


def test_control_schedule_does_not_use_teacher_backend(teacher_path, data, nets):
    file = planned(teacher_path, StepPlan(backend="forward"))  # for which SiLU has no rule
    plan = EvaluationPlan([f"{nets}:Smooth"], count=1, controls=("real",), control_iterations=1, curve_images=0)
    assert [result.n for result in judge(file, data, plan)] == [1, 1]


def test_control_plan_keeps_graphs_that_fit_memory(teacher_path, monkeypatch):
    file = planned(teacher_path, StepPlan(layout="channels_last", keep_last_k=5))
    assert control_plan(file, "base_fc:4,6,8", "cpu") == StepPlan(layout="channels_last", keep_last_k=5)
    monkeypatch.setattr(memory_use, "CPU_MIB", 8.0)
    small = control_plan(file, "base_fc:64,64,64", "cpu")
    assert small.keep_last_k < 5
    assert small.layout == "channels_last"


def test_control_plan_respects_memory_setting_of_teacher(teacher_path):
    file = planned(teacher_path, StepPlan(keep_last_k=5))
    compute = dataclasses.replace(file.config.compute, memory_mib=8.0)
    narrow = dataclasses.replace(file, config=dataclasses.replace(file.config, compute=compute))
    kept = [control_plan(one, "base_fc:64,64,64", "cpu").keep_last_k for one in (file, narrow)]
    assert kept[1] < kept[0]


def test_no_control_plan_is_made_for_zero_control_iterations(teacher_path, data, monkeypatch):
    monkeypatch.setattr(judging, "control_plan", None)
    plan = EvaluationPlan(["base_fc:4,6,8"], count=1, controls=("real",), control_iterations=0, curve_images=0)
    assert [result.n for result in judge(load_teacher(teacher_path), data, plan)] == [1, 1]


def test_learn_schedule_reduces_memory_if_out_of_memory(data, nets, caplog):
    stream = RealData(data, data.train, 3, 16, SGD(), Schedule(3, 0.02, 0.5))
    before = stream.inner_schedule.log_lr.detach().clone()
    learn_schedule(stream, f"{nets}:Large", Streams(0), iterations=2, plan=StepPlan(keep_last_k=3))
    assert not torch.equal(stream.inner_schedule.log_lr, before)
    assert "keeping the graphs of 1 steps instead of 3" in caplog.text
    assert caplog.text.count("judging 100 real samples at a time instead of 200") == 1


def small_subset(data, schedule):
    return RealData(data, data.train, 6, 32, SGD(), schedule, subset=100)


@pytest.mark.parametrize("throughout", [False, True])
def test_schedule_is_chosen_by_validation_accuracy(data, throughout):
    slow, good, wild = (Schedule(6, lr, 0.5) for lr in (1e-6, 0.1, 1e30))
    for schedules in ([slow, good, wild], [wild, good, slow]):
        stream = small_subset(data, slow)
        choose_schedule(stream, schedules, "base_fc:6,8,10", Streams(0), throughout=throughout)
        assert stream.inner_schedule is good


def test_single_schedule_is_taken_untried(data):
    stream, only = small_subset(data, Schedule(6, 0.1, 0.5)), Schedule(6, 0.02, 0.5)
    choose_schedule(stream, [only], "no_such_learner", Streams(0))
    assert stream.inner_schedule is only


def test_claim_and_evaluation_give_a_subset_the_same_schedule(teacher_path, data, monkeypatch):
    chosen = []

    def noted(stream, schedules, *_arguments, **_settings):
        chosen.append((stream.subset, [schedule.log_lr.detach().clone() for schedule in schedules]))
        stream.inner_schedule = schedules[0]

    file = load_teacher(teacher_path)
    for module in (judging, controls):
        monkeypatch.setattr(module, "choose_schedule", noted)
    monkeypatch.setattr("gtn_sl.streams.real.images_of_equal_storage", lambda *_: 30)
    judge(file, data, EvaluationPlan(["base_fc:4,6,8"], 1, 3, ("subset",), 2, 0))
    base = dataclasses.replace(file.config, seed=3)
    scale = SimpleNamespace(control_steps=2, test_images=None)
    lab = SimpleNamespace(data=data, base=base, scale=scale, streams=Streams(3), device="cpu")
    controls.real_data(lab, file.config.inner, "base_fc:4,6,8", subset=30)
    (ours, (learned, initial)), (theirs, others) = chosen
    assert ours == theirs == 30
    assert not torch.equal(learned, initial)
    torch.testing.assert_close([learned, initial], others)


@pytest.mark.parametrize("shape", [(40, 40), (24, 72), (72, 24)])
def test_affine_rotates_without_shear_at_any_aspect_ratio(shape):
    height, width = shape
    images = torch.zeros(200, 2, height, width)
    images[:, 0, :, width // 2 - 1 : width // 2 + 1] = 1  # an upright bar
    images[:, 1, height // 2 - 1 : height // 2 + 1] = 1  # a lying one
    turned = AUGMENTATIONS["affine"](images, torch.Generator().manual_seed(0), torch.tensor([-1.0] * 2)) > 0.3
    angles = []
    for upright, lying in turned:
        angles.append([math.atan(_slope(upright)), -math.atan(_slope(lying.T))])
    upright, lying = torch.tensor(angles).T
    # Both bars turn by the same angle, up to the resolution; with shear, the angles differ by up to 37 degrees.
    assert (upright - lying).abs().max() < math.radians(5)
    assert math.radians(9) < upright.abs().max() < math.radians(14)


def _slope(bar):
    """Returns the slope of a bar in columns per row, by least squares over the middle rows."""
    rows, columns = bar[len(bar) // 4 : -len(bar) // 4].nonzero().double().T
    return float(((rows - rows.mean()) * columns).sum() / ((rows - rows.mean()) ** 2).sum())
