"""Registered ids: of files, image data sets and shipped environments; specs as JSON; rejected ids and files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import error
from gymnasium.envs.registration import EnvSpec
from random_environments import REAL_STREAM, REWARDS, STREAMS, VARIANTS, environment

from gtn_envs import (
    LearnedReward,
    WeightsError,
    file_of,
    make_weights,
    register_from_file,
    register_images,
    save_environment,
    shipped_ids,
)


def test_import_loads_no_torch_sb3_or_pygame() -> None:
    program = (
        "import sys, gtn_envs; sys.exit(str([m for m in ('torch', 'stable_baselines3', 'pygame') if m in sys.modules]))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stderr.strip() == "[]"


@pytest.mark.parametrize("id", [*VARIANTS, *REWARDS, *STREAMS, REAL_STREAM])
def test_spec_json_round_trip_makes_same_environment(id: str, files: dict[str, Path]) -> None:
    env = gym.make(id)
    assert env.spec is not None
    for spec in (gym.spec(id), env.spec):
        other = gym.make(EnvSpec.from_json(spec.to_json()))
        assert other.spec == env.spec
        assert str(other) == str(env)
        np.testing.assert_array_equal(other.reset(seed=3)[0], env.reset(seed=3)[0])
    vectorized = gym.make_vec(id, num_envs=2)
    assert vectorized.spec is not None
    again = gym.make_vec(EnvSpec.from_json(vectorized.spec.to_json()))
    np.testing.assert_array_equal(again.reset(seed=3)[0], vectorized.reset(seed=3)[0])


def test_module_prefix_of_id_imports_package() -> None:
    program = "import gymnasium as gym; print(gym.make('gtn_envs:GTN-CartPole-v0').reset(seed=0)[0].shape)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == "(4,)", run.stderr


def test_shipped_files_are_registered(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gtn_envs import document_file, registration, shipped

    write().rename(tmp_path / "GTN-Shipped-v0.safetensors")
    monkeypatch.setattr(shipped, "SHIPPED", tmp_path)
    monkeypatch.setattr(document_file, "SHIPPED", tmp_path)
    registration.register_shipped()
    try:
        assert gym.spec("GTN-Shipped-v0").kwargs == {"weights": "GTN-Shipped-v0"}
        gym.make("GTN-Shipped-v0").reset(seed=0)
    finally:
        del gym.registry["GTN-Shipped-v0"]


def test_registering_same_file_again_is_allowed(files: dict[str, Path]) -> None:
    id = "GTN-TestDiscrete-v0"
    assert register_from_file(files[id], id) is gym.spec(id)


def test_one_file_may_be_registered_under_several_spellings_of_its_path(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    path, id = write(), "GTN-TestSpelling-v0"
    link = tmp_path / "link.safetensors"
    link.symlink_to(path)
    try:
        for spelling in (path, tmp_path / ".." / tmp_path.name / path.name, link):
            assert register_from_file(spelling, id).kwargs == {"weights": str(spelling)}
        link.unlink()
        link.write_bytes(path.read_bytes())
        with pytest.raises(error.RegistrationError, match="is already registered"):
            register_from_file(path, id)
    finally:
        del gym.registry[id]


def test_register_images_rejects_id_of_another_environment() -> None:
    before = gym.spec("CartPole-v1")
    with pytest.raises(gym.error.RegistrationError, match="'CartPole-v1' is already registered"):
        register_images("mine.npz", "CartPole-v1")
    assert gym.spec("CartPole-v1") is before
    for _ in range(2):
        register_images("mine.npz", "GTN-TestImages-v0")
    del gym.registry["GTN-TestImages-v0"]


@pytest.mark.parametrize("id", ["GTN-TestImages", "GTN Test Images v0", ""])
def test_register_images_rejects_malformed_id(id: str) -> None:
    before = set(gym.registry)
    with pytest.raises(gym.error.RegistrationError, match="is not an environment id: expected"):
        register_images("digits", id)
    assert set(gym.registry) == before


def test_registering_rewritten_file_updates_spec(write: Callable[..., Path]) -> None:
    path, id = write(max_episode_steps=500), "GTN-TestRewritten-v0"
    try:
        assert register_from_file(path, id).max_episode_steps == 500
        assert write(max_episode_steps=20) == path
        assert register_from_file(path, id).max_episode_steps == gym.spec(id).max_episode_steps == 20
        path.write_bytes(b"no environment")
        with pytest.raises(WeightsError):
            register_from_file(path, id)
        assert gym.spec(id).max_episode_steps == 20
    finally:
        del gym.registry[id]


def test_relative_path_is_registered_as_absolute(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write()
    monkeypatch.chdir(path.parent)
    spec = register_from_file(path.name, "GTN-TestRelative-v0")
    try:
        assert spec.kwargs == {"weights": str(path)}
    finally:
        del gym.registry["GTN-TestRelative-v0"]


def test_invalid_ids_and_files_are_rejected(files: dict[str, Path], tmp_path: Path, write: Callable[..., Path]) -> None:
    path = files["GTN-TestBox-v0"]
    with pytest.raises(error.RegistrationError, match="'GTN-TestDiscrete-v0' is already registered, with"):
        register_from_file(path, "GTN-TestDiscrete-v0")
    with pytest.raises(error.RegistrationError, match="'CartPole-v1' is already registered"):
        register_from_file(path, "CartPole-v1")
    for id in ("GTN-Mine", "GTN Mine v0", ""):
        with pytest.raises(error.RegistrationError, match="is not an environment id: expected"):
            register_from_file(path, id)
    with pytest.raises(WeightsError, match=r"^file .* does not exist"):
        register_from_file(tmp_path / "absent.safetensors", "GTN-Mine-v0")
    with pytest.raises(WeightsError, match=r"must end in \.safetensors"):
        register_from_file(tmp_path / "weights.pt", "GTN-Mine-v0")
    reward = write(form="reward", task="Grid-v0")
    with pytest.raises(error.RegistrationError, match="the real task 'Grid-v0' is not registered"):
        register_from_file(reward, "GTN-Mine-v0")
    assert "GTN-Mine-v0" not in gym.registry


@pytest.mark.parametrize("task", [".relative:Task-v0", "broken_module_of_a_user:Task-v0"])
def test_rejected_file_keeps_previous_registration(
    task: str, write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module_of_a_user.py").write_text("raise RuntimeError('not today')")
    monkeypatch.syspath_prepend(tmp_path)
    path = write(form="reward")
    before = register_from_file(path, "GTN-Kept-v0")
    try:
        tensors, document = environment("reward")
        save_environment(path, tensors, {**document, "task": task})
        with pytest.raises(error.RegistrationError, match="is not registered"):
            register_from_file(path, "GTN-Kept-v0")
        assert gym.registry["GTN-Kept-v0"] is before
    finally:
        del gym.registry["GTN-Kept-v0"]


def test_spec_of_in_memory_environment_has_no_file() -> None:
    weights = make_weights(*environment())
    env = gym.make("GTN-CartPole-v0", weights=weights)
    assert env.spec is not None
    assert file_of(env.spec) is None
    assert env.spec != gym.make("GTN-CartPole-v0", weights=make_weights(*environment())).spec


def test_file_of_takes_id_or_spec(files: dict[str, Path]) -> None:
    id = "GTN-TestBox-v0"
    assert file_of(id) == file_of(gym.spec(id)) == files[id]
    assert file_of("CartPole-v1") is None
    with pytest.raises(error.NameNotFound):
        file_of("GTN-Absent-v0")


def test_run_folder_is_registered_by_its_file(write: Callable[..., Path]) -> None:
    file = write()
    run = file.parent / "run"
    run.mkdir()
    file = file.rename(run / "teacher.safetensors")
    spec = register_from_file(run, "GTN-TestRun-v0")
    try:
        assert spec.kwargs == {"weights": str(file)}
        assert file_of("GTN-TestRun-v0") == file
    finally:
        del gym.registry["GTN-TestRun-v0"]


def test_shipped_ids_are_listed_by_kind() -> None:
    environments, streams = shipped_ids("synthetic-environment"), shipped_ids(kind="stream")
    assert "GTN-CartPole-v0" in environments
    assert "GTN-Digits-v0" in streams
    assert sorted(environments + streams) == shipped_ids()
    with pytest.raises(ValueError, match="kind is 'mdp', expected one of"):
        shipped_ids("mdp")


def test_reward_id_makes_real_task_with_learned_reward(files: dict[str, Path]) -> None:
    env = gym.make("GTN-TestReward-v0")
    assert isinstance(env.unwrapped, type(gym.make("CartPole-v1").unwrapped))
    assert "LearnedReward" in str(env)
    assert env.spec is not None
    assert env.spec.max_episode_steps == 500
    short = gym.make("GTN-TestReward-v0", max_episode_steps=3)
    short.reset(seed=0)
    assert [short.step(0)[3] for _ in range(3)] == [False, False, True]
    assert LearnedReward.__name__ in env.spec.to_json()
