"""Compacting teachers to float16: which tensors are halved, equal accuracy, and rejection of an accuracy loss."""

import pytest
import torch

from gtn_core.checkpoint import load_checkpoint
from gtn_core.errors import GTNError
from gtn_sl import load_task, load_teacher
from gtn_sl.compact import FEW, compact_teacher, in_float16, units_of_work


@pytest.fixture(scope="module")
def data():
    return load_task("digits")


def test_only_large_float_tensors_in_range_are_halved():
    many = FEW + 1
    stored = in_float16(
        {
            "weights": torch.randn(many),
            "few": torch.randn(FEW),
            "large": torch.full((many,), 1e5),
            "infinite": torch.full((many,), float("inf")),
            "undefined": torch.full((many,), float("nan")),
            "classes": torch.zeros(many, dtype=torch.int64),
        }
    )
    assert [name for name, tensor in stored.items() if tensor.dtype == torch.float16] == ["weights"]


def test_compacted_teacher_is_smaller_and_as_accurate(teacher_path, tmp_path, data):
    file, path, calls = load_teacher(teacher_path), tmp_path / "half.safetensors", []
    done = compact_teacher(file, path, data, count=2, tolerance=0.1, after_learner=lambda: calls.append(None))
    again = load_teacher(path)
    assert len(calls) == units_of_work(file, 2) == 4
    assert done.learners == 2
    assert done.bytes_after == path.stat().st_size < done.bytes_before
    assert abs(done.before - done.after) < 0.1
    for mine, theirs in zip(again.teacher.batch(2), file.teacher.batch(2), strict=True):
        assert mine.dtype == torch.float32
        assert torch.allclose(mine, theirs, atol=0.02)
    assert again.config == file.config
    assert again.document["metrics"] == file.document["metrics"]
    assert again.document["storage"]["validation_accuracy"] == done.after
    assert torch.float16 in {tensor.dtype for tensor in load_checkpoint(path, "teacher")[0].values()}


def test_compact_writes_nothing_if_accuracy_drops_too_far(teacher_path, tmp_path, data):
    path = tmp_path / "half.safetensors"
    with pytest.raises(GTNError, match=r"loses -?\d\.\d\d points of validation accuracy in float16.*keep the original"):
        compact_teacher(load_teacher(teacher_path), path, data, count=1, tolerance=-1.0)
    assert not path.exists()
