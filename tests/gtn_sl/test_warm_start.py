"""The warm start: fit to training images with every generator, and what stays unchanged."""

import pytest
import torch

from gtn_core.seeding import Streams
from gtn_sl.config import resolve_config
from gtn_sl.data import load_task
from gtn_sl.teacher import seeded_teacher
from gtn_sl.warm_start import _whitened_components, warm_start


@pytest.fixture(scope="module")
def data():
    return load_task("digits")


def started(data, epochs=60, samples=None, **teacher):
    settings = {
        "teacher": {"hidden": 16, "channels": [4, 2], "latent": 8, "samples": samples, **teacher},
        "inner": {"steps": 4, "batch_size": 20},
        "outer": {"iterations": 1},
    }
    new = seeded_teacher(resolve_config("digits", "fast", settings), data.task, 0)
    before = {name: value.clone() for name, value in new.state_dict().items()}
    return new, before, warm_start(new, data, epochs, Streams(0))


@pytest.mark.parametrize("generator", ["conditional", "dcgan", "joint"])
def test_network_generators_fit_real_images(data, generator):
    labels = "generated" if generator == "joint" else "soft"
    teacher, _, error = started(data, generator=generator, labels=labels)
    assert error < (
        0.75 if generator == "joint" else 0.6
    )  # real pixels have variance 1; a joint error includes that of the labels
    if generator == "joint":
        made = torch.cat([teacher.batch(step)[1].argmax(dim=1) for step in range(4)])
        assert (made == torch.arange(80) % 10).float().mean() > 0.9


@pytest.mark.parametrize("curriculum", ["full", "gaussian", "random-fixed"])
def test_pixels_start_as_training_images_of_their_class(data, curriculum):
    teacher, _, error = started(data, epochs=1, generator="pixels", curriculum=curriculum, samples=30)
    assert error == 0
    real = data.normalise(data.train.images).flatten(1)
    distances = torch.cdist(teacher.curriculum.stored().detach(), real, compute_mode="donot_use_mm_for_euclid_dist")
    assert distances.min(dim=1).values.max() < 1e-3
    assert torch.equal(data.train.labels[distances.argmin(dim=1)], torch.arange(30) % 10)


def test_fixed_noise_is_unchanged(data):
    teacher, before, error = started(data, curriculum="random-fixed")
    assert torch.equal(teacher.curriculum.noise, before["curriculum.noise"])
    assert error < 0.9


def test_few_samples_are_fitted_despite_batch_of_one(data):
    teacher, before, error = started(data, epochs=120, samples=41)  # the last sample joins the batch before
    assert error < 0.6
    unfitted, _, _ = started(data, epochs=0, samples=41)
    assert (teacher.curriculum.noise != unfitted.curriculum.noise).any(dim=1).all()
    assert not torch.equal(teacher.curriculum.noise, before["curriculum.noise"])
    assert torch.equal(teacher.labels.logits, before["labels.logits"])


@pytest.mark.parametrize("count", [6, 11, 12, 15])  # 12 centred images have 11 components beyond rounding errors
def test_whitened_components_match_covariance_eigenvectors(count):
    images = torch.randn(12, 1, 4, 5, generator=torch.Generator().manual_seed(0)).double()
    found = _whitened_components(images, count, Streams(0))
    flat = images.flatten(1) - images.flatten(1).mean(dim=0)
    _, _, directions = torch.linalg.svd(flat.T @ flat)
    wanted = flat @ directions[: min(count, 11)].T
    wanted = wanted / wanted.std(dim=0)
    known = found[:, : wanted.shape[1]]
    torch.testing.assert_close((known * wanted).mean(dim=0).abs(), wanted.square().mean(dim=0), rtol=1e-6, atol=1e-6)
    assert found.shape == (12, count)
    assert found.abs().max() < 10
    assert found.std(dim=0).min() > 0.3  # the rest is random, and no column is constant


def test_components_without_variance_are_replaced_by_noise():
    """Constant pixels would otherwise give columns of amplified rounding errors, which differ between machines."""
    images = torch.randn(40, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    images[:, 0, 0] = 0.3
    images[:, 0, 1, 0] = images[:, 0, 1, 1]
    found = _whitened_components(images, 20, Streams(0))
    noise = torch.randn(40, 6, generator=Streams(0).torch("warm-start-noise"))
    assert torch.equal(found[:, 14:], noise)
    torch.testing.assert_close(found[:, :14].T @ found[:, :14] / 39, torch.eye(14), rtol=0, atol=1e-4)
