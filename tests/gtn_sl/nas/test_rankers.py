"""Rankers: scores against reference computations, reuse of results, failures and specifications."""

import dataclasses
import importlib
import json
import logging
import math
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gtn_core.errors import DataError, DivergedError, GTNError, UsageError
from gtn_core.inner_optim import SGD
from gtn_core.inner_schedule import Schedule
from gtn_sl.config import resolve_config
from gtn_sl.data import TASKS, Split
from gtn_sl.nas.candidate import decode_all
from gtn_sl.nas.rankers import Score, Setting, find_ranker
from gtn_sl.nas.rankers.plain_network import with_plain_weights, without_norms
from gtn_sl.nas.rankers.protocol import Ranker
from gtn_sl.nas.rankers.size import flop_count, parameter_count
from gtn_sl.nas.rankers.user import UserRanker
from gtn_sl.nas.scorer import score_folder
from gtn_sl.nas.scoring import judgement_seeds, rank
from gtn_sl.nas.spaces import find_space
from gtn_sl.streams.fixed import Remembered, SmallSet
from gtn_sl.teacher import seeded_teacher
from gtn_sl.teacher_file import load_teacher, save_teacher

FULL, SPARSE, POOLS = "c3-c3.c3-c3.c3.c3", "c3-sk.no-c1.a3.c3", "a3-sk.no-a3.a3.sk"


@pytest.fixture
def three(setting):
    return decode_all(setting.space, [FULL, SPARSE, POOLS])


def ranker_of(function):
    return UserRanker("mine:score", function)


def test_parameter_and_flop_counts_match_hand_computation(setting):
    (candidate,) = decode_all(find_space("nb201-small@channels=4,stages=1"), ["no-no.no-c3.no.no"])
    # Stem 3x3 (36) and norm (8), conv 3x3 (144) and norm (8), last norm (8), classifier (50).
    assert parameter_count(candidate, setting.data.task) == 36 + 8 + 144 + 8 + 8 + 50
    # On 4x4 maps: 36 and 144 weights used 16 times each; the classifier's 40 once. Two operations each.
    assert flop_count(candidate, setting.data.task) == 2 * (36 * 16 + 144 * 16 + 40)


@pytest.mark.parametrize("name", ["parameters", "flops", "synflow", "snip", "grad_norm", "naswot"])
def test_more_convolutions_score_higher(setting, three, name):
    judge = find_ranker(name).prepare(setting)
    full, sparse, pools = (judge(candidate, 0).value for candidate in three)
    assert full > pools
    assert full > sparse


def test_plain_weights_preserve_outputs_and_norms_are_removed(setting):
    (candidate,) = decode_all(find_space("macro-small@norm=mean-only"), ["c3.s3.m3-c1.s1.a3"])
    module, images = candidate.module(setting.data.task, 0), setting.batch(5, 0)[0]
    plain = with_plain_weights(module)
    torch.testing.assert_close(plain(images), module(images))
    assert not any(hasattr(layer, "g") for layer in plain.modules())
    bare = without_norms(plain)
    torch.testing.assert_close(bare(images[:1])[0], bare(images)[0])  # batch statistics couple the images
    assert not torch.allclose(plain(images[:1])[0], plain(images)[0])


def test_synflow_of_linear_network_matches_hand_computation(setting):
    class Linear(nn.Sequential):
        pass

    from gtn_sl.nas.rankers.gradients import _synflow

    torch.manual_seed(0)
    net = Linear(nn.Flatten(), nn.Linear(64, 3, bias=False), nn.LeakyReLU(0.1), nn.Linear(3, 2, bias=False))
    flow = (net[3].weight.detach().abs() @ net[1].weight.detach().abs() @ torch.ones(64)).sum()
    assert _synflow(net, setting) == pytest.approx(2 * float(flow), rel=1e-5)  # the same sum for each of the two layers


def test_snip_and_grad_norm_match_torch_autograd(setting, three):
    module = three[0].module(setting.data.task, 7)
    images, labels = setting.batch(64, 7)
    F.cross_entropy(module(images), labels).backward()
    snip = sum(float((p.detach() * p.grad).abs().sum()) for p in module.parameters())
    norm = sum(float(p.grad.norm()) for p in module.parameters())
    assert find_ranker("snip").prepare(setting)(three[0], 7).value == pytest.approx(snip, rel=1e-4)
    assert find_ranker("grad_norm").prepare(setting)(three[0], 7).value == pytest.approx(norm, rel=1e-4)


def test_jacob_cov_is_higher_for_dissimilar_jacobians():
    from gtn_sl.nas.rankers.activations import _told_apart

    random = np.random.default_rng(0)
    different = random.normal(size=(8, 400)).astype(np.float32)
    alike = different[:1] + 0.01 * different
    assert _told_apart(different) > _told_apart(alike)
    assert math.isnan(_told_apart(np.zeros((8, 4), np.float32)))


def test_naswot_kernel_counts_units_on_which_images_agree(setting):
    from gtn_sl.nas.rankers.activations import _agreement

    images = torch.tensor([[1.0, -1.0, 2.0], [1.0, 1.0, -2.0]])
    assert _agreement(nn.LeakyReLU(0.1), images).tolist() == [[3.0, 1.0], [1.0, 3.0]]


def test_images_are_not_drawn_from_generator_of_initial_weights(setting):
    train, as_weights = setting.data.train, torch.Generator().manual_seed(7)
    images = setting.data.normalise(train.images[torch.randint(len(train), (16,), generator=as_weights)])
    assert not torch.equal(setting.batch(16, 7)[0], images)
    assert not torch.equal(setting.different(16, 7), images)


def test_small_set_is_not_shuffled_by_generator_of_initial_weights():
    images, schedule = torch.arange(50.0), Schedule(2, 0.1, 0.9)
    shown = SmallSet(images, images, 2, 25, SGD(), schedule).for_learner(7).batch(0)[0]
    as_weights = torch.randperm(50, generator=torch.Generator().manual_seed(7))[:25]
    assert not torch.equal(shown, images[as_weights])


def test_naswot_and_jacob_cov_use_distinct_images(setting, three):
    for name in ("naswot", "jacob_cov"):  # tells these scores from earlier ones on batches with repeats
        assert find_ranker(name).identity() == {"ranker": name, "images": "different"}
    train = setting.data.train
    few = Split(train.images[:70], train.labels[:70])  # 64 draws with replacement almost surely repeat an image
    data = dataclasses.replace(setting.data, train=few)
    narrow = dataclasses.replace(setting, load=lambda: data)
    assert len(torch.unique(narrow.different(64, 0), dim=0)) == 64
    assert len(narrow.different(100, 0)) == 70
    assert torch.equal(setting.different(8, 1), setting.batch(8, 1)[0])
    assert all(math.isfinite(find_ranker("naswot").prepare(narrow)(three[0], seed).value) for seed in range(3))


def test_real_ranker_scores_higher_with_more_steps(setting, three):
    short, long = (
        find_ranker(f"real@steps={k},batch_size=32,measure=loss").prepare(setting)(three[0], 0) for k in (1, 40)
    )
    assert long.value > short.value
    assert (long.steps, long.images) == (40, 1280)


@pytest.mark.parametrize("ranker", ["real", "subset", "distilled@file={file}", "equal-time@file={file}"])
def test_training_rankers_accept_sgd_and_adam(setting, three, teacher_file, ranker):
    name = ranker.format(file=teacher_file)
    name += f"{',' if '@' in name else '@'}batch_size=16,steps=3,optimizer="
    sgd, adam = (find_ranker(f"{name}{how}").prepare(setting)(three[0], 0) for how in ("sgd", "adam,eps=0.001"))
    assert 0 <= sgd.value <= 1
    assert 0 <= adam.value <= 1
    with pytest.raises(UsageError, match="did you mean 'adam'"):
        find_ranker(f"{name}adm").prepare(setting)(three[0], 0)


def test_distilled_ranker_rejects_closed_loop_teacher(setting, tmp_path):
    closed = resolve_config(
        "digits", "fast", {"teacher": {"curriculum": "closed-loop", "hidden": 8, "channels": [2, 2]}}
    )
    path = tmp_path / "teacher.safetensors"
    save_teacher(path, seeded_teacher(closed, TASKS["digits"], 0), closed, {})
    with pytest.raises(UsageError, match=r"ranker distilled@.* needs batches that do not depend on the learner"):
        find_ranker(f"distilled@file={path}").prepare(setting)


def test_teacher_ranker_trains_on_first_steps_of_teacher(setting, three, teacher_file):
    from gtn_core.unroll import InnerLoop, run
    from gtn_sl.evaluation import accuracy
    from gtn_sl.losses import inner_loss
    from gtn_sl.nas.rankers.short_training import PLAN

    score = find_ranker(f"teacher@file={teacher_file},steps=3").prepare(setting)(three[1], 5)
    teacher = load_teacher(teacher_file).teacher
    learner, phi = three[1].fresh(setting.data.task, 5, PLAN.layout)
    with torch.no_grad():
        lr, momentum = teacher.schedule()
        loop = InnerLoop(
            inner_loss(learner, PLAN),
            teacher.optimizer.bind(learner, phi),
            phi,
            teacher.batch_for,
            lr[:3],
            momentum[:3],
        )
        trail = run(loop)
    assert score.value == accuracy(learner, trail.final, trail.statistics[-1], setting.data, setting.judged_by())
    assert (score.steps, score.images) == (3, 30)


@pytest.mark.parametrize("curriculum", ["full", "shuffled-batches", "none"])
def test_teacher_batches_are_cached_if_equal_for_all_learners(setting, three, tmp_path, curriculum):
    own = {"hidden": 8, "channels": [2, 2], "latent": 4, "curriculum": curriculum, "warm_start": 0, "labels": "one-hot"}
    config = resolve_config("digits", "fast", {"teacher": own, "inner": {"steps": 4, "batch_size": 10}})
    path = tmp_path / "teacher.safetensors"
    save_teacher(path, seeded_teacher(config, TASKS["digits"], 0), config, {})
    ranker = find_ranker(f"teacher@file={path},measure=loss")
    (stream, steps), teacher = ranker.lessons(), load_teacher(path).teacher
    assert isinstance(stream, Remembered) == (curriculum == "full")
    for seed in (0, 3):
        shown, made = stream.for_learner(seed), teacher.for_learner(seed)
        for step in range(steps):
            assert all(torch.equal(a, b) for a, b in zip(shown.batch(step), made.batch(step), strict=True))


def test_root_seeds_give_disjoint_judgement_seeds(setting, three, tmp_path):
    ranker = find_ranker("real@steps=2,batch_size=20,measure=loss")
    found = [rank(ranker, three, setting, judgement_seeds(root, 2), tmp_path / str(root)).values for root in (0, 1)]
    roots = (0, 1, 2**16 - 1, 2**16, 2**32, 2**47, 2**63 - 1)
    assert (
        len({seed % 2**32 for root in roots for seed in judgement_seeds(root, 9)}) == len(roots) * 9
    )  # as torch reads
    assert all(0 <= seed < 2**63 for root in roots for seed in judgement_seeds(root, 9))
    assert found[0][FULL] != found[1][FULL]


def test_seeds_of_large_root_differ_in_what_torch_reads(monkeypatch):
    monkeypatch.setattr("gtn_sl.nas.scoring.TORCH_SEEDS", 20)
    seeds = judgement_seeds(2**16, 15)
    assert len({seed % 20 for seed in seeds}) == 15
    assert judgement_seeds(2**16, 5) == seeds[:5]


def test_teacher_ranker_identifies_own_images_by_content(tmp_path, setting, caplog):
    random, path, teacher = np.random.default_rng(0), tmp_path / "greys.npz", tmp_path / "teacher.safetensors"
    images, labels = random.integers(0, 256, (40, 8, 8)).astype(np.uint8), np.arange(40) % 4

    def save(images, to):
        np.savez(to, train_images=images, train_labels=labels, test_images=images, test_labels=labels)
        return Setting.of(setting.space, str(to))

    here = save(images, path)
    config = resolve_config(str(path), "fast", {"teacher": {"hidden": 8, "channels": [2, 2]}})
    save_teacher(teacher, seeded_teacher(config, here.task, 0), config, {})
    ranker = find_ranker(f"teacher@file={teacher}")
    ranker.check(here)
    ranker.check(save(images, tmp_path / "moved.npz"))
    assert not caplog.records
    with pytest.raises(UsageError, match=r"teaches .*greys\.npz, but architectures are judged on .*others\.npz"):
        ranker.check(save(images // 2, tmp_path / "others.npz"))
    with pytest.raises(UsageError, match=r"but architectures are judged on digits"):
        ranker.check(setting)
    ranker.check(save(images // 2, path))
    assert "have changed since" in caplog.text
    with pytest.raises(DataError, match=r"are \(1, 4, 8\) in 4 classes"):
        ranker.check(save(images[:, :4], path))


def test_paid_before_is_read_from_teacher_file_if_recorded(teacher_file, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "teacher.safetensors").write_bytes(teacher_file.read_bytes())
    for path in (teacher_file, run):
        assert find_ranker(f"teacher@file={path}").paid_before() == 12.5
    of_the_run, of_the_file = (find_ranker(f"teacher@file={path}").identity() for path in (run, teacher_file))
    assert of_the_run["teacher"] == of_the_file["teacher"]
    assert find_ranker(f"equal-time@file={run}").paid_before() == 0.0
    file = load_teacher(teacher_file)
    save_teacher(tmp_path / "unknown.safetensors", file.teacher, file.config, {})
    assert find_ranker(f"teacher@file={tmp_path / 'unknown.safetensors'}").paid_before() is None


def test_equal_time_budget_includes_share_of_meta_training(setting, three, teacher_file):
    alone = find_ranker(f"equal-time@file={teacher_file},batch_size=32").prepare(setting)(three[1], 0)
    shared = find_ranker(f"equal-time@file={teacher_file},batch_size=32,architectures=5").prepare(setting)(three[1], 0)
    assert 1 <= alone.steps < shared.steps
    assert shared.cpu_seconds >= 12.5 / 5
    assert alone.cpu_seconds < 12.5 / 50 + 0.2


def test_equal_time_raises_if_training_diverges(setting, three, teacher_file):
    judge = find_ranker(f"equal-time@file={teacher_file},batch_size=16,lr=1e30,architectures=50").prepare(setting)
    with pytest.raises(DivergedError, match="the training loss is nan"):
        judge(three[0], 0)


def test_real_ranker_improves_with_meta_learned_schedule(setting, three):
    plain, learned = (
        find_ranker(f"real@steps=4,batch_size=16,lr=0.001,measure=loss,learn={n}").prepare(setting)(three[0], 0).value
        for n in (0, 12)
    )
    assert learned > plain


def test_results_are_reused_and_damaged_files_regenerated(setting, three, tmp_path, caplog):
    asked = []

    def score(candidate, setting, seed):
        asked.append((candidate.encoding, seed))
        return float(len(candidate.encoding) + seed)

    first = rank(ranker_of(score), three[:2], setting, [0], tmp_path)
    assert rank(ranker_of(score), three[:2], setting, [0], tmp_path) == first
    assert asked == [(FULL, 0), (SPARSE, 0)]
    folder = score_folder(ranker_of(score), setting, tmp_path)
    whole = (folder.path / f"{FULL}.json").read_text()
    value = f'"value": {first.values[FULL]}'
    numbers = [whole.replace(value, f'"value": {other}') for other in ("NaN", '"1"', "null")]
    fields = [whole.replace(f'"{name}"', '"other"') for name in ("runs", "failure", "cpu_seconds")]
    assert whole not in numbers + fields
    for damaged in ("", "[]", "{}", whole[:40], whole.replace(FULL, POOLS), *numbers, *fields):
        (folder.path / f"{FULL}.json").write_text(damaged)
        caplog.clear()
        assert rank(ranker_of(score), three[:2], setting, [0], tmp_path).values == first.values
        assert f"{FULL}.json is damaged" in caplog.text
        assert asked[-1] == (FULL, 0)
    rank(ranker_of(score), three, setting, [0, 1], tmp_path)
    assert asked[-4:] == [(FULL, 1), (SPARSE, 1), (POOLS, 0), (POOLS, 1)]


def folder_of(score, setting, folder):
    return score_folder(ranker_of(score), setting, folder).path


def test_failed_architecture_is_recorded_and_ranked_last(setting, three, tmp_path, caplog):
    def score(candidate, setting, seed):
        if candidate.encoding == FULL:
            raise DivergedError("the loss is nan")
        return {SPARSE: math.nan, POOLS: -5.0}[candidate.encoding]

    with caplog.at_level(logging.WARNING):
        scores = rank(ranker_of(score), three, setting, [0], tmp_path)
    assert scores.order() == [POOLS, FULL, SPARSE]
    assert scores.failures == {FULL: "DivergedError: the loss is nan", SPARSE: "the score is nan"}
    assert f"{FULL}, seed 0, is ranked last" in caplog.text
    assert (
        rank(ranker_of(lambda *_: 1 / 0), three, setting, [0], tmp_path / "other").failures[POOLS].startswith("ZeroDiv")
    )
    kept = json.loads((score_folder(ranker_of(score), setting, tmp_path).path / f"{SPARSE}.json").read_text())
    assert kept["runs"]["0"]["value"] is None


def test_user_ranker_may_return_numpy_scalars(setting, three, tmp_path):
    def score(candidate, setting, seed):
        return Score(np.float32(1.5), steps=np.int64(3), images=np.int32(7), cpu_seconds=np.float32(0.5))

    costs = rank(ranker_of(score), three, setting, [0], tmp_path).costs
    assert (costs["steps"], costs["images"], costs["cpu_seconds"]) == (3, 7, 0.5)


def test_user_ranker_failures_are_retried(setting, three, tmp_path):
    mended = []

    def score(candidate, setting, seed):
        return 1.0 if mended or candidate.encoding != FULL else math.nan

    assert list(rank(ranker_of(score), three, setting, [0], tmp_path).failures) == [FULL]
    mended.append(True)
    scores = rank(ranker_of(score), three, setting, [0], tmp_path)
    assert scores.failures == {}
    rows = [
        json.loads(line) for line in (folder_of(score, setting, tmp_path) / "metrics.jsonl").read_text().splitlines()
    ]
    assert [row["iteration"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["score/best"] == 1.0


def test_out_of_memory_is_retried_but_other_failures_are_not(setting, three, tmp_path):
    """For a ranker with ``retries = False``, as all but a user's own are."""

    class Kept(UserRanker):
        retries = False

    def short(*_):
        raise MemoryError

    found = rank(Kept("mine:score", short), three[:1], setting, [0], tmp_path)
    assert found.failures[FULL].startswith("out of memory")
    assert rank(Kept("mine:score", lambda *_: 2.0), three[:1], setting, [0], tmp_path).values == {FULL: 2.0}
    assert "ZeroDiv" in rank(Kept("mine:score", lambda *_: 1 / 0), three[1:2], setting, [0], tmp_path).failures[SPARSE]
    assert SPARSE in rank(Kept("mine:score", lambda *_: 2.0), three[1:2], setting, [0], tmp_path).failures


def test_non_numeric_score_is_recorded_as_failure(setting, three, tmp_path):
    assert "TypeError" in rank(ranker_of(lambda *_: None), three[:1], setting, [0], tmp_path).failures[FULL]


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        ({"cpu_seconds": math.nan}, "the score's cpu_seconds is nan;"),
        ({"cpu_seconds": -1.0}, "the score's cpu_seconds is -1.0;"),
        ({"cpu_seconds": math.inf}, "the score's cpu_seconds is inf;"),
        ({"steps": -3}, "the score's steps is -3;"),
        ({"images": math.nan}, "ValueError: cannot convert float NaN to integer"),
    ],
)
def test_score_with_invalid_cost_is_recorded_as_failure(setting, three, tmp_path, caplog, cost, words):
    scores = rank(ranker_of(lambda *_: Score(1.0, **cost)), three[:1], setting, [0], tmp_path)
    assert scores.failures[FULL].startswith(words)
    assert all(0 <= value < math.inf for value in scores.costs.values())
    rank(ranker_of(lambda *_: Score(1.0, **cost)), three[:1], setting, [0], tmp_path)
    assert "damaged" not in caplog.text


def test_each_setting_gets_its_own_result_folder(setting, three, tmp_path):
    for ranker, where in [
        (find_ranker("random"), setting),
        (find_ranker("random"), dataclasses.replace(setting, images=50)),
        (find_ranker("random"), dataclasses.replace(setting, space=find_space("nb201-small@channels=5"))),
        (find_ranker("naswot"), setting),
        (find_ranker("naswot@batch_size=8"), setting),
    ]:
        rank(ranker, three[:1], where, [0], tmp_path)
    assert len(list((tmp_path / "scores").iterdir())) == 5


def test_interrupt_propagates_and_records_no_failure(setting, three, tmp_path):
    def score(candidate, setting, seed):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rank(ranker_of(score), three, setting, [0], tmp_path)
    assert score_folder(ranker_of(score), setting, tmp_path).encodings() == []


def test_user_rankers_are_imported_and_identified_by_source(setting, three, tmp_path, monkeypatch):
    (tmp_path / "my_rankers.py").write_text(
        "import functools\n"
        "from gtn_sl.nas.rankers import Score\n"
        "limit = 3\n"
        "def depth(candidate, setting, seed):\n"
        "    return candidate.encoding.count('c3')\n"
        "def counted(candidate, setting, seed):\n"
        "    return Score(candidate.encoding.count('c3'), steps=7)\n"
        "partly = functools.partial(depth)\n"
        "class Object:\n"
        "    def __call__(self, candidate, setting, seed):\n"
        "        return 1.0\n"
        "object = Object()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    scores = rank(find_ranker("my_rankers:depth"), three, setting, [0], tmp_path)
    assert scores.order() == [FULL, SPARSE, POOLS]
    assert rank(find_ranker("my_rankers:counted"), three, setting, [0], tmp_path).costs["steps"] == 7
    for path, words in [
        ("my_rankers:dept", "unknown attribute of the module 'my_rankers': 'dept'; did you mean 'depth'"),
        ("my_rankers:limit", "is a int, not a function"),
        ("no_such_module:f", "cannot import the ranker 'no_such_module:f'"),
    ]:
        with pytest.raises(UsageError, match=words):
            find_ranker(path)
    for name in ("partly", "object"):
        assert find_ranker(f"my_rankers:{name}").identity()["source"] is not None
    before = find_ranker("my_rankers:depth").identity()
    (tmp_path / "my_rankers.py").write_text("def depth(candidate, setting, seed):\n    return 1.0\n")
    sys.modules.pop("my_rankers")
    importlib.invalidate_caches()
    assert find_ranker("my_rankers:depth").identity() != before
    sys.modules.pop("my_rankers")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("synflw", "unknown ranker 'synflw'; did you mean 'synflow'"),
        ("real@step=3", "unknown config key 'step'; did you mean 'steps'"),
        ("real@steps=0", "greater than 0"),
        ("real@momentum=0.99", "less than 0.99"),
        ("equal-time@momentum=1", "less than 0.99"),
        ("supernet@momentum=0.995", "less than 0.99"),
    ],
)
def test_invalid_ranker_specifications_are_rejected(text, words):
    with pytest.raises(UsageError, match=words):
        find_ranker(text)


def test_missing_or_unsuitable_teacher_is_rejected(setting, three, teacher_file, tmp_path):
    def absent():
        raise AssertionError("it is told before any image is read")

    fashion = dataclasses.replace(setting, task=dataclasses.replace(setting.task, name="x"), load=absent)
    for text, where, words in [
        ("teacher", setting, "needs a teacher: teacher@file=RUN"),
        (f"teacher@file={teacher_file},steps=5", setting, "the teacher has only 4 steps"),
        (f"teacher@file={teacher_file}", fashion, "teaches digits, but architectures are judged on x"),
        (f"teacher@file={tmp_path / 'none'}", setting, r"file \S*none\S* does not exist"),
    ]:
        with pytest.raises(GTNError, match=words):
            rank(find_ranker(text), three, where, [0], tmp_path)


def test_ranking_without_architectures_is_rejected(setting, tmp_path):
    with pytest.raises(UsageError, match="no architectures or no seeds given"):
        rank(find_ranker("random"), [], setting, [0], tmp_path)


def test_ranker_is_abstract_and_score_steps_default_to_zero():
    with pytest.raises(TypeError):
        Ranker()
    assert Score(1.0).steps == 0
