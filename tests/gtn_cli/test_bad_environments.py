"""Unusable environments and tasks: one clear line that names the cause, before anything is written."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

import gtn_envs

ODD_TASKS = """
import gymnasium as gym
import numpy as np
from gymnasium import spaces


class Odd(gym.Env):
    def __init__(self, observations=spaces.Box(-1, 1, (2,)), actions=spaces.Discrete(2), fails=""):
        self.observation_space, self.action_space, self.fails = observations, actions, fails
        if fails == "made":
            raise ValueError("no licence")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        if self.fails == "stepped":
            raise ValueError("broken\\nphysics")
        observation, reward = self.observation_space.sample(), 1.0
        if self.fails == "blind":
            observation[0] = np.nan
        return observation, np.inf if self.fails == "rich" else reward, False, False, {}


def register(name, limit=5, **kwargs):
    gym.register(f"Odd{name}-v0", Odd, max_episode_steps=limit, kwargs=kwargs)


register("Dict", observations=spaces.Dict({"a": spaces.Box(-1, 1, (2,))}))
register("Tuple", observations=spaces.Tuple((spaces.Discrete(2), spaces.Box(-1, 1, (2,)))))
register("MultiDiscrete", observations=spaces.MultiDiscrete([3, 4]))
register("Image", observations=spaces.Box(0, 255, (16, 16, 3), np.uint8))
register("Unbounded", actions=spaces.Box(-np.inf, np.inf, (1,)))
register("Compound", actions=spaces.MultiDiscrete([2, 2]))
register("FromOne", actions=spaces.Discrete(2, start=1))
register("Endless", limit=None)
register("Made", fails="made")
register("Stepped", fails="stepped")
register("Blind", fails="blind")
register("Rich", fails="rich")
register("NoRoom", actions=spaces.Box(np.float32([-1, 0]), np.float32([1, 0])))
"""

META_TRAIN = ("meta-train", "--iterations", "1", "--out", "r", "--task")
TRAIN_AGENT = ("train-agent", "--steps", "5", "--episodes", "1", "--env")
TRANSFER = ("transfer", "--steps", "5", "--seeds", "1", "--no-controls", "--out", "r")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The current folder, with a module of unusual tasks in it."""
    (tmp_path / "odd_tasks.py").write_text(ODD_TASKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("odd_tasks", None)
    for id in [id for id in gym.registry if id.startswith("Odd")]:
        del gym.registry[id]


def assert_refused(outcome, code, *words):
    assert outcome.code == code, outcome
    assert "Traceback" not in outcome.err
    (line,) = [line for line in outcome.err.splitlines() if line.startswith(("error: ", "Error: "))]
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Dict", "only Box observations of floats are supported"),
        ("Tuple", "only Box observations of floats are supported"),
        ("MultiDiscrete", "only Box observations of floats are supported"),
        ("Image", "only Box observations of floats are supported"),
        ("Unbounded", "only Discrete and bounded Box actions are supported"),
        ("Compound", "only Discrete and bounded Box actions are supported"),
        ("Endless", "has no time limit; register it with max_episode_steps"),
        ("Absent", "did you mean 'OddMade-v0'"),
    ],
)
def test_meta_train_rejects_unsupported_tasks(call, here, name, words):
    assert_refused(call(*META_TRAIN, f"odd_tasks:Odd{name}-v0"), 2, f"Odd{name}-v0", words)
    assert not (here / "r").exists()


@pytest.mark.parametrize("command", [TRAIN_AGENT, TRANSFER], ids=["train-agent", "transfer"])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Dict", "agents support Box, Discrete, MultiDiscrete, MultiBinary"),
        ("Tuple", "agents support Box, Discrete, MultiDiscrete, MultiBinary"),
        ("Unbounded", "only bounded ones are supported"),
        ("FromOne", "Stable-Baselines3 numbers them from 0"),
        ("Absent", "unknown environment 'OddAbsent-v0'"),
    ],
)
def test_agent_commands_reject_unsupported_environments(call, here, command, name, words):
    assert_refused(call(*command, f"odd_tasks:Odd{name}-v0"), 2, words)
    assert not (here / "r").exists()


def test_exception_in_task_code_is_reported_with_task_name(call, monkeypatch):
    for command in (META_TRAIN, TRAIN_AGENT, TRANSFER):
        assert_refused(call(*command, "odd_tasks:OddMade-v0"), 1, "OddMade-v0 cannot be made: ValueError: no licence")
    for _ in range(2):  # nothing was trained, so the same command works again once the task is fixed
        outcome = call(*META_TRAIN, "odd_tasks:OddStepped-v0", "--set", "workers=1")
        assert_refused(outcome, 1, "OddStepped-v0 failed in a worker: ValueError: broken physics")
    monkeypatch.setenv("GTN_TRACEBACK", "1")
    with pytest.raises(Exception, match="failed in a worker") as caught:
        call(
            "meta-train", "--task", "odd_tasks:OddStepped-v0", "--iterations", "1", "--out", "r2", "--set", "workers=1"
        )
    assert "odd_tasks.py" in str(caught.value.__cause__)


@pytest.mark.parametrize(("name", "words"), [("Blind", "an observation"), ("Rich", "a reward")])
def test_non_finite_observation_or_reward_is_reported(call, name, words):
    outcome = call(*META_TRAIN, f"odd_tasks:Odd{name}-v0", "--set", "workers=0")
    assert_refused(outcome, 1, f"Odd{name}-v0 gave {words} that is not finite")


def test_equal_action_bounds_are_rejected_if_actions_are_scaled(call):
    assert_refused(
        call(*TRAIN_AGENT, "odd_tasks:OddNoRoom-v0", "--algo", "td3"), 2, "td3 scales actions", "equal bounds"
    )
    assert call(*TRAIN_AGENT, "odd_tasks:OddNoRoom-v0", "--algo", "a2c", "--quiet").code == 0


def test_meta_train_warns_if_actions_do_not_start_at_zero(call):
    settings = ("stages=[{name: bilevel, population: 2}]", "agents.names=['short_agents:ShortDQN']", "workers=0")
    small = [word for setting in settings for word in ("--set", setting)]
    outcome = call(*META_TRAIN, "odd_tasks:OddFromOne-v0", "--kind", "bandit", *small)
    told = " ".join(outcome.err.split())
    assert "OddFromOne-v0 numbers its actions from 1, but Stable-Baselines3 from 0" in told


def test_unknown_ids_are_rejected_with_suggestions(call):
    assert_refused(call("meta-train", "--task", "CartPol-v1"), 2, "'CartPol-v1'; did you mean 'CartPole-v")
    assert_refused(
        call("meta-train", "--task", "Zebra-v1"), 2, "'Zebra-v1'; for one that your own package registers, use"
    )
    assert_refused(call("meta-train", "--task", "no_package:X-v1"), 2, "No module named 'no_package'")
    assert_refused(
        call("meta-train", "--task", "CartPole"), 2, "unknown task 'CartPole'; did you mean", "'CartPole-v1'"
    )


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ("--minutes=0", "'--minutes': 0.0 is not in the range x>0"),
        ("--minutes=-1", "'--minutes': -1.0 is not in the range x>0"),
        ("--minutes=inf", "'--minutes': inf is not a finite number"),
        ("--minutes=nan", "'--minutes': nan is not a finite number"),
        ("--iterations=-1", "'--iterations': -1 is not in the range x>=0"),
    ],
)
def test_invalid_budgets_are_rejected(call, here, budget, words):
    assert_refused(call("meta-train", "--task", "CartPole-v1", budget, "--out", "r"), 2, words)
    assert not (here / "r").exists()


def copy_of_cartpole(path, **changes):
    weights = gtn_envs.load_environment("GTN-CartPole-v0")
    gtn_envs.save_environment(path, weights.tensors, {**weights.document, **changes})


def test_damaged_foreign_and_missing_files_are_rejected(call, here):
    """For every command that takes an environment."""
    copy_of_cartpole("whole.safetensors")
    whole = (here / "whole.safetensors").read_bytes()
    foreign = here / "f.safetensors"
    for content, words in ((whole[:3000], "truncated"), (b"junk", "not a safetensors file")):
        foreign.write_bytes(content)
        for command in (("inspect",), TRAIN_AGENT, TRANSFER):
            assert_refused(call(*command, foreign), 1, "f.safetensors", words)
    for command in (TRAIN_AGENT, TRANSFER):
        assert_refused(call(*command, "absent.safetensors"), 2, "environment file absent.safetensors does not exist")


def test_files_with_mismatched_or_unknown_task_are_rejected(call):
    copy_of_cartpole("other.safetensors", task="Pendulum-v1")
    copy_of_cartpole("unknown.safetensors", task="Nowhere-v1")
    for command in (TRAIN_AGENT, TRANSFER):
        assert_refused(
            call(*command, "other.safetensors"), 2, "cannot play Pendulum-v1: their spaces differ", "Discrete(2)"
        )
        assert_refused(call(*command, "unknown.safetensors"), 2, "unknown environment 'Nowhere-v1'")
    for name in ("other", "unknown"):  # the header is readable without the task
        assert call("inspect", f"{name}.safetensors", "--quiet").code == 0


def test_inspect_shows_reward_without_picture_if_task_unknown(call, here):
    weights = gtn_envs.load_environment("GTN-CartPole-v0")
    kept = {name: tensor for name, tensor in weights.tensors.items() if name.startswith(("observation", "reward"))}
    kept["observation.mean"] = np.zeros(4)
    document = {key: weights.document[key] for key in ("observation_space", "action_space", "activation")}
    reward = {"form": "reward", "reward_mode": "state-action", "task": "Nowhere-v1"}
    gtn_envs.save_environment("reward.safetensors", kept, {**document, **reward})
    outcome = call("inspect", "reward.safetensors")
    assert outcome.code == 0
    assert "no picture: the real task 'Nowhere-v1' is not registered" in outcome.err


BLOCKED = "import sys; sys.modules[sys.argv[1]] = None; from gtn_cli.main import main; main(sys.argv[2:])"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "arguments", "code", "words"),
    [
        ("mujoco", [*META_TRAIN, "HalfCheetah-v5"], 2, 'pip install "gymnasium[mujoco]"'),
        ("mujoco", [*TRAIN_AGENT, "HalfCheetah-v5"], 2, 'pip install "gymnasium[mujoco]"'),
        ("Box2D", [*META_TRAIN, "LunarLander-v3"], 2, 'pip install "gymnasium[box2d]"'),
        ("pygame", [*TRAIN_AGENT, "CartPole-v1", "--video", "a.gif"], 2, "rendering CartPole-v1 needs a package"),
        ("sb3_contrib", [*TRAIN_AGENT, "CartPole-v1", "--algo", "trpo"], 1, "trpo needs the package sb3-contrib"),
    ],
)
def test_missing_packages_are_reported(here, module, arguments, code, words):
    process = subprocess.run([sys.executable, "-c", BLOCKED, module, *arguments], capture_output=True, text=True)
    assert process.returncode == code, process.stderr
    assert words in process.stderr
    assert "Traceback" not in process.stderr
    assert not (here / "r").exists()
