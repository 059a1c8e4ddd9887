"""Algorithms of Stable-Baselines3 and sb3-contrib by name: default widths, action spaces and errors."""

import sys

import gymnasium as gym
import pytest

from gtn_core.errors import GTNError, UnknownNameError, UsageError
from gtn_rl.environments import find_environment
from gtn_rl.sb3.algorithms import ALGORITHMS, algorithm, fitting_algorithms, require_fit
from gtn_rl.sb3.variation import WIDTHS
from gtn_rl.transfer.training import make_agent
from gtn_rl.transfer.zoo import interpret

BUFFERS = {"buffer_size": 100}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_default_widths_match_those_of_each_algorithm(name):
    entry = algorithm(name)
    env = find_environment("CartPole-v1" if entry.takes(gym.spaces.Discrete(2)) else "Pendulum-v1")
    replay = BUFFERS if entry.actions != "any" else {}
    agent = make_agent(entry, env, interpret(replay, entry), seed=0)
    found = agent.policy.net_arch
    if isinstance(WIDTHS[name], dict):
        assert found == WIDTHS[name]
    else:
        assert found in (WIDTHS[name], {"pi": WIDTHS[name], "vf": WIDTHS[name]})


def test_algorithm_lookup_ignores_case_and_suggests_names():
    assert algorithm("PPO") is ALGORITHMS["ppo"]
    with pytest.raises(UnknownNameError, match="did you mean 'qrdqn'"):
        algorithm("qr-dqn")


def test_algorithms_are_matched_to_action_spaces():
    box = find_environment("Pendulum-v1").action_space
    with pytest.raises(UsageError, match=r"dqn does not support the actions of Pendulum-v1, Box.*: ppo, a2c, sac"):
        require_fit(algorithm("dqn"), box, "Pendulum-v1")
    assert fitting_algorithms(box) == ("ppo", "sac", "td3")
    assert fitting_algorithms(gym.spaces.Discrete(3)) == ("ppo", "a2c", "dqn")
    assert fitting_algorithms(gym.spaces.MultiDiscrete([3, 2])) == ("ppo", "a2c")


def test_missing_package_is_named_in_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "sb3_contrib", None)
    with pytest.raises(GTNError, match="trpo needs the package sb3-contrib: pip install sb3-contrib"):
        algorithm("trpo").load()
