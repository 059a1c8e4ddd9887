"""A teacher as a PyTorch dataset: order, labels, epochs, and division among workers and processes."""

import dataclasses
import importlib.util
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from gtn_core.errors import UsageError
from gtn_sl import TeacherDataset, load_teacher
from gtn_sl.teacher import seeded_teacher

STEPS, SIZE = 5, 12
pytestmark = pytest.mark.filterwarnings(
    "ignore:This DataLoader will create"
)  # more workers than a small machine has cores


@pytest.fixture
def file(teacher_path):
    return load_teacher(teacher_path)


def batches_of(file):
    with torch.no_grad():
        images, labels = zip(*map(file.teacher.batch, range(STEPS)), strict=True)
    return torch.stack(images), torch.stack(labels)


def test_batches_equal_teacher_batches(file):
    images, labels = batches_of(file)
    dataset = TeacherDataset(file, batches=True)
    assert len(dataset) == len(list(dataset)) == STEPS
    for step, (x, y) in enumerate(dataset):
        assert torch.equal(x, images[step])
        assert torch.equal(y, labels[step])
        assert not x.requires_grad


def test_samples_come_in_order_of_teacher_batches(file):
    images, labels = batches_of(file)
    x, y = zip(*TeacherDataset(file), strict=True)
    assert torch.equal(torch.stack(x), images.flatten(0, 1))
    assert torch.equal(torch.stack(y), labels.flatten(0, 1))
    assert len(TeacherDataset(file)) == STEPS * SIZE


def test_index_labels_are_likeliest_classes(file):
    _, labels = batches_of(file)
    _, y = zip(*TeacherDataset(file, labels="index", batches=True), strict=True)
    assert torch.equal(torch.stack(y), labels.argmax(dim=2))


@pytest.mark.parametrize("batches", [False, True])
def test_workers_divide_steps_and_keep_order(file, batches):
    images, _ = batches_of(file)
    dataset = TeacherDataset(file, batches=batches)
    loader = DataLoader(dataset, batch_size=None if batches else SIZE, num_workers=2, multiprocessing_context="fork")
    assert torch.equal(torch.stack([x for x, _ in loader]), images)


@pytest.mark.parametrize("processes", [1, 2, 3, 5, 7, 11])
def test_shards_divide_steps_as_distributed_sampler_does(file, processes):
    images, _ = batches_of(file)
    for rank in range(processes):
        sampler = DistributedSampler(range(STEPS), processes, rank, shuffle=False)
        share = TeacherDataset(file, batches=True, shard=(rank, processes))
        assert len(share) == len(sampler)
        assert torch.equal(torch.stack([x for x, _ in share]), images[list(sampler)])


@pytest.mark.parametrize("workers", [2, 3])
def test_every_process_has_as_many_batches_of_any_size(file, workers):
    counts = set()
    for rank in range(3):
        dataset = TeacherDataset(file, shard=(rank, 3))
        loader = DataLoader(dataset, batch_size=SIZE - 1, num_workers=workers, multiprocessing_context="fork")
        counts.add(len(list(loader)))
    assert len(counts) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_epoch_selects_lesson_seed_also_in_workers(file, workers):
    shuffled = dataclasses.replace(file.config.teacher, curriculum="all-shuffled")
    teacher = seeded_teacher(dataclasses.replace(file.config, teacher=shuffled), file.teacher.task, 0)
    dataset = TeacherDataset(dataclasses.replace(file, teacher=teacher), batches=True, seed=3)
    fork = "fork" if workers else None
    loader = DataLoader(
        dataset, batch_size=None, num_workers=workers, persistent_workers=workers > 0, multiprocessing_context=fork
    )
    passes = []
    for epoch in (0, 1, 0):
        dataset.set_epoch(epoch)
        lesson = teacher.for_learner(3 + epoch)
        passes.append(torch.stack([images for images, _ in loader]))
        assert torch.equal(passes[-1], torch.stack([lesson.batch(step)[0] for step in range(STEPS)]))
    assert not torch.equal(passes[0], passes[1])


def test_schedule_has_learning_rate_and_momentum_of_each_step(file):
    lr, momentum = TeacherDataset(file).schedule()
    assert lr == pytest.approx([file.config.inner.lr] * STEPS)
    assert momentum == pytest.approx([file.config.inner.momentum] * STEPS)
    with torch.no_grad():
        for values in file.teacher.inner_schedule.parameters():
            values += torch.arange(STEPS) / STEPS
    later = TeacherDataset(file).schedule()
    assert later == tuple(values.tolist() for values in file.teacher.schedule())
    assert all(len(set(values)) == STEPS for values in later)


@pytest.mark.parametrize(
    ("given", "words"),
    [({"labels": "hard"}, "'soft' or 'index', not 'hard'"), ({"shard": (2, 2)}, r"rank < processes, not \(2, 2\)")],
)
def test_invalid_labels_and_shard_are_rejected(file, given, words):
    with pytest.raises(UsageError, match=words):
        TeacherDataset(file, **given)


def test_closed_loop_teacher_is_rejected(file):
    closed = dataclasses.replace(
        file.config, teacher=dataclasses.replace(file.config.teacher, curriculum="closed-loop")
    )
    teacher = seeded_teacher(closed, file.teacher.task, 0)
    with pytest.raises(UsageError, match="a data set needs batches that do not depend on the learner"):
        TeacherDataset(dataclasses.replace(file, teacher=teacher))


def test_docs_page_contains_example_verbatim():
    root = Path(__file__).resolve().parents[2]
    code = (root / "examples" / "train_on_teacher.py").read_text()
    assert f"```python\n{code}```" in (root / "docs" / "using-teachers.md").read_text()


def test_example_model_learns_from_shipped_digits():
    path = Path(__file__).resolve().parents[2] / "examples" / "train_on_teacher.py"
    spec = importlib.util.spec_from_file_location("train_on_teacher", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    torch.manual_seed(0)
    dataset = TeacherDataset("digits")
    model = example.convnet(1, 8, 10)
    example.train(model, dataset, epochs=3, lr=3e-3)
    assert example.test(model, dataset, None) > 0.8
