"""Real data sets as environments: ids, splits, pickling, changed images, and missing files or names."""

import pickle

import gymnasium as gym
import numpy as np
import pytest

from gtn_core.errors import DataError, UsageError
from gtn_envs import REAL_STREAMS, DataStreamEnv, DataStreamVectorEnv
from gtn_sl.data import TASKS, load_task
from gtn_sl.real_stream import SPLITS, real_stream


def test_every_task_has_registered_environment():
    assert set(REAL_STREAMS) == set(TASKS)
    for task, id in REAL_STREAMS.items():
        assert gym.spec(id).kwargs == {"task": task, "split": "train"}


@pytest.mark.parametrize("split", SPLITS)
def test_stream_holds_images_and_labels_of_split(split):
    stream, data = real_stream("digits", split), load_task("digits")
    chosen = getattr(data, split)
    np.testing.assert_array_equal(stream.images[0].transpose(0, 3, 1, 2), chosen.images.numpy())
    np.testing.assert_array_equal(stream.labels[0].argmax(1), chosen.labels.numpy())
    assert set(np.unique(stream.labels)) == {0.0, 1.0}
    assert (stream.document["split"], stream.class_names) == (split, TASKS["digits"].class_names)
    assert real_stream("digits", split) is stream


def test_split_argument_selects_split_of_environment():
    sizes = {split: len(gym.make("GTN-Digits-Real-v0", split=split).unwrapped.stream) for split in SPLITS}
    assert sizes == {"train": 1000, "validation": 200, "test": 597}
    assert len(gym.make("GTN-Digits-Real-v0").unwrapped.stream) == 1000
    envs = gym.make_vec("GTN-Digits-Real-v0", num_envs=7, split="test", soft=True)
    assert isinstance(envs, DataStreamVectorEnv)
    assert len(envs.stream) == 597


def test_environment_can_be_pickled():
    env = gym.make("GTN-Digits-Real-v0").unwrapped
    env.reset(seed=0)
    other = pickle.loads(pickle.dumps(env))
    assert isinstance(other, DataStreamEnv)
    np.testing.assert_array_equal(env.step(3)[0], other.step(3)[0])


def test_missing_image_files_raise_data_error(tmp_path):
    with pytest.raises(
        DataError, match=r"train-images-idx3-ubyte.gz does not exist; run `gtn-cli tasks --download mnist`"
    ):
        gym.make("GTN-MNIST-Real-v0", data_dir=str(tmp_path))
    with pytest.raises(DataError, match="does not exist; run"):
        gym.make_vec("GTN-MNIST-Real-v0", num_envs=2, data_dir=str(tmp_path))


def test_unknown_split_and_task_are_rejected():
    with pytest.raises(UsageError, match="unknown split 'tst'; did you mean 'test'"):
        gym.make("GTN-Digits-Real-v0", split="tst")
    with pytest.raises(UsageError, match="unknown task 'digit'"):
        real_stream("digit", "test")


def test_changed_images_are_reread_despite_cache(tmp_path):
    random, path = np.random.default_rng(0), tmp_path / "greys.npz"
    images, labels = random.integers(0, 256, (40, 8, 8)).astype(np.uint8), np.arange(40) % 4

    def stream():
        np.savez(path, train_images=images, train_labels=labels, test_images=images[:12], test_labels=labels[:12])
        return real_stream(str(path), "test")

    before = stream()
    assert stream() is before
    images = 255 - images
    after = stream()
    np.testing.assert_array_equal(after.images, 255 - before.images)
    assert sorted(map(bytes, after.images[0, ..., 0])) == sorted(map(bytes, images[:12]))
    assert before.document["data"] != after.document["data"]


@pytest.mark.parametrize("id", ["GTN-MNIST-Real-v0", "GTN-FashionMNIST-Real-v0"])
def test_environment_of_image_files_holds_whole_test_set(id, data_dir):
    env = gym.make(id, split="test", data_dir=str(data_dir))
    image, _ = env.reset(seed=0)
    assert image.shape == (28, 28, 1)
    assert len(env.unwrapped.stream) == 10_000
    assert env.unwrapped.stream.labels.sum(axis=(0, 1)).astype(int).min() > 800
