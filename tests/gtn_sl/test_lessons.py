"""Lessons: orders of samples, reused samples, labels, other numbers of steps, and shared parameters."""

import pytest
import torch

from gtn_core.errors import UsageError
from gtn_sl.config import resolve_config
from gtn_sl.data import TASKS
from gtn_sl.lessons import ORDERS, Places, draw_lesson
from gtn_sl.teacher import seeded_teacher

STEPS, BATCH = 5, 4
TABLE = torch.arange(STEPS * BATCH).view(STEPS, BATCH)


def drawn(order, seed=3, places=None):
    return draw_lesson(places or Places(STEPS, BATCH), ORDERS[order], seed, STEPS, torch.device("cpu")).samples


def teacher(**settings):
    small = {"hidden": 5, "channels": [3, 2], "latent": 4, "warm_start": 0, **settings}
    layers = {"teacher": small, "inner": {"steps": STEPS, "batch_size": BATCH}, "outer": {"iterations": 1}}
    return seeded_teacher(resolve_config("digits", "fast", layers), TASKS["digits"], 0)


@pytest.mark.parametrize("order", sorted(ORDERS))
def test_order_shows_every_sample_once(order):
    assert torch.equal(drawn(order).flatten().sort().values, TABLE.flatten())
    assert torch.equal(drawn(order), drawn(order))


def test_each_order_arranges_samples_as_named():
    assert torch.equal(drawn("given"), TABLE)
    assert torch.equal(drawn("reversed"), TABLE.flip(0))
    batches = drawn("shuffled-batches")
    assert torch.equal(batches, TABLE[batches[:, 0] // BATCH])
    assert not torch.equal(batches, TABLE)
    mixed = drawn("all-shuffled")
    assert all(len(set((row // BATCH).tolist())) > 1 for row in mixed)
    for order in ("shuffled-batches", "all-shuffled"):
        assert not torch.equal(drawn(order, 3), drawn(order, 4))


@pytest.mark.parametrize("order", sorted(ORDERS))
def test_other_numbers_of_steps_keep_the_order_of_each_pass(order):
    def of(steps):
        return draw_lesson(Places(STEPS, BATCH), ORDERS[order], 3, steps, torch.device("cpu")).samples

    assert torch.equal(of(2), drawn(order)[:2])
    longer = of(2 * STEPS + 1)
    assert torch.equal(longer[:STEPS], drawn(order))
    again = longer[STEPS : 2 * STEPS]
    assert torch.equal(again.flatten().sort().values, TABLE.flatten())
    assert torch.equal(again, drawn(order)) == (order in ("given", "reversed"))


def test_few_samples_are_reused_cyclically():
    samples = drawn("given", places=Places(STEPS, BATCH, few=6))
    assert samples.flatten().tolist() == [m % 6 for m in range(STEPS * BATCH)]
    whole = drawn("given", places=Places(STEPS, BATCH, few=BATCH))
    assert torch.equal(whole, torch.arange(BATCH).expand(STEPS, BATCH))


def test_labels_follow_shuffled_samples():
    shuffled = teacher(curriculum="all-shuffled", labels="soft")
    with torch.no_grad():
        shuffled.labels.logits.normal_(generator=torch.Generator().manual_seed(0))
    lesson = shuffled.for_learner(8)
    given = torch.cat([shuffled.with_order("given").batch(step)[1] for step in range(STEPS)])
    for step in range(STEPS):
        samples = lesson.lesson.samples[step]
        assert torch.equal(lesson.batch(step)[1], given[samples])
        assert torch.equal(lesson.labels.told(lesson.lesson, step).argmax(dim=1), samples % 10)


def test_random_labels_match_generator_input():
    lesson = teacher(labels="random").for_learner(1)
    told = torch.cat([lesson.labels.told(lesson.lesson, step) for step in range(STEPS)])
    assert torch.equal(told, torch.cat([lesson.batch(step)[1] for step in range(STEPS)]))
    counts = torch.stack([teacher(labels="random").for_learner(seed).batch(0)[1] for seed in range(100)]).sum(
        dim=(0, 1)
    )
    assert (counts > 15).all()  # 400 labels, 40 expected per class


def test_with_order_leaves_teacher_unchanged():
    full = teacher()
    first, last = full.batch(0), full.batch(STEPS - 1)
    turned = full.with_order("reversed")
    assert torch.equal(turned.batch(0)[0], last[0])
    assert torch.equal(turned.for_learner(4).batch(STEPS - 1)[0], first[0])
    assert torch.equal(full.batch(0)[0], first[0])
    with pytest.raises(UsageError, match="unknown order 'reverse'; did you mean 'reversed'"):
        full.with_order("reverse")


@pytest.mark.parametrize(
    "change", [lambda taught: taught.for_steps(2 * STEPS), lambda taught: taught.with_order("given")]
)
def test_lesson_keeps_seed_when_steps_or_order_change(change):
    shuffled = teacher(curriculum="all-shuffled", labels="random")
    one, first = change(shuffled.for_learner(5)), change(shuffled).for_learner(5)
    assert torch.equal(one.batch(1)[0], first.batch(1)[0])
    assert not torch.equal(one.batch(1)[0], change(shuffled.for_learner(6)).batch(1)[0])


@pytest.mark.parametrize("steps", [2, STEPS, 13])
def test_extra_steps_continue_noise_and_restart_table(steps):
    endless = teacher(curriculum="none", labels="one-hot").for_steps(steps).for_learner(2)
    images = [endless.batch(step)[0] for step in range(steps)]
    assert len(torch.unique(torch.cat(images).flatten(1), dim=0)) == steps * BATCH
    full = teacher()
    again = full.for_steps(steps).for_learner(2)
    assert all(torch.equal(again.batch(step)[0], full.batch(step % STEPS)[0]) for step in range(steps))
    with torch.no_grad():
        full.inner_schedule.log_lr.copy_(torch.arange(STEPS))
    lr, momentum = again.schedule()
    assert lr.shape == momentum.shape == (steps,)
    assert torch.equal(lr, full.schedule()[0][torch.arange(steps).clamp(max=STEPS - 1)])
    torch.testing.assert_close(lr.log(), torch.arange(steps).clamp(max=STEPS - 1).float())


def test_lesson_without_steps_is_rejected():
    with pytest.raises(UsageError, match="at least one step, not 0"):
        teacher().for_steps(0)


def test_lesson_shares_teacher_parameters():
    made = teacher(curriculum="gaussian")
    lesson = made.for_learner(1)
    lesson.batch(0)[0].sum().backward()
    assert made.curriculum.mean.grad.abs().sum() > 0
    assert made.curriculum.log_sigma.grad[0].abs().sum() > 0
    with torch.no_grad():
        before = lesson.batch(0)[0]
        made.set_theta(made.theta() + 0.1)
    assert not torch.equal(lesson.batch(0)[0], before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype:UserWarning")
@pytest.mark.parametrize(
    ("curriculum", "labels"),
    [("full", "soft"), ("full", "random"), ("gaussian", "soft"), ("none", "random"), ("all-shuffled", "soft")],
)
def test_batches_do_not_synchronise_with_gpu(curriculum, labels):
    lesson = teacher(curriculum=curriculum, labels=labels).to("cuda").for_learner(1)
    lesson.batch(0)  # copies constants to the device
    try:
        torch.cuda.set_sync_debug_mode("error")
        for step in range(STEPS):
            for part in lesson.batch(step):
                if part.requires_grad:
                    part.sum().backward(retain_graph=True)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("labels", ["one-hot", "soft"])
def test_batches_smaller_than_classes_cycle_through_classes(labels):
    small = teacher(labels=labels)
    shown = torch.cat([small.batch(step)[1].argmax(dim=1) for step in range(STEPS)])
    assert torch.equal(shown, torch.arange(STEPS * BATCH) % 10)
