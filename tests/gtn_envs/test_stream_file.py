"""Files of data streams: round trips, caching, and rejection of invalid or damaged ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_environments import stream
from safetensors.numpy import load_file, save_file

from gtn_envs import WeightsError, load_stream, make_stream, read_document, register_from_file, save_stream
from gtn_envs.document_file import read_tensors, write


@given(
    steps=st.integers(1, 3),
    batch=st.integers(1, 4),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 3])),
    order=st.sampled_from(["given", "shuffled-batches", "all-shuffled"]),
    schedule=st.booleans(),
)
def test_saved_stream_is_read_back_unchanged(
    steps: int, batch: int, shape: tuple[int, int, int], order: str, schedule: bool, tmp_path: Path
) -> None:
    made = stream(steps, batch, shape, order=order, note={"by": "hand"})
    rates = {"lr": np.full(steps, 0.1), "momentum": np.full(steps, 0.9)} if schedule else {}
    made = make_stream(made.images, made.labels, made.document, **rates)
    save_stream(tmp_path / "s.safetensors", made)
    read = load_stream(tmp_path / "s.safetensors")
    assert read.tensors.keys() == made.tensors.keys()
    for name, tensor in made.tensors.items():
        np.testing.assert_array_equal(read.tensors[name], tensor)
        assert read.tensors[name].dtype == tensor.dtype
        assert not read.tensors[name].flags.writeable
    assert read.document == made.document
    assert (read.order, read.steps, read.batch_size, len(read)) == (order, steps, batch, steps * batch)
    assert (read.task, read.class_names) == ("animals", ("ant", "bee", "cat"))


def test_unchanged_file_is_read_only_once(tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    save_stream(path, stream())
    first = load_stream(path)
    assert load_stream(str(path)) is first
    assert load_stream(first) is first
    save_stream(path, stream(seed=1))
    assert load_stream(path) is not first
    assert first.path == path
    assert stream().path is None


def test_make_stream_copies_images() -> None:
    images = np.zeros((1, 2, 4, 4, 1), np.uint8)
    labels = np.full((1, 2, 2), 0.5)
    made = make_stream(images, labels, {"task": "t", "class_names": ["a", "b"], "mean": [0], "std": [1]})
    images += 1
    assert made.images.max() == 0


FIELDS: list[tuple[dict[str, Any], str]] = [
    (
        {"kind": "teacher"},
        "is an image teacher, not an environment; convert it with gtn-cli export-dataset .*s.safetensors --out FILE",
    ),
    ({"kind": "learner"}, "'kind' is 'learner', expected 'synthetic-environment' or 'stream'"),
    ({"format": 2}, "'format' is 2, expected 1"),
    ({"task": None}, "'task' is None, expected the real task's name"),
    ({"class_names": ["one"]}, r"'class_names' is \['one'\], expected a list of at least two names"),
    ({"class_names": ["one", 2]}, "expected a list of at least two names"),
    ({"class_names": ["a", "b"]}, r"tensor 'labels' has shape \(4, 6, 3\), expected \(4, 6, 2\)"),
    ({"order": "backwards"}, "'order' is 'backwards', expected 'given' or"),
    ({"mean": [0.1, 0.2]}, r"'mean' is \[0.1, 0.2\], expected 1 numbers, one per channel"),
    ({"std": [0.0]}, "'std' is .*expected 1 numbers above 0"),
    ({"std": "wide"}, "'std' is 'wide'"),
    ({"mean": [10**400]}, "'mean' is .*expected 1 numbers"),
]


@pytest.mark.parametrize(("fields", "message"), FIELDS)
def test_invalid_document_field_is_rejected(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    path, made = tmp_path / "s.safetensors", stream()
    write(path, made.tensors, {**made.document, **fields})
    with pytest.raises(WeightsError, match=message) as caught:
        load_stream(path)
    assert str(path) in str(caught.value)


def test_make_stream_rejects_invalid_field_or_labels() -> None:
    made = stream()
    with pytest.raises(WeightsError, match=r"^the stream: 'mean' is \[nan\], expected 1 numbers"):
        make_stream(made.images, made.labels, {**made.document, "mean": [float("nan")]})
    for labels in (["ant", "bee"], [[1, 0], [1]]):
        with pytest.raises(WeightsError, match=r"^the stream: tensor 'labels' is not an array of numbers"):
            make_stream(made.images, labels, made.document)


def _without(tensors: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: tensor for key, tensor in tensors.items() if key != name}


TENSORS = [
    (lambda t: _without(t, "labels"), "lacks the tensor 'labels'"),
    (lambda t: {**t, "more": t["images"]}, "holds the tensor 'more', which the format does not have"),
    (lambda t: {**t, "images": t["images"].astype(np.float32)}, "'images' has dtype float32, expected uint8"),
    (lambda t: {**t, "labels": t["labels"].astype(np.float32)}, "'labels' has dtype float32, expected float16"),
    (
        lambda t: {**t, "images": t["images"][..., 0]},
        r"'images' has shape \(4, 6, 8, 8\), expected \(T, B, H, W, 1 or 3",
    ),
    (lambda t: {**t, "images": t["images"].repeat(2, -1)}, "expected .T, B, H, W, 1 or 3"),
    (lambda t: {**t, "images": t["images"][:0]}, "'images' has shape"),
    (lambda t: {**t, "labels": t["labels"][:3]}, r"'labels' has shape \(3, 6, 3\), expected \(4, 6, 3\)"),
    (lambda t: {**t, "labels": t["labels"] * np.float16(0.5)}, "'labels' holds a label that sums to 0.5, expected 1"),
    (lambda t: {**t, "labels": np.where(t["labels"] > 2, t["labels"], np.float16(np.nan))}, "'labels' holds nan"),
    (lambda t: {**t, "labels": t["labels"] - np.float16(1)}, "'labels' holds -.*expected probabilities"),
    (lambda t: {**t, "lr": np.ones(3, np.float32)}, r"'lr' has shape \(3,\), expected \(4,\)"),
    (lambda t: {**t, "lr": np.full(4, np.inf, np.float32)}, r"'lr' holds a value outside \[0, inf\)"),
    (lambda t: {**t, "momentum": np.ones(4, np.float32)}, r"'momentum' holds a value outside \[0, 1\)"),
]


@pytest.mark.parametrize(("change", "message"), TENSORS)
def test_invalid_tensor_is_rejected(change: Any, message: str, tmp_path: Path) -> None:
    path, made = tmp_path / "s.safetensors", stream()
    write(path, change(dict(made.tensors)), made.document)
    with pytest.raises(WeightsError, match=message):
        load_stream(path)
    with pytest.raises(WeightsError, match=message):
        register_from_file(path, "GTN-Wrong-v0")
    assert "GTN-Wrong-v0" not in gym.registry


def test_damaged_or_foreign_files_and_bad_paths_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "s.safetensors"
    with pytest.raises(WeightsError, match=r"^file .* does not exist"):
        load_stream(path)
    save_stream(path, stream())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match="truncated or not a safetensors file"):
        load_stream(path)
    save_file({"images": np.zeros(3)}, path)
    with pytest.raises(WeightsError, match="not a GTN file"):
        load_stream(path)
    with pytest.raises(WeightsError, match=r"must end in \.safetensors"):
        save_stream(tmp_path / "s.npz", stream())
    with pytest.raises(WeightsError, match="cannot write"):
        save_stream(tmp_path / "absent" / "s.safetensors", stream())
    with pytest.raises(WeightsError, match="unknown shipped environment 'GTN-Absent-v0'"):
        load_stream("GTN-Absent-v0")


def test_file_is_readable_with_safetensors(tmp_path: Path) -> None:
    path, made = tmp_path / "s.safetensors", stream()
    save_stream(path, made)
    np.testing.assert_array_equal(load_file(path)["images"], made.images)
    assert read_document(path)["kind"] == "stream"
    assert read_tensors(path).keys() == {"images", "labels"}
