"""Files of learned environments: round trips, and errors that name the invalid field, tensor or file."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st
from random_environments import REWARDS, VARIANTS, environment, stream
from safetensors.numpy import save_file

from gtn_envs import (
    SyntheticEnv,
    SyntheticVectorEnv,
    WeightsError,
    load_environment,
    make_weights,
    read_document,
    save_environment,
)
from gtn_envs.space_encoding import decode_space, encode_space

SPACES = [
    spaces.Box(-np.inf, np.array([1.5, np.inf, 0.1], np.float32), (3,), np.float32),
    spaces.Box(np.float64(-0.1), np.float64(np.pi), (2, 3), np.float64),
    spaces.Box(0, 255, (2, 2), np.uint8),
    spaces.Box(np.float16(-0.1), np.float16(0.1), (), np.float16),
    spaces.Box(np.array([-(2**63), 0]), np.array([2**63 - 1, 2**53 + 1]), (2,), np.int64),
    spaces.Box(np.uint64(0), np.uint64(2**64 - 1), (1,), np.uint64),
    spaces.Discrete(7, start=-3),
]


def assert_same(found: spaces.Space[Any], expected: spaces.Space[Any]) -> None:
    """Compares a Box's bounds exactly, which its ``==`` does not."""
    assert found == expected
    assert found.dtype == expected.dtype
    if isinstance(expected, spaces.Box):
        assert isinstance(found, spaces.Box)
        np.testing.assert_array_equal(found.low, expected.low)
        np.testing.assert_array_equal(found.high, expected.high)


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_space_survives_json_round_trip(space: spaces.Space[Any]) -> None:
    text = json.dumps(encode_space(space), allow_nan=False)
    assert_same(decode_space(json.loads(text)), space)


@given(low=st.floats(-1e300, 1e300), width=st.floats(0, 1e300), dtype=st.sampled_from([np.float32, np.float64]))
def test_box_bounds_survive_json_round_trip(low: float, width: float, dtype: Any) -> None:
    with np.errstate(over="ignore"):
        bounds = np.array([low, low + width]).astype(dtype)
    space = spaces.Box(bounds[0], bounds[1], (2,), dtype)
    assert_same(decode_space(json.loads(json.dumps(encode_space(space)))), space)


@pytest.mark.parametrize("id", [*VARIANTS, *REWARDS])
def test_saved_environment_is_read_back_unchanged(id: str, tmp_path: Path) -> None:
    tensors, document = environment(**{**VARIANTS, **REWARDS}[id])
    path = tmp_path / "one.safetensors"
    save_environment(path, tensors, document)
    weights = load_environment(path)
    assert weights.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(weights.tensors[name], tensor)
    assert_same(weights.observation_space, document["observation_space"])
    assert_same(weights.action_space, document["action_space"])
    assert weights.document["stages"] == document["stages"]
    assert weights.document["metrics"] == {"return": 1.5}
    assert list(tmp_path.iterdir()) == [path]


def test_run_folder_stands_for_its_file(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write().rename(tmp_path / "teacher.safetensors")
    assert load_environment(tmp_path).path == SyntheticEnv(tmp_path).weights.path == file
    assert read_document(tmp_path) == read_document(file)
    # A shipped environment takes precedence over a run folder of its name.
    (tmp_path / "GTN-CartPole-v0").mkdir()
    file.rename(tmp_path / "GTN-CartPole-v0" / "teacher.safetensors")
    monkeypatch.chdir(tmp_path)
    assert load_environment("GTN-CartPole-v0").form == "mdp"
    assert load_environment("GTN-CartPole-v0").path != tmp_path / "GTN-CartPole-v0" / "teacher.safetensors"


def test_document_of_shipped_environment_is_read_by_id() -> None:
    assert read_document("GTN-CartPole-v0") == load_environment("GTN-CartPole-v0").document
    with pytest.raises(WeightsError, match=r"unknown shipped environment 'GTN-CartPol-v0' \(did you mean"):
        read_document("GTN-CartPol-v0")


def test_weights_are_read_only_after_pickling() -> None:
    for weights in (make_weights(*environment()), stream()):
        for copied in (pickle.loads(pickle.dumps(weights)), copy.deepcopy(weights)):
            assert copied.tensors.keys() == weights.tensors.keys()
            assert not any(tensor.flags.writeable for tensor in copied.tensors.values())


def test_weights_made_directly_are_validated() -> None:
    whole = make_weights(*environment())
    with pytest.raises(WeightsError, match=r"lacks the tensor 'initial\.log_std'"):
        dataclasses.replace(whole, tensors={})


def test_load_after_overwrite_reads_new_file(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    for seed in (1, 2):
        tensors, document = environment(seed=seed)
        save_environment(path, tensors, document)
        np.testing.assert_array_equal(load_environment(path).tensors["observation.std"], tensors["observation.std"])


def test_rejected_save_keeps_existing_file(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    tensors, document = environment()
    save_environment(path, tensors, document)
    before = path.read_bytes()
    with pytest.raises(WeightsError, match=r"observation\.std"):
        save_environment(path, {**tensors, "observation.std": np.zeros(4)}, document)
    with pytest.raises(WeightsError, match="not JSON"):
        save_environment(path, tensors, {**document, "metrics": {"return": float("nan")}})
    assert path.read_bytes() == before


_TWO = encode_space(spaces.Discrete(2))
_FOUR = encode_space(spaces.Box(-1.0, 1.0, (4,)))

FIELDS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"format": 2}, "'format' is 2, expected 1"),
    ({}, {"kind": "teacher"}, "'kind' is 'teacher', expected 'synthetic-environment'"),
    ({}, {"form": "pomdp"}, "'form' is 'pomdp', expected 'mdp' or 'bandit' or 'reward'"),
    ({}, {"activation": "gelu"}, "'activation' is 'gelu'"),
    ({}, {"task": None}, "'task' is None"),
    ({}, {"observation_space": {"type": "Dict"}}, "'observation_space' is not a space: its type is 'Dict'"),
    ({}, {"observation_space": {"type": "Box", "dtype": "float32"}}, "it lacks 'shape'"),
    ({}, {"observation_space": None}, "'observation_space' is None"),
    ({}, {"observation_space": spaces.Discrete(3)}, "'observation_space' is Discrete(3), expected a Box"),
    ({}, {"observation_space": spaces.Box(0, 9, (4,), np.int64)}, "'observation_space' is a Box of int64"),
    ({}, {"action_space": spaces.Box(-np.inf, 1, (2,))}, "expected finite bounds"),
    ({}, {"action_space": spaces.MultiBinary(2)}, "action_space: only Box and Discrete"),
    ({}, {"max_episode_steps": 0}, "'max_episode_steps' is 0, expected a positive integer"),
    ({}, {"max_episode_steps": True}, "'max_episode_steps' is True"),
    ({"form": "bandit"}, {"max_episode_steps": 2}, "'max_episode_steps' is 2, expected 1"),
    ({"form": "reward"}, {"max_episode_steps": 500}, "expected none in the reward form"),
    ({}, {"regret": 1}, "'regret' is 1, expected a boolean"),
    ({"task": "Pendulum-v1"}, {"regret": True}, "'regret' is True, expected a boolean, and true only where"),
    ({"form": "reward", "reward_mode": "potential"}, {"regret": True}, "'regret' is True"),
    (
        {"form": "bandit"},
        {"limit_terminates": True},
        "'limit_terminates' is True, expected a boolean, and true only in",
    ),
    (
        {"form": "reward", "reward_mode": "potential"},
        {"reward_reads_action": True},
        "'reward_reads_action' is True, expected a boolean, and true only where actions have rewards",
    ),
    ({"reward_reads_action": True}, {"regret": True}, "'regret' is True, expected a boolean, and true only where"),
    ({"task": "Pendulum-v1"}, {"reward_reads_action": 1}, "'reward_reads_action' is 1, expected a boolean"),
    ({"form": "reward"}, {"reward_mode": "sum"}, "'reward_mode' is 'sum'"),
    ({"form": "reward", "reward_mode": "potential"}, {"gamma": 1.5}, "'gamma' is 1.5"),
    ({}, {"format": True}, "'format' is True, expected 1"),
    ({}, {"action_space": {**_TWO, "n": 2.7}}, "it holds 2.7, expected an integer"),
    ({}, {"action_space": {**_TWO, "n": 2**70}}, "'action_space' is not a space"),
    ({}, {"action_space": {**_TWO, "dtype": "f4,,"}}, "its dtype is 'f4,,', expected one of float16"),
    ({}, {"observation_space": {**_FOUR, "dtype": None}}, "its dtype is None"),
    ({}, {"observation_space": {**_FOUR, "dtype": "float128"}}, "its dtype is 'float128'"),
    ({}, {"observation_space": {**_FOUR, "low": [10**400] * 4}}, "'observation_space' is not a space"),
]


@pytest.mark.parametrize(("variant", "fields", "message"), FIELDS, ids=[message for _, _, message in FIELDS])
def test_invalid_document_field_is_rejected(
    variant: dict[str, Any], fields: dict[str, Any], message: str, tmp_path: Path
) -> None:
    tensors, document = environment(**{"gamma": 0.9, **variant})
    with pytest.raises(WeightsError, match=re.escape(message)):
        save_environment(tmp_path / "one.safetensors", tensors, {**document, **fields})
    assert not list(tmp_path.iterdir())


TENSORS: list[tuple[str, Any, str]] = [
    ("observation.mean", np.zeros(3, np.float32), "'observation.mean' has shape (3,), expected (4,)"),
    ("observation.std", -np.ones(4, np.float32), "'observation.std' holds -1.0, expected values above 0"),
    ("initial.means", np.zeros((0, 4), np.float32), "'initial.means' has shape (0, 4), expected (any, 4)"),
    ("initial.log_std", None, "lacks the tensor 'initial.log_std' of shape (4,)"),
    ("reward.0.weight", np.zeros((5, 16), np.float32), "'reward.0.weight' has shape (5, 16), expected (4, 16)"),
    ("reward.1.bias", np.zeros(3, np.float32), "'reward.1.bias' has shape (3,), expected (2,)"),
    ("reward.1.weight", np.zeros((15, 2), np.float32), "'reward.1.weight' has shape (15, 2), expected (16, 2)"),
    ("reward.scale", np.ones(1, np.float32), "'reward.scale' has shape (1,), expected ()"),
    ("reward.3.weight", np.ones((2, 2), np.float32), "holds the tensor 'reward.3.weight'"),
    (
        "transition.0.weight",
        np.full((6, 16), np.nan, np.float32),
        "'transition.0.weight' holds a value that is not finite",
    ),
    ("transition.0.bias", np.zeros(16), "'transition.0.bias' has dtype float64, expected float32"),
    ("transition.1.weight", None, "'transition.0.bias' has shape (16,), expected (4,)"),
    ("termination.0.bias", None, "lacks the tensor 'termination.0.bias' of shape (8,)"),
    ("extra", np.zeros(1, np.float32), "holds the tensor 'extra' of shape (1,), which the format does not have"),
]


@pytest.mark.parametrize(("name", "tensor", "message"), TENSORS, ids=[message for _, _, message in TENSORS])
def test_invalid_tensor_is_rejected(
    name: str, tensor: Any, message: str, tmp_path: Path, write: Callable[..., Path]
) -> None:
    good = write()
    tensors, path = {**load_environment(good).tensors, name: tensor}, tmp_path / "wrong.safetensors"
    document = {"gtn": json.dumps(read_document(good))}
    save_file({key: value for key, value in tensors.items() if value is not None}, path, document)
    with pytest.raises(WeightsError, match=re.escape(message)) as caught:
        load_environment(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_damaged_or_foreign_files_are_rejected(tmp_path: Path, write: Callable[..., Path]) -> None:
    with pytest.raises(WeightsError, match=r"file .*absent\.safetensors does not exist"):
        load_environment(tmp_path / "absent.safetensors")
    with pytest.raises(WeightsError, match="unknown shipped environment 'GTN-Absent-v0'"):
        load_environment("GTN-Absent-v0")
    with pytest.raises(WeightsError, match=r"is neither a \.safetensors file, nor a run folder .*, nor a shipped"):
        load_environment(tmp_path)
    path = tmp_path / "foreign.safetensors"
    save_file({"a": np.zeros(1)}, path)
    with pytest.raises(WeightsError, match="not a GTN file: its safetensors header has no 'gtn' entry"):
        load_environment(path)
    texts = {"{": "is not JSON", "[]": "is a JSON list, not an object", "[" * 100_000: "is not JSON"}
    for text, message in {**texts, '{"n": %s}' % ("9" * 5000): "is not JSON"}.items():
        save_file({"a": np.zeros(1)}, path, {"gtn": text})
        with pytest.raises(WeightsError, match=message):
            load_environment(path)
    content = write().read_bytes()
    for size in (0, 7, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(WeightsError, match=f"{size:,} bytes.* is truncated or not a safetensors file"):
            load_environment(path)


def test_bfloat16_tensor_is_rejected(tmp_path: Path, write: Callable[..., Path]) -> None:
    import torch
    from safetensors.torch import save_file as save_torch_file

    good, path = write(), tmp_path / "converted.safetensors"
    tensors = {name: torch.tensor(tensor).bfloat16() for name, tensor in load_environment(good).tensors.items()}
    save_torch_file(tensors, path, {"gtn": json.dumps(read_document(good))})
    with pytest.raises(WeightsError, match=r"tensor '.*' has dtype BF16, which NumPy does not support"):
        load_environment(path)


def test_overlong_file_names_are_rejected() -> None:
    for name in ("x" * 5000, "x" * 5000 + ".safetensors"):
        with pytest.raises(WeightsError, match=r"unknown shipped environment|^file .* does not exist"):
            load_environment(name)


def test_ragged_or_text_tensor_is_rejected(tmp_path: Path) -> None:
    tensors, document = environment()
    for wrong in ([[1.0], [1.0, 2.0]], "text"):
        with pytest.raises(WeightsError, match=r"tensor 'observation\.mean' is not an array of numbers"):
            save_environment(tmp_path / "one.safetensors", {**tensors, "observation.mean": wrong}, document)


@pytest.mark.parametrize("regret", [False, True])
def test_negative_reward_scale_is_rejected(regret: bool) -> None:
    tensors, document = environment(regret=regret)
    with pytest.raises(WeightsError, match=r"tensor 'reward\.scale' holds -1\.0, expected at least 0"):
        make_weights({**tensors, "reward.scale": -1.0}, document)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("observation.std", 1e-40, "the networks and the tensors"),
        ("initial.log_std", 100.0, "the initial states and the"),
    ],
)
def test_values_that_overflow_float32_are_rejected(name: str, value: float, message: str) -> None:
    tensors, document = environment()
    weights = make_weights({**tensors, name: np.full(4, value, np.float32)}, document, "mine")
    for make in (SyntheticEnv, SyntheticVectorEnv):
        with pytest.raises(WeightsError, match=f"^mine: {message}"):
            make(weights)


def test_bounds_without_float32_number_between_are_rejected() -> None:
    tensors, document = environment(observation_space=spaces.Box(0.1, 0.1, (4,), np.float64))
    with pytest.raises(WeightsError, match="no float32 number lies between the bounds"):
        SyntheticEnv(make_weights(tensors, document))


def test_in_memory_environments_compare_by_identity() -> None:
    one, other = make_weights(*environment()), make_weights(*environment())
    assert one != other
    assert len({one, other, one}) == 2


def test_wrong_suffix_or_unwritable_path_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"must end in \.safetensors"):
        save_environment(tmp_path / "one.pt", *environment())
    with pytest.raises(WeightsError, match="cannot write"):
        save_environment(tmp_path / "absent" / "one.safetensors", *environment())
