"""The autoencoder loss: the encoder's codes, reconstruction, a run with it, and generators that cannot have it."""

import pytest
import torch

from gtn_core.errors import UsageError
from gtn_core.run_folder import RunFolder
from gtn_sl.config import resolve_config
from gtn_sl.data import load_task
from gtn_sl.teacher import seeded_teacher
from gtn_sl.teacher_file import load_teacher
from gtn_sl.training import meta_train

SMALL = {
    "teacher": {"hidden": 16, "channels": [4, 2], "latent": 8, "warm_start": 0},
    "inner": {"steps": 4, "batch_size": 20, "grow": 1.0, "first_steps": 2},
    "learner": {"architecture": "base_fc:6,8,10", "random_widths": [[4, 8], [6, 10], [8, 12]]},
    "meta_loss": {"batch_size": 64, "every": 2, "intermediate_batch_size": 16, "autoencoder": 0.5},
    "outer": {"iterations": 4, "lr": 0.01, "validations": 1},
    "validation": {"learners": 1},
    "compute": {"plan": {"keep_last_k": 2}},
}


@pytest.fixture(scope="module")
def data():
    return load_task("digits")


def configured(**teacher):
    return resolve_config("digits", "fast", SMALL, {"teacher": teacher})


def test_encoder_codes_have_zero_mean_and_unit_variance(data):
    teacher = seeded_teacher(configured(), data.task, 0)
    codes = teacher.encoder(data.normalise(data.train.images[:500]))
    assert codes.shape == (500, 8)
    torch.testing.assert_close(codes.mean(dim=0), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(codes.var(dim=0), torch.ones(8), atol=0.01, rtol=0)


@pytest.mark.parametrize("parts", [{}, {"generator": "joint", "labels": "generated", "curriculum": "none"}], ids=str)
def test_training_lowers_reconstruction_loss(data, parts):
    teacher = seeded_teacher(configured(**parts), data.task, 0)
    optimizer = torch.optim.Adam(teacher.trained(), lr=0.01)
    losses = []
    for step in range(150):
        chosen = torch.randint(len(data.train), (64,), generator=torch.Generator().manual_seed(step))
        loss = teacher.reconstruction_loss(data.normalise(data.train.images[chosen]), data.train.labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])


def test_run_with_autoencoder_logs_loss_and_saves_encoder(tmp_path):
    """Also checks that the number of inner steps grows as set."""
    run = RunFolder(tmp_path / "run")
    meta_train(configured(), run)
    rows = [row for row in run.metric_rows() if "meta/loss" in row]
    assert [row["inner/steps"] for row in rows] == [2, 2, 3, 3]
    assert all(0 < row["meta/teacher_loss"] < 2 for row in rows)
    assert load_teacher(run.teacher).teacher.encoder is not None


def test_pixel_generator_rejects_autoencoder_loss(data):
    with pytest.raises(UsageError, match=r"meta_loss\.autoencoder=0\.5 with teacher\.generator=pixels: .*no layers"):
        seeded_teacher(configured(generator="pixels"), data.task, 0)
