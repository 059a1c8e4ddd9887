"""Checkpoints: round trips, and errors for damaged, foreign or unwritable files."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from gtn_core.checkpoint import (
    load_checkpoint,
    load_document,
    load_into,
    pack_optimizer,
    save_checkpoint,
    unpack_optimizer,
)
from gtn_core.errors import CheckpointError, GTNError

names = st.text(st.characters(whitelist_categories=("Ll", "Nd")), min_size=1, max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, {"w": torch.arange(6.0).view(2, 3)}, {"kind": "thing", "note": 1})
    return path


@settings(max_examples=30)
@given(document=st.dictionaries(names, values, max_size=4), shape=st.lists(st.integers(0, 4), max_size=3))
def test_checkpoint_round_trip_preserves_tensors_and_document(tmp_path, document, shape):
    tensor = torch.randn(shape)
    save_checkpoint(tmp_path / "x.safetensors", {"t": tensor}, {**document, "kind": "thing"})
    tensors, found = load_checkpoint(tmp_path / "x.safetensors", "thing")
    assert torch.equal(tensors["t"], tensor)
    assert found == {**document, "kind": "thing", "format": 1}


def test_loading_truncated_file_raises_at_every_length(saved):
    content = saved.read_bytes()
    for length in range(len(content)):
        saved.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="truncated or not a safetensors file"):
            load_checkpoint(saved, "thing")


def test_load_document_rejects_foreign_and_missing_files(tmp_path, saved):
    foreign = tmp_path / "foreign.safetensors"
    save_file({"w": torch.zeros(2)}, foreign)
    with pytest.raises(CheckpointError, match="not a GTN file"):
        load_document(foreign, "thing")
    for header, words in [
        ("[1", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"format": %s}' % ("9" * 5000), "not JSON"),
        ('{"format": true}', "has no integer 'format'"),
        ("[]", "has no integer 'format'"),
        (json.dumps({"kind": "thing"}), "has no integer 'format'"),
        (json.dumps({"format": 99, "kind": "thing"}), "format 99, but this version reads at most 1"),
    ]:
        save_file({"w": torch.zeros(2)}, foreign, {"gtn": header})
        with pytest.raises(CheckpointError, match=words):
            load_document(foreign, "thing")
    with pytest.raises(CheckpointError, match="holds a 'thing', not a 'teacher'"):
        load_document(saved, "teacher")
    with pytest.raises(CheckpointError, match=r"^file .* does not exist"):
        load_document(tmp_path / "absent", "thing")


def test_save_into_missing_folder_raises_error(tmp_path):
    with pytest.raises(GTNError, match=r"cannot write .*nowhere"):
        save_checkpoint(tmp_path / "nowhere" / "x.safetensors", {}, {"kind": "thing"})


def test_load_into_names_misshapen_extra_or_missing_tensor(tmp_path):
    module = torch.nn.Linear(2, 3)
    state = module.state_dict()
    for change, words in [
        ({"weight": torch.zeros(3, 4)}, r"'weight' has shape \(3, 4\), but its architecture needs \(3, 2\)"),
        ({"extra": torch.zeros(1)}, "'extra', which its architecture does not have"),
    ]:
        with pytest.raises(CheckpointError, match=words):
            load_into(module, {**state, **change}, tmp_path)
    del state["bias"]
    with pytest.raises(CheckpointError, match="lacks the tensor 'bias'"):
        load_into(module, state, tmp_path)


def test_unpacked_optimizer_takes_identical_next_step():
    def make():
        torch.manual_seed(0)
        parameter = torch.nn.Parameter(torch.randn(4))
        return parameter, torch.optim.Adam([parameter], lr=0.1)

    def step(parameter, optimizer):
        optimizer.zero_grad()
        parameter.square().sum().backward()
        optimizer.step()

    (a, first), (b, second) = make(), make()
    step(a, first)
    tensors, rest = pack_optimizer(first)
    with torch.no_grad():
        b.copy_(a)
    unpack_optimizer(second, tensors, json.loads(json.dumps(rest)))
    step(a, first)
    step(b, second)
    assert torch.equal(a, b)


def test_tensors_sharing_memory_round_trip(tmp_path):
    one = torch.arange(6.0).view(2, 3)
    save_checkpoint(tmp_path / "x.safetensors", {"a": one, "b": one, "c": one.T}, {"kind": "thing"})
    tensors, _ = load_checkpoint(tmp_path / "x.safetensors", "thing")
    assert all(torch.equal(tensors[name], tensor) for name, tensor in {"a": one, "b": one, "c": one.T}.items())
