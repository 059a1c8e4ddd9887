"""Data streams as environments: order of the images, rewards, shares of several copies, rendering and errors."""

from __future__ import annotations

import pickle
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import error
from random_environments import REAL_STREAM, STREAMS, stream

from gtn_envs import DataStreamEnv, DataStreamVectorEnv, WeightsError
from gtn_envs.stream_picture import CAPTION, SIDE

T, B = 4, 6


def numbered(steps: int = T, batch: int = B, **fields: Any) -> Any:
    """Returns a stream whose images hold the index of their batch, and their own, in their first two pixels."""
    found = stream(steps, batch, **fields)
    images = np.zeros_like(found.images)
    images[:, :, 0, 0, 0] = np.arange(steps)[:, None]
    images[:, :, 0, 1, 0] = np.arange(steps * batch).reshape(steps, batch)
    return type(found)(found.source, found.document, images, found.labels)


def played(env: DataStreamEnv, seed: int | None = None) -> list[tuple[int, int]]:
    """Plays one episode; returns the index of the batch, and of the image, at every step."""
    image, _ = env.reset(seed=seed)
    seen, over = [], False
    while not over:
        seen.append((int(image[0, 0, 0]), int(image[0, 1, 0])))
        image, _, over, truncated, info = env.step(0)
        assert not truncated
        assert info == {}
    assert (int(image[0, 0, 0]), int(image[0, 1, 0])) == seen[-1]  # the final observation repeats the last image
    return seen


def test_given_order_keeps_batch_order_and_shuffles_within() -> None:
    env = DataStreamEnv(numbered())
    one, other = played(env, seed=0), played(env)
    for seen in (one, other):
        assert [batch for batch, _ in seen] == sorted(list(range(T)) * B)
        assert sorted(number for _, number in seen) == list(range(T * B))
    assert one != other  # a batch's images are reshuffled in every episode


def test_shuffled_batches_keep_each_batch_together() -> None:
    env = DataStreamEnv(numbered(order="shuffled-batches"))
    orders = set()
    for _ in range(10):
        batches = [batch for batch, _ in played(env)]
        assert all(len(set(batches[i : i + B])) == 1 for i in range(0, T * B, B))
        assert Counter(batches) == dict.fromkeys(range(T), B)
        orders.add(tuple(batches))
    assert len(orders) > 3


def test_all_shuffled_mixes_images_across_batches() -> None:
    env = DataStreamEnv(numbered(), order="all-shuffled")
    seen = played(env, seed=0)
    assert sorted(number for _, number in seen) == list(range(T * B))
    assert len({batch for batch, _ in seen[:B]}) > 1


@pytest.mark.parametrize("count", [1, 4, 5, 6, 10, 24])
@pytest.mark.parametrize("order", ["given", "all-shuffled"])
def test_shares_partition_stream_evenly(count: int, order: str) -> None:
    shares = [played(DataStreamEnv(numbered(), order=order, share=(i, count))) for i in range(count)]
    assert sorted(number for share in shares for _, number in share) == list(range(T * B))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1
    if order == "given":
        assert all([batch for batch, _ in share] == sorted(batch for batch, _ in share) for share in shares)


def test_share_contains_several_classes() -> None:
    """Teachers lay out the classes in turn; dealt out in that order, each of ten copies would see a single class."""
    layout = numbered(20, 10, soft=False)
    numbers = [number % 10 for _, number in played(DataStreamEnv(layout, share=(0, 10)))]
    assert len(set(numbers)) > 4


def test_batch_size_copies_show_one_batch_per_step() -> None:
    envs = DataStreamVectorEnv(numbered(), B, autoreset_mode="SameStep")
    images, _ = envs.reset(seed=0)
    for lap in range(2):
        for step in range(T):
            assert (images[:, 0, 0, 0] == step).all(), lap
            assert sorted(images[:, 0, 1, 0]) == list(range(step * B, (step + 1) * B))
            images, _, terminated, _, info = envs.step(np.zeros(B, int))
            assert terminated.all() == (step == T - 1)
            assert (len(info) > 0) == (step == T - 1)


def test_undivided_copies_match_single_environments() -> None:
    envs, alone = DataStreamVectorEnv(numbered(), 3, divide=False), [DataStreamEnv(numbered()) for _ in range(3)]
    images, _ = envs.reset(seed=7)
    np.testing.assert_array_equal(images, [env.reset(seed=7 + i)[0] for i, env in enumerate(alone)])
    for _ in range(T * B):
        step, expected = envs.step(np.zeros(3, int)), [env.step(0) for env in alone]
        for part, wanted in zip(step[:4], zip(*[e[:4] for e in expected], strict=True), strict=True):
            np.testing.assert_array_equal(part, np.array(wanted))
    assert step[2].all()


@pytest.mark.parametrize("make", [DataStreamEnv, DataStreamVectorEnv, partial(DataStreamVectorEnv, backend="torch")])
def test_pickle_holds_the_images_once(make: Any) -> None:
    source = stream(8, 32, (28, 28, 1))
    assert len(pickle.dumps(make(source))) < 1.5 * source.images.nbytes


def test_reward_is_one_for_label_or_its_soft_probability() -> None:
    source = stream(seed=3)
    labels = source.labels.reshape(-1, 3).astype(np.float32)
    images = source.images.reshape(len(source), -1)
    for soft in (False, True):
        env = DataStreamEnv(source, soft=soft)
        image, _ = env.reset(seed=0)
        for step in range(len(source)):
            label = labels[(images == image.ravel()).all(1).nonzero()[0][0]]
            image, reward, *_ = env.step(step % 3)
            assert reward == (label[step % 3] if soft else float(label.argmax() == step % 3))
            assert type(reward) is float


def test_correct_actions_earn_one_per_image() -> None:
    env = gym.make_vec(REAL_STREAM, num_envs=100, split="test")
    assert isinstance(env.unwrapped, DataStreamVectorEnv)
    source, total = env.unwrapped.stream, 0.0
    answers = {image.tobytes(): label.argmax() for image, label in zip(source.images[0], source.labels[0], strict=True)}
    images, _ = env.reset(seed=0)
    running = np.ones(100, bool)
    while running.any():
        images, rewards, terminated, _, _ = env.step(np.array([answers[image.tobytes()] for image in images]))
        total += rewards[running].sum()
        running &= ~terminated
    assert total == len(source) == 597


def test_step_after_termination_raises(files: dict[str, Path]) -> None:
    env = DataStreamEnv(files["GTN-TestStream-v0"])
    env.reset(seed=0)
    for _ in range(T * B):
        env.step(0)
    with pytest.raises(error.ResetNeeded, match="after an episode's end"):
        env.step(0)


def test_vector_env_truncates_at_time_limit(files: dict[str, Path]) -> None:
    for mode in ("SameStep", "NextStep", "Disabled"):
        envs = gym.make_vec("GTN-TestStream-v0", num_envs=2, max_episode_steps=5, autoreset_mode=mode)
        envs.reset(seed=0)
        ends = [envs.step(np.zeros(2, int))[2:4] for _ in range(5)]
        assert [bool(truncated.any()) for _, truncated in ends] == [False] * 4 + [True]
        assert not any(terminated.any() for terminated, _ in ends)


def test_modifying_observations_does_not_change_stream(files: dict[str, Path]) -> None:
    env = DataStreamEnv(files["GTN-TestStream-v0"])
    before = env.stream.images.copy()
    for image in (env.reset(seed=0)[0], env.step(0)[0]):
        assert image.any()
        image[:] = 0
    np.testing.assert_array_equal(env.stream.images, before)
    np.testing.assert_array_equal(env.reset(seed=0)[0], DataStreamEnv(files["GTN-TestStream-v0"]).reset(seed=0)[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order": "backwards"}, "order is 'backwards', expected one of given, shuffled-batches, all-shuffled"),
        ({"share": (2, 2)}, r"share is \(2, 2\), expected \(i, n\)"),
        ({"share": (0, 25)}, "n <= 24, the number of images"),
        ({"share": (0,)}, "share is"),
    ],
)
def test_invalid_order_or_share_is_rejected(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataStreamEnv(numbered(), **arguments)


def test_more_copies_than_images_are_rejected_if_divided() -> None:
    with pytest.raises(ValueError, match="num_envs is 25, but there are only 24 images"):
        DataStreamVectorEnv(numbered(), 25)
    assert DataStreamVectorEnv(numbered(), 25, divide=False).num_envs == 25


def test_file_of_learned_environment_is_rejected(files: dict[str, Path]) -> None:
    with pytest.raises(WeightsError, match="'kind' is 'synthetic-environment', expected 'stream'"):
        DataStreamEnv(files["GTN-TestBandit-v0"])


@pytest.mark.usefixtures("_no_window")
@pytest.mark.parametrize("id", [*STREAMS, REAL_STREAM])
def test_render_shows_enlarged_image_and_caption(id: str, files: dict[str, Path]) -> None:
    env = gym.make(id, render_mode="rgb_array")
    image, _ = env.reset(seed=0)
    zoom = SIDE // max(image.shape[:2])
    pictures = []
    for _ in range(3):
        picture = env.render()
        assert isinstance(picture, np.ndarray)
        assert picture.shape == (image.shape[0] * zoom + CAPTION, max(SIDE, image.shape[1] * zoom), 3)
        shown = picture[zoom // 2 : image.shape[0] * zoom : zoom, zoom // 2 : image.shape[1] * zoom : zoom]
        np.testing.assert_array_equal(shown, np.broadcast_to(image, (*image.shape[:2], 3)))
        pictures.append(picture)
        image = env.step(1)[0]
    assert (pictures[0][-CAPTION:] != pictures[1][-CAPTION:]).any()
    env.close()


@pytest.mark.usefixtures("_no_window")
def test_human_mode_and_vector_rendering(files: dict[str, Path]) -> None:
    window = gym.make("GTN-TestStream-v0", render_mode="human")
    window.reset(seed=0)
    window.step(0)
    assert window.render() is None
    window.close()
    envs = gym.make_vec("GTN-TestStream-v0", num_envs=2, render_mode="rgb_array")
    envs.reset(seed=0)
    envs.step(np.array([0, 1]))
    one, other = envs.render()  # type: ignore[misc]
    assert (one != other).any()
    assert envs.metadata["render_fps"] == gym.make("GTN-TestStream-v0").metadata["render_fps"]
    envs.close()


def test_render_without_pygame_raises(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    env = gym.make("GTN-TestStream-v0", render_mode="rgb_array")
    env.reset(seed=0)
    with pytest.raises(error.DependencyNotInstalled, match="pip install"):
        env.render()
