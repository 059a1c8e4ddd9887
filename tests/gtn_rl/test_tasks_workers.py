"""Tasks stepped by worker processes: results, errors, signals and shutdown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import cloudpickle
import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from gtn_core.errors import GTNError, UsageError
from gtn_rl.tasks import make_task, rollout
from gtn_rl.tasks.actions import denormalise
from gtn_rl.tasks.crew import start
from gtn_rl.tasks.protocol import spec_of
from gtn_rl.tasks.workers import EnvPool

UNLUCKY = 13  # a seed with which the countdown does not start


class Countdown(gym.Env):
    """Counts down to termination, sometimes truncates itself one step earlier, and raises or kills its process on demand."""

    def __init__(self) -> None:
        os.write(2, b"a warning from C\n")

    observation_space = spaces.Box(-np.inf, np.inf, (2, 1), np.float64)
    action_space = spaces.Discrete(3, start=-1)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        if seed == UNLUCKY:
            raise FloatingPointError("the countdown did not start")
        self.left = int(self.np_random.integers(3, 9))
        self.over = False
        return np.array([[self.left], [0.0]]), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        assert not self.over, "a copy that has ended was stepped"
        assert self.action_space.contains(np.int64(action))
        if action == 1 and self.left == 3:
            raise FloatingPointError("the countdown broke")
        if action == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1
        terminated, truncated = self.left == 0, self.left == 1 and bool(self.np_random.random() < 0.5)
        self.over = terminated or truncated
        print("noise on stdout")
        return np.array([[self.left], [float(action)]]), float(action), terminated, truncated, {}


cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a worker can import neither this file nor a user's script


class Odd(gym.Env):
    """An environment with the given spaces, which is never run."""

    def __init__(self, observation_space: spaces.Space, action_space: spaces.Space) -> None:
        self.observation_space, self.action_space = observation_space, action_space


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    gym.register("Countdown-v0", Countdown)
    gym.register("Odd-v0", Odd)
    yield
    del gym.registry["Countdown-v0"], gym.registry["Odd-v0"]


def always(action: int) -> Any:
    return lambda observations, alive: torch.full((len(alive),), action)


@pytest.mark.parametrize(("id", "workers"), [("LunarLander-v3", 0), ("LunarLander-v3", 2), ("Hopper-v5", 2)])
def test_episodes_match_plain_gymnasium_environments(id: str, workers: int) -> None:
    n, limit = 4, 75
    if id.startswith("Hopper"):
        pytest.importorskip("mujoco", reason="needs the extra mujoco")
    task = make_task(id, workers=workers)
    assert isinstance(task, EnvPool)
    generator = np.random.default_rng(1)
    if task.spec.discrete:
        plan = torch.as_tensor(generator.integers(task.spec.action_size, size=(limit, n)))
    else:
        plan = torch.as_tensor(generator.uniform(-1, 1, (limit, n, task.spec.action_size)), dtype=torch.float32)
    clock = iter(range(limit))
    result = rollout(
        task, lambda _, alive: plan[next(clock)][alive], n, np.random.default_rng(2), max_steps=limit, record=True
    )
    task.close()
    steps = result.transitions
    assert steps is not None
    for i, seed in enumerate(np.random.default_rng(2).integers(2**31, size=n).tolist()):
        env = gym.make(id)
        observation, _ = env.reset(seed=seed)
        total, length, end = 0.0, 0, False
        mine = steps.copies == i
        while not end and length < limit:
            np.testing.assert_allclose(steps.observations[mine][length], observation, rtol=1e-6)
            action = plan[length, i].numpy()
            observation, reward, end, _, _ = env.step(int(action) if task.spec.discrete else action)
            total, length = total + float(reward), length + 1
        env.close()
        assert length == result.lengths[i]
        assert end == result.terminated[i]
        assert total == pytest.approx(result.returns[i].item(), abs=1e-5)


@pytest.mark.parametrize("workers", [0, 2])
def test_user_environment_runs_in_process_and_in_workers(workers: int, capfd: pytest.CaptureFixture[str]) -> None:
    task = make_task("Countdown-v0", workers=workers)
    assert task.spec.observation_size == 2
    assert task.spec.max_episode_steps is None
    with pytest.raises(UsageError, match="Countdown-v0 has no time limit"):
        rollout(task, always(0), 4, np.random.default_rng(0))
    few = rollout(task, always(0), 2, np.random.default_rng(0), max_steps=20)
    many = rollout(task, always(0), 11, np.random.default_rng(0), max_steps=20)
    task.close()
    assert torch.equal(few.lengths, many.lengths[:2])
    assert torch.equal(many.returns, -many.lengths.double())
    assert 0 < many.terminated.sum() < 11
    printed = capfd.readouterr()
    assert workers == 0 or not printed.out
    assert (
        1 <= printed.err.count("a warning from C") <= 2 + workers
    )  # only from the first copy in each process that creates some


def test_using_an_outdated_state_raises() -> None:
    task = make_task("Countdown-v0", workers=0)
    first = task.reset(3, np.random.default_rng(0))
    second, *_ = task.step(first, torch.zeros(3, dtype=torch.long))
    with pytest.raises(RuntimeError, match="keep only the latest state"):
        task.step(first, torch.zeros(3, dtype=torch.long))
    assert task.observe(second).shape == (3, 2)
    task.close()
    with pytest.raises(RuntimeError, match="keep only the latest state"):
        task.observe(second)


@pytest.mark.parametrize("workers", [0, 2])
def test_failed_start_outdates_the_earlier_state(workers: int) -> None:
    task = make_task("Countdown-v0", workers=workers)
    assert isinstance(task, EnvPool)
    state = task.reset(2000, np.random.default_rng(0))
    with pytest.raises(GTNError, match="the countdown did not start"):
        task.begin((np.array([UNLUCKY]),))
    with pytest.raises(RuntimeError, match="keep only the latest state"):
        task.observe(state)
    assert task.observe(task.reset(3, np.random.default_rng(0))).shape == (3, 2)
    task.close()


def test_exception_in_worker_is_raised_and_pool_recovers() -> None:
    task = make_task("Countdown-v0", workers=2)
    with pytest.raises(GTNError, match=r"(?s)Countdown-v0 failed in a worker:.*the countdown broke"):
        rollout(task, always(2), 4, np.random.default_rng(0), max_steps=20)
    assert rollout(task, always(0), 4, np.random.default_rng(0), max_steps=20).lengths.min() > 0
    task.close()
    task.close()


def test_exception_without_workers_raises_the_same_kind_of_error() -> None:
    task = make_task("Countdown-v0", workers=0)
    with pytest.raises(GTNError, match="Countdown-v0 failed: FloatingPointError: the countdown broke"):
        rollout(task, always(2), 4, np.random.default_rng(0), max_steps=20)
    task.close()


def test_dead_worker_error_names_worker_and_exit_code() -> None:
    task = make_task("Countdown-v0", workers=2)
    with pytest.raises(GTNError, match="worker 0 of 2 of Countdown-v0 died with exit code -9"):
        rollout(task, always(1), 4, np.random.default_rng(0), max_steps=20)


def test_workers_exit_with_their_parent() -> None:
    """The parent is a script that neither has a main guard nor closes its task."""
    script = (
        "import numpy as np; from gtn_rl.tasks import make_task; "
        "task = make_task('LunarLander-v3', workers=2); task.reset(4, np.random.default_rng(0)); "
        "print(*[process.pid for process in task._crew._processes])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    for pid in map(int, done.stdout.split()):
        deadline = time.monotonic() + 5
        while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_starting_worker_ignores_interrupts(number: signal.Signals) -> None:
    """Also in the first moments of its interpreter, before it has imported anything."""
    memory = os.memfd_create("copies")
    for wait in (0.0, 0.05, 0.3):
        ours, theirs = Pipe()
        process = start(theirs, memory)
        time.sleep(wait)
        process.send_signal(number)
        ours.close()  # so that it exits by itself
        theirs.close()
        assert process.wait(30) == 0
    os.close(memory)


@pytest.mark.parametrize(
    ("observation", "action", "message"),
    [
        (spaces.Discrete(4), spaces.Discrete(2), r"observations of Discrete\(4\); only Box"),
        (spaces.Dict(), spaces.Discrete(2), r"observations of Dict\(\); only Box"),
        (spaces.Box(0, 1, (2,)), spaces.MultiBinary(3), r"actions of MultiBinary\(3\); only Discrete and bounded Box"),
        (
            spaces.Box(0, 1, (2,)),
            spaces.Box(-np.inf, 1, (2,)),
            r"actions of Box\(-inf, 1.0, .*; only Discrete and bounded",
        ),
        (
            spaces.Box(0, 1, (2,)),
            spaces.Box(-3, 3, (2,), np.int32),
            r"actions of Box\(-3, 3, .*; only Discrete and Box actions of floats",
        ),
    ],
)
def test_unsupported_spaces_are_rejected(observation: spaces.Space, action: spaces.Space, message: str) -> None:
    with pytest.raises(UsageError, match=f"Odd-v0 has {message}"):
        make_task("Odd-v0", env_kwargs={"observation_space": observation, "action_space": action})


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(-0.1, 0.1, np.float64), (-1.0, 0.1, np.float32), (-2.0, 1.9, np.float32), (0.1, 0.7, np.float64)],
)
def test_denormalised_actions_stay_within_the_action_space(low: float, high: float, dtype: Any) -> None:
    space = spaces.Box(low, high, (1,), dtype)
    env = Odd(spaces.Box(-1, 1, (2,)), space)
    env.spec = gym.spec("Odd-v0")
    spec = spec_of(env)
    for wanted in (-1.0, 1.0, 5.0):
        actions = denormalise(spec, torch.tensor([[wanted]])).numpy().astype(dtype)
        assert space.contains(actions[0]), actions
    assert high - float(actions[0, 0]) < 1e-6


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("CartPoel-v1", "unknown environment 'CartPoel-v1'; did you mean 'CartPole-v"),
        ("CartPole-v7", "unknown environment 'CartPole-v7'; did you mean 'CartPole-v"),
        ("CartPole", "unknown environment 'CartPole'; did you mean 'CartPole-v1'?"),
        ("gymnasium:Pendulum", "unknown environment 'Pendulum'; did you mean 'Pendulum-v1'?"),
        ("no_such_package:Env-v0", "no_such_package:Env-v0: No module named 'no_such_package'"),
    ],
)
def test_unknown_ids_are_rejected(id: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        make_task(id)
    assert str(error.value).startswith(message)


def test_id_registered_without_version_is_a_task() -> None:
    gym.register("Unversioned", "gymnasium.envs.classic_control:PendulumEnv", max_episode_steps=5)
    try:
        task = make_task("Unversioned", workers=0)
        task.close()
    finally:
        del gym.registry["Unversioned"]
    assert task.spec.id == "Unversioned"


def test_deprecated_environment_version_is_rejected() -> None:
    with pytest.raises(UsageError, match=r"LunarLander-v2: .*deprecated"), pytest.warns(match="out of date"):
        make_task("LunarLander-v2")


def test_id_with_package_imports_it_to_register_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "import gymnasium\ngymnasium.register('Theirs-v0', 'gymnasium.envs.classic_control:PendulumEnv')\n"
    (tmp_path / "package_of_theirs.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    task = make_task("package_of_theirs:Theirs-v0", workers=1)
    result = rollout(task, lambda _, alive: torch.zeros(len(alive), 1), 3, np.random.default_rng(0), max_steps=5)
    task.close()
    del gym.registry["Theirs-v0"]
    assert result.lengths.tolist() == [5, 5, 5]
    assert task.spec.id == "package_of_theirs:Theirs-v0"


@pytest.mark.parametrize(
    ("id", "module", "block", "extra"),
    [
        ("LunarLander-v3", "gymnasium.envs.box2d", "Box2D", "box2d"),
        ("Hopper-v5", "gymnasium.envs.mujoco", "mujoco", "mujoco"),
    ],
)
def test_missing_package_error_gives_install_command(
    id: str, module: str, block: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(module)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, block, None)
    with pytest.raises(UsageError, match=rf'{id} needs a .*pip install "gymnasium\[{extra}\]"'):
        make_task(id)


def test_env_kwargs_reach_gymnasium_and_negative_workers_raise() -> None:
    task = make_task("CartPole-v1", workers=1, env_kwargs={"sutton_barto_reward": True})
    result = rollout(task, always(1), 3, np.random.default_rng(0))
    task.close()
    assert result.returns.tolist() == [-1, -1, -1]
    with pytest.raises(UsageError, match=r"workers must be 0 \(this process\) or more, got -1"):
        make_task("LunarLander-v3", workers=-1)


@pytest.mark.parametrize("workers", [0, 2])
def test_restart_resets_only_given_copies(workers: int) -> None:
    task = make_task("Countdown-v0", workers=workers)
    assert isinstance(task, EnvPool)
    (seeds,) = task.starts(5, np.random.default_rng(0))
    state = task.begin((seeds,))
    first = task.observe(state)[:, 0]
    state = task.step(state, torch.zeros(5, dtype=torch.long)).state
    state = task.restart(state, np.array([4, 1]), (seeds[[4, 0]],))
    expected = first[[0, 0, 2, 3, 4]] - torch.tensor([1, 0, 1, 1, 0])
    assert torch.equal(task.observe(state)[:, 0], expected)
    for t in range(1, 3):
        state, _, terminated, truncated = task.step(state, torch.zeros(5, dtype=torch.long))
        over = terminated | truncated
        left = task.observe(state)[:, 0]
        assert torch.equal(left[~over], (expected - t)[~over])
    over = (terminated | truncated).nonzero()[:, 0].numpy()
    assert 0 < len(over) < 5
    state = task.restart(state, over, (seeds[over],))
    assert torch.equal(task.observe(state)[over, 0], first[over])
    *_, terminated, truncated = task.step(state, torch.zeros(5, dtype=torch.long))
    assert not (terminated | truncated)[over].any()
    with pytest.raises(RuntimeError, match="keep only the latest state"):
        task.restart(state, np.array([0]), (seeds[:1],))
    task.close()


def test_workers_do_not_load_torch() -> None:
    task = make_task("Countdown-v0", workers=1)
    assert isinstance(task, EnvPool)
    task.reset(2, np.random.default_rng(0))
    assert task._crew is not None
    maps = Path(f"/proc/{task._crew._processes[0].pid}/maps").read_text()
    task.close()
    assert "libtorch" not in maps
