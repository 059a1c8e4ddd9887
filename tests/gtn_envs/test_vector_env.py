"""Vector environments: ``check_vector_env``, agreement with ``SyncVectorEnv``, both backends, workers, errors."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import error
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import vector as vector_wrappers
from random_environments import REAL_STREAM, STREAMS, VARIANTS, environment, singles

from gtn_envs import SyntheticVectorEnv, WeightsError, check_vector_env, make_weights
from gtn_envs.native_vector_env import NativeVectorEnv
from gtn_envs.shipped import shipped_ids

EVERY_KIND = [*VARIANTS, *STREAMS]
IDS = [*EVERY_KIND, REAL_STREAM, *shipped_ids()]
MODES = [mode.value for mode in AutoresetMode]
BACKENDS = ["numpy", "torch"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("id", IDS)
def test_vector_checker_passes(id: str, mode: str, backend: str, files: dict[str, Path]) -> None:
    env = gym.make_vec(id, num_envs=3, autoreset_mode=mode, backend=backend)
    assert isinstance(env, NativeVectorEnv)
    check_vector_env(env, steps=60)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("id", ["GTN-MountainCar-v0", "GTN-MountainCarBandit-v0"])
def test_rewards_are_equal_for_any_integer_action_dtype(id: str, backend: str) -> None:
    actions = np.arange(200) % 3
    found = []
    for dtype in (np.int64, np.uint8, np.int8, np.int16, np.uint32):
        env = gym.make_vec(id, num_envs=len(actions), backend=backend)
        env.reset(seed=0)
        found.append(np.asarray(env.step(actions.astype(dtype))[1]))
    for rewards in found[1:]:
        np.testing.assert_array_equal(rewards, found[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_uint64_actions_do_not_wrap(backend: str) -> None:
    tensors, document = environment()
    weights = make_weights(tensors, {**document, "action_space": gym.spaces.Discrete(2, start=-1)})
    env = SyntheticVectorEnv(weights, 2, backend=backend)
    env.reset(seed=0)
    env.step(np.array([0, 0], np.uint64))
    for wrong in (2**64 - 1, 2**63, 1):
        with pytest.raises(error.InvalidAction):
            env.step(np.array([0, wrong], np.uint64))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("id", EVERY_KIND)
def test_steps_match_sync_vector_env(id: str, mode: str, backend: str, files: dict[str, Path]) -> None:
    ours = gym.make_vec(id, num_envs=5, autoreset_mode=mode, backend=backend)
    theirs = SyncVectorEnv(singles(id, 5), autoreset_mode=mode)
    ours.action_space.seed(0)
    masked = mode == AutoresetMode.DISABLED.value
    close(ours.reset(seed=11)[0], theirs.reset(seed=11)[0])
    resets = 0
    for _ in range(80):
        actions = ours.action_space.sample()
        a, b = ours.step(actions), theirs.step(actions)
        for part, expected in zip(a[:4], b[:4], strict=True):
            close(part, expected)
            assert backend == "torch" or part.dtype == expected.dtype
        info, expected_info = a[4], b[4]
        assert info.keys() == expected_info.keys()
        over = b[2] | b[3]
        resets += int(over.sum())
        if info:
            assert list(info) == list(expected_info)
            assert info["final_info"] == expected_info["final_info"]
            close(info["_final_info"], expected_info["_final_info"])
            close(info["_final_obs"], expected_info["_final_obs"])
            for i in range(5):
                if over[i]:
                    close(info["final_obs"][i], expected_info["final_obs"][i])
                else:
                    assert expected_info["final_obs"][i] is None
                    assert backend == "torch" or info["final_obs"][i] is None
        if masked and over.any():
            options = [{"reset_mask": over.copy()} for _ in range(2)]
            close(ours.reset(options=options[0])[0], theirs.reset(options=options[1])[0])
    assert resets > 5


@pytest.mark.parametrize("mode", MODES)
def test_masked_and_seeded_resets_match_sync_vector_env(mode: str, files: dict[str, Path]) -> None:
    ours = gym.make_vec("GTN-TestEndless-v0", num_envs=4, autoreset_mode=mode)
    theirs = gym.make_vec(
        "GTN-TestEndless-v0", num_envs=4, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}
    )
    mask = np.array([True, False, True, False])
    for env in (ours, theirs):
        env.reset(seed=[3, 1, 4, 1])
        env.action_space.seed(0)
    for arguments in ({"seed": [9, None, None, 2]}, {"seed": 5}, {}):
        for _ in range(3):
            actions = ours.action_space.sample()
            close(ours.step(actions)[0], theirs.step(actions)[0])
        options = {"reset_mask": mask.copy()}
        close(
            ours.reset(**arguments, options=options)[0],
            theirs.reset(**arguments, options={"reset_mask": mask.copy()})[0],
        )
        assert options.keys() == {"reset_mask"}
    # A copy's elapsed steps restart only when that copy is reset.
    for _ in range(25):
        actions = ours.action_space.sample()
        a, b = ours.step(actions), theirs.step(actions)
        np.testing.assert_array_equal(a[3], b[3])
        if mode == "Disabled" and a[3].any():
            break
    assert ours.np_random_seed == theirs.np_random_seed


@pytest.mark.parametrize("id", EVERY_KIND)
def test_copies_match_single_environments(id: str, files: dict[str, Path]) -> None:
    """Bandits over CartPole play more episodes than a block of initial states holds."""
    envs, n = gym.make_vec(id, num_envs=3, autoreset_mode="SameStep", max_episode_steps=4), 3
    alone = [make() for make in singles(id, n, max_episode_steps=4)]
    close(envs.reset(seed=20)[0], np.stack([env.reset(seed=20 + i)[0] for i, env in enumerate(alone)]))
    envs.action_space.seed(1)
    for _ in range(150):
        actions = envs.action_space.sample()
        observations, rewards, terminated, truncated, _ = envs.step(actions)
        for i, env in enumerate(alone):
            observation, reward, *ends, _ = env.step(actions[i])
            assert [terminated[i], truncated[i]] == ends
            if any(ends):
                observation, _ = env.reset()
            close(observations[i], observation)
            assert rewards[i] == pytest.approx(reward, abs=1e-5)


@pytest.mark.parametrize("id", ["GTN-TestBandit-v0", "GTN-TestGrid-v0"])
def test_initial_states_match_single_environments_exactly(id: str, files: dict[str, Path]) -> None:
    """For copies in different groups that draw together (32 at a time), over several blocks of initial states."""
    envs, alone = SyntheticVectorEnv(files[id], 70), {i: gym.make(id) for i in (0, 31, 32, 69)}
    for reset in range(300):
        seed = 5 if reset == 0 else None
        observations, _ = envs.reset(seed=seed)
        for i, env in alone.items():
            np.testing.assert_array_equal(observations[i], env.reset(seed=seed and seed + i)[0])


@pytest.mark.parametrize("id", ["GTN-TestDiscrete-v0", "GTN-TestStream-v0"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_pickle_continues_trajectory(backend: str, id: str, files: dict[str, Path]) -> None:
    env = gym.make_vec(id, num_envs=4, backend=backend)
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(10):
        env.step(env.action_space.sample())
    other = pickle.loads(pickle.dumps(env))
    for _ in range(400):
        actions = env.action_space.sample()
        for a, b in zip(env.step(actions)[:4], other.step(actions)[:4], strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_torch_backend_returns_tensors(files: dict[str, Path]) -> None:
    env = gym.make_vec("GTN-TestGrid-v0", num_envs=2, backend="torch", device="cpu", autoreset_mode="SameStep")
    observations, _ = env.reset(seed=0)
    assert observations.dtype == torch.float64
    assert observations.shape == (2, 2, 3)
    observations, rewards, terminated, truncated, _ = env.step(torch.tensor([5, 6]))
    assert [part.dtype for part in (rewards, terminated, truncated)] == [torch.float32, torch.bool, torch.bool]
    assert not rewards.requires_grad


@pytest.mark.parametrize("id", ["GTN-TestBox-v0", "GTN-Digits-v0"])
@pytest.mark.parametrize("mode", MODES)
def test_reset_works_after_steps_in_inference_mode(id: str, mode: str, files: dict[str, Path]) -> None:
    def played(inference: bool) -> list[Any]:
        with torch.inference_mode(inference):
            env = gym.make_vec(id, num_envs=2, backend="torch", autoreset_mode=mode)
            env.reset(seed=0)
            actions = torch.zeros(env.action_space.shape, dtype=getattr(torch, str(env.action_space.dtype)))
            env.step(actions)
        env.reset(seed=1, options={"reset_mask": np.array([True, False])})
        return [*env.step(torch.zeros_like(actions))[:4]]

    for found, expected in zip(played(True), played(False), strict=True):
        assert torch.equal(found, expected)
        assert not found.is_inference()


def test_torch_accepts_rounded_and_reversed_numpy_actions(files: dict[str, Path]) -> None:
    envs = [gym.make_vec("GTN-TestBox-v0", num_envs=3, backend=backend) for backend in BACKENDS]
    actions = np.array([[2.00000001], [0.5], [-1.0]])  # float64 beyond the bound, but 2 in the space's float32
    for given in (actions, actions[::-1]):
        for env in envs:
            env.reset(seed=0)
        numpy_steps, torch_steps = (env.step(given) for env in envs)
        np.testing.assert_allclose(torch_steps[1], numpy_steps[1], atol=1e-5)


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "statistics": vector_wrappers.RecordEpisodeStatistics,
    "normalized": vector_wrappers.NormalizeObservation,
    "rewards": vector_wrappers.NormalizeReward,
    "flat": vector_wrappers.FlattenObservation,
    "rescaled": lambda envs: vector_wrappers.RescaleObservation(envs, np.float32(-1), np.float32(1)),
}


@pytest.mark.parametrize("as_tensors", [False, True])
@pytest.mark.parametrize("name", WRAPPERS)
def test_gymnasium_vector_wrappers_take_numpy_backend(name: str, as_tensors: bool) -> None:
    envs = WRAPPERS[name](gym.make_vec("GTN-PendulumBandit-v0", num_envs=3))
    if as_tensors:
        pytest.importorskip("array_api_compat", reason="needs gymnasium[array-api]")
        envs = vector_wrappers.NumpyToTorch(envs)
    kind = torch.Tensor if as_tensors else np.ndarray
    observations, _ = envs.reset(seed=0)
    assert isinstance(observations, kind)
    for _ in range(6):
        actions = np.zeros((3, 1), np.float32)
        step = envs.step(torch.as_tensor(actions) if as_tensors else actions)
        assert all(isinstance(part, kind) for part in step[:4])
        assert np.isfinite(np.asarray(step[0])).all()
        assert np.isfinite(np.asarray(step[1])).all()


def test_unseeded_action_samples_differ_between_environments() -> None:
    one, other = (gym.make_vec("GTN-CartPole-v0", num_envs=64).action_space.sample() for _ in range(2))
    assert (one != other).any()


def test_invalid_seed_leaves_all_generators_unchanged(files: dict[str, Path]) -> None:
    env, other = (gym.make_vec("GTN-TestBox-v0", num_envs=2) for _ in range(2))
    for one in (env, other):
        one.reset(seed=[3, 4])
    with pytest.raises(error.Error):
        env.reset(seed=[5, -1])
    with pytest.raises(error.Error, match=r"seed is 1\.0, expected an integer, or one for each copy"):
        env.reset(seed=1.0)  # type: ignore[arg-type]
    assert env.np_random_seed == (3, 4)
    np.testing.assert_array_equal(env.reset()[0], other.reset()[0])
    for found, expected in zip(env.np_random, other.np_random, strict=True):
        assert found.bit_generator.state == expected.bit_generator.state


def test_close_works_after_failed_construction() -> None:
    with pytest.raises(WeightsError):
        SyntheticVectorEnv("nope")
    SyntheticVectorEnv.__new__(SyntheticVectorEnv).close_extras()


@pytest.mark.slow
def test_spawned_async_vector_env_matches_native_one(files: dict[str, Path]) -> None:
    id = "GTN-TestDiscrete-v0"
    env = gym.make_vec(id, num_envs=2, vectorization_mode="async", vector_kwargs={"context": "spawn"})
    assert isinstance(env, AsyncVectorEnv)
    ours = gym.make_vec(id, num_envs=2)
    try:
        close(env.reset(seed=4)[0], ours.reset(seed=4)[0])
        ours.action_space.seed(0)
        for _ in range(30):
            actions = ours.action_space.sample()
            for a, b in zip(env.step(actions)[:4], ours.step(actions)[:4], strict=True):
                close(a, b)
    finally:
        env.close()


def test_time_limits_truncate_and_horizons_terminate(files: dict[str, Path]) -> None:
    def length(**arguments: Any) -> int | None:
        env = gym.make_vec("GTN-TestEndless-v0", num_envs=2, **arguments)
        env.reset(seed=0)
        return next((step for step in range(1, 50) if env.step(np.zeros(2, int))[3].all()), None)

    assert length() == 20
    assert length(max_episode_steps=6) == 6
    assert length(max_episode_steps=-1) is None
    for limits, ended in (({}, 4), ({"max_episode_steps": -1}, 4), ({"max_episode_steps": 3}, 3)):
        env = gym.make_vec("GTN-TestShortHorizon-v0", num_envs=2, **limits)
        env.reset(seed=0)
        steps = [env.step(np.zeros((2, 1), np.float32))[2:4] for _ in range(ended)]
        terminated, truncated = (np.array(part)[:, 0].tolist() for part in zip(*steps, strict=True))
        assert terminated == [False] * (ended - 1) + [ended == 4]
        assert truncated == [False] * (ended - 1) + [ended == 3]
    for bandit in (gym.make("GTN-TestBandit-v0"), gym.make_vec("GTN-TestBandit-v0", num_envs=2)):
        bandit.reset(seed=0)
        assert [bool(np.all(part)) for part in bandit.step(bandit.action_space.sample())[2:4]] == [True, False]
    direct = SyntheticVectorEnv(files["GTN-TestEndless-v0"], 1)
    direct.reset(seed=0)
    assert [direct.step(np.zeros(1, int))[3][0] for _ in range(21)].index(True) == 19


def test_metadata_is_not_shared_between_instances(files: dict[str, Path]) -> None:
    one = gym.make_vec("GTN-TestDiscrete-v0", autoreset_mode="SameStep")
    other = gym.make_vec("GTN-TestDiscrete-v0")
    assert one.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert other.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("id", ["GTN-TestDiscrete-v0", "GTN-TestStream-v0"])
def test_invalid_action_changes_no_copy(id: str, backend: str, files: dict[str, Path]) -> None:
    env, other = (gym.make_vec(id, num_envs=2, backend=backend) for _ in range(2))
    env.reset(seed=0)
    other.reset(seed=0)
    for wrong in (np.array([0, 3]), np.array([-1, 0]), np.array([0]), np.array([0.0, 1.0]), "left", [[0], [1]]):
        with pytest.raises(error.InvalidAction):
            env.step(wrong)
    for _ in range(22):
        for a, b in zip(env.step([0, 1])[:4], other.step([0, 1])[:4], strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_step_before_reset_or_after_episode_end_raises(files: dict[str, Path]) -> None:
    env = SyntheticVectorEnv(files["GTN-TestBandit-v0"], 2, autoreset_mode="Disabled")
    with pytest.raises(error.ResetNeeded, match="before calling"):
        env.step([0, 0])
    env.reset(seed=0)
    env.step([0, 0])
    env.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(error.ResetNeeded, match=r"copies \[1\] are over"):
        env.step([0, 0])


@pytest.mark.parametrize(
    ("mask", "expected", "message"),
    [
        ([True, False], TypeError, "list"),
        (np.array([1, 0]), TypeError, "boolean"),
        (np.array([True]), ValueError, r"expected shape \(2,\)"),
        (np.array([False, False]), ValueError, "at least one True"),
    ],
)
def test_invalid_reset_mask_raises(mask: Any, expected: type[Exception], message: str, files: dict[str, Path]) -> None:
    env = SyntheticVectorEnv(files["GTN-TestBandit-v0"], 2)
    env.reset()
    with pytest.raises(expected, match=message):
        env.reset(options={"reset_mask": mask})


def test_first_reset_with_partial_mask_raises(files: dict[str, Path]) -> None:
    env = SyntheticVectorEnv(files["GTN-TestBandit-v0"], 2)
    with pytest.raises(error.ResetNeeded, match="first reset"):
        env.reset(options={"reset_mask": np.array([True, False])})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_envs": 0}, "num_envs is 0"),
        ({"max_episode_steps": 0}, "max_episode_steps is 0"),
        ({"backend": "jax"}, "backend is 'jax'"),
        ({"device": "cuda"}, "only the torch backend takes a device"),
        ({"autoreset_mode": "Never"}, "Never"),
    ],
)
def test_invalid_arguments_are_rejected(arguments: dict[str, Any], message: str, files: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match=message):
        SyntheticVectorEnv(files["GTN-TestBandit-v0"], **arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_cuda_device_without_gpu_is_rejected(files: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="device 'cuda' requested, but PyTorch sees no GPU"):
        SyntheticVectorEnv(files["GTN-TestBandit-v0"], backend="torch", device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("id", ["GTN-TestBox-v0", "GTN-TestGrid-v0", "GTN-TestHorizon-v0", "GTN-TestStream-v0"])
def test_gpu_keeps_tensors_and_follows_trajectory_of_cpu(id: str, mode: str, files: dict[str, Path]) -> None:
    gpu, cpu = (
        gym.make_vec(id, num_envs=5, backend="torch", device=device, autoreset_mode=mode) for device in ("cuda", "cpu")
    )

    def compare(found: torch.Tensor, expected: torch.Tensor) -> None:
        assert found.device.type == "cuda"
        torch.testing.assert_close(found.cpu(), expected, rtol=1e-5, atol=1e-5)

    compare(gpu.reset(seed=11)[0], cpu.reset(seed=11)[0])
    cpu.action_space.seed(0)
    ended = 0
    for _ in range(60):
        actions = torch.as_tensor(cpu.action_space.sample())
        step, expected = gpu.step(actions.cuda()), cpu.step(actions)
        for part, other in zip(step[:4], expected[:4], strict=True):
            compare(part, other)
        info, over = step[4], expected[2] | expected[3]
        ended += int(over.sum())
        assert info.keys() == expected[4].keys()
        if info:
            compare(info["_final_obs"], over)
            compare(info["final_obs"][over.cuda()], expected[4]["final_obs"][over])
        if mode == AutoresetMode.DISABLED.value and over.any():
            mask = {"reset_mask": step[2] | step[3]}
            compare(gpu.reset(options=mask)[0], cpu.reset(options={"reset_mask": over})[0])
    assert ended > 5


def test_reward_file_human_mode_and_short_seed_are_rejected(files: dict[str, Path]) -> None:
    with pytest.raises(WeightsError, match="use LearnedReward"):
        SyntheticVectorEnv(files["GTN-TestReward-v0"])
    with pytest.raises(error.UnsupportedMode, match="'human'"):
        SyntheticVectorEnv(files["GTN-TestBandit-v0"], render_mode="human")
    with pytest.raises(ValueError, match="length 1, expected num_envs=2"):
        SyntheticVectorEnv(files["GTN-TestBandit-v0"], 2).reset(seed=[1])


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=0, atol=1e-5)


Broken = Callable[[SyntheticVectorEnv, tuple[Any, ...]], tuple[Any, ...]]
BREAKS: dict[str, tuple[Broken, str]] = {
    "dtype": (lambda env, s: (s[0].astype(np.float64), *s[1:]), "observations have dtype float64"),
    "outside": (lambda env, s: (s[0] + 1e6, *s[1:]), "observations are outside"),
    "shape": (lambda env, s: (s[0], s[1][:, None], *s[2:]), "rewards have shape"),
    "kind": (lambda env, s: (*s[:2], s[2].astype(int), *s[3:]), "terminations have dtype int64"),
    "finite": (lambda env, s: (s[0], s[1] * np.nan, *s[2:]), "a reward is not finite"),
    "noise": (lambda env, s: (s[0], s[1] + np.random.default_rng().random(), *s[2:]), "differ between two runs"),
    "never": (lambda env, s: (*s[:3], s[3] & False, s[4]), "not truncated after"),
    "early": (lambda env, s: (*s[:3], s[3] | True, s[4]), "truncated before"),
    "aliased": (lambda env, s: (*s[:3], s[2], s[4]), "share memory"),
    "final": (lambda env, s: (*s[:4], {}), "has no 'final_obs'"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_checker_detects_broken_environment(name: str, files: dict[str, Path]) -> None:
    change, message = BREAKS[name]

    class BrokenEnv(SyntheticVectorEnv):
        def step(self, actions: Any) -> Any:
            return change(self, super().step(actions))

    env = gym.make_vec("GTN-TestEndless-v0", num_envs=3, autoreset_mode="SameStep")
    broken = BrokenEnv(files["GTN-TestEndless-v0"], 3, autoreset_mode="SameStep")
    broken.spec = env.spec
    with pytest.raises(AssertionError, match=message):
        check_vector_env(broken, steps=30)


def test_checker_accepts_environment_without_time_limit(files: dict[str, Path]) -> None:
    check_vector_env(gym.make_vec("GTN-TestEndless-v0", num_envs=3, max_episode_steps=-1), steps=30)


class Bounded(gym.Env[Any, Any]):
    """Counts its steps from 0, whatever the seed, and rejects actions outside its space."""

    observation_space = gym.spaces.Box(0, 100, (1,), np.float32)

    def __init__(self, action_space: gym.spaces.Box) -> None:
        self.action_space, self.count = action_space, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.count = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if not self.action_space.contains(action):
            raise gym.error.InvalidAction(f"{action}")
        self.count += 1
        return np.full(1, self.count, np.float32), 0.0, self.count == 7, False, {}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "space",
    [
        gym.spaces.Box(-3, 3, (2,), np.int64),
        gym.spaces.Box(0, 255, (1,), np.uint8),
        gym.spaces.Box(-np.inf, np.inf, (1,)),
    ],
    ids=["int64", "uint8", "unbounded"],
)
def test_checker_accepts_any_box_and_deterministic_environments(mode: str, space: gym.spaces.Box) -> None:
    env = SyncVectorEnv([lambda: Bounded(space)] * 3, autoreset_mode=mode)
    with pytest.raises(AssertionError, match="give the same observations"):
        check_vector_env(env, 30)
    check_vector_env(env, 30, random=False)


@pytest.mark.parametrize("mode", MODES)
def test_numpy_seeds_are_accepted(mode: str) -> None:
    env = gym.make_vec("GTN-CartPole-v0", num_envs=2, autoreset_mode=mode)
    given = [env.reset(seed=seed)[0] for seed in (3, np.int64(3), [3, 4], np.array([3, 4]))]  # type: ignore[arg-type]
    assert all(np.array_equal(given[0], other) for other in given[1:])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("id", ["CartPole-v1", "FrozenLake-v1"])
def test_checker_accepts_gymnasium_environments(id: str, way: str, mode: str) -> None:
    """FrozenLake's observations are Discrete, and its refusal of an action is a KeyError."""
    env = gym.make_vec(
        id, num_envs=3, max_episode_steps=15, vectorization_mode=way, vector_kwargs={"autoreset_mode": mode}
    )
    try:
        check_vector_env(env, 60)
        env.reset(seed=0)
        env.step(env.action_space.sample())
    finally:
        env.close(terminate=True) if way == "async" else env.close()


def test_checker_asks_gymnasium_native_vector_env_for_metadata_of_its_own() -> None:
    env = gym.make_vec("CartPole-v1", num_envs=3, vectorization_mode="vector_entry_point")
    with pytest.raises(AssertionError, match="metadata is the class's own dict"):
        check_vector_env(env, 30)
    env.unwrapped.metadata = dict(env.metadata)
    check_vector_env(env, 30)


def test_checker_can_leave_out_invalid_actions() -> None:
    env = gym.make_vec("Pendulum-v1", num_envs=3, vectorization_mode="sync")
    with pytest.raises(AssertionError, match=r"nan\]\] were accepted, .* \(invalid_actions=False allows it\)$"):
        check_vector_env(env, 30)
    check_vector_env(env, 30, invalid_actions=False)


def test_checker_rejects_spaces_whose_batches_are_no_arrays() -> None:
    env = gym.make_vec("Blackjack-v1", num_envs=3, vectorization_mode="sync")
    with pytest.raises(TypeError, match=r"single_observation_space is Tuple\(.*\), but only these can be checked: Box"):
        check_vector_env(env)
