"""Creates an agent of Stable-Baselines3, and trains it with stops at given numbers of steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.noise import ActionNoise, NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.vec_env import VecEnv, VecMonitor, VecNormalize

from gtn_core.errors import DivergedError, UsageError
from gtn_envs.sb3 import SB3VecEnv
from gtn_rl.environments import Environment
from gtn_rl.sb3.algorithms import Algorithm, require_fit
from gtn_rl.sb3.divergence import UnusableOutputsError, divergence_told, require_finite
from gtn_rl.sb3.fresh_agent import fresh_agent
from gtn_rl.sb3.small_cnn import fitting_policy
from gtn_rl.transfer.updates import UpdateCounter
from gtn_rl.transfer.zoo import Settings

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


@dataclass(frozen=True)
class Stop:
    """The state of an agent's training at a stop.

    Attributes:
        steps: The requested number of steps.
        taken: Steps taken: ``steps``, rounded up to the number of environments or, for ARS, to its next update.
        updates: Gradient updates so far (``UpdateCounter.updates``).
        cpu_seconds: Processor time of the training so far, excluding the stops.
    """

    steps: int
    taken: int
    updates: int
    cpu_seconds: float


class AgentDivergedError(DivergedError):
    """An agent's networks, or any outputs of theirs, are no longer finite.

    Attributes:
        stop: The state of its training; ``steps`` are those taken. None if it was rebuilt from its message alone.
    """

    def __init__(self, message: str, stop: Stop | None = None) -> None:
        super().__init__(message)
        self.stop = stop


Visit = Callable[[Stop], bool]
"""Called at each stop; returns whether to continue training."""


def make_agent(
    entry: Algorithm, env: Environment, settings: Settings, seed: int, tensorboard: Path | None = None
) -> BaseAlgorithm:
    """Creates a fresh agent and its training environment.

    Args:
        entry: The algorithm.
        env: The environment to train in.
        settings: The agent's hyper-parameters.
        seed: Seed in [0, 2**31).
        tensorboard: Folder for TensorBoard events.

    Raises:
        UsageError: The algorithm does not accept the environment's actions, or refuses a setting.
        GTNError: The algorithm's package is not installed.
    """
    require_fit(entry, env.action_space, env.name)
    arguments = dict(settings.arguments)
    if settings.noise:
        arguments["action_noise"] = _noise(settings.noise, env.action_space)
    if tensorboard is not None:
        arguments["tensorboard_log"] = str(tensorboard)
    policy, policy_kwargs = fitting_policy(
        entry, env.observation_space, settings.policy, arguments.get("policy_kwargs") or {}
    )
    if policy_kwargs:
        arguments["policy_kwargs"] = policy_kwargs
    venv = training_environments(env, settings.n_envs, seed)
    if settings.normalize is not None:
        venv = _normalised(venv, {"gamma": arguments.get("gamma", 0.99), **settings.normalize})
    return fresh_agent(entry, policy, venv, seed, **arguments)


def _normalised(venv: VecEnv, arguments: Mapping[str, Any]) -> VecNormalize:
    try:
        return VecNormalize(venv, **arguments)
    except (AssertionError, TypeError, ValueError) as error:
        venv.close()
        raise UsageError(f"VecNormalize rejects its settings (normalize, normalize_kwargs): {error}") from error


def training_environments(env: Environment, count: int, seed: int) -> VecEnv:
    """Returns copies of an environment that step together, as a vector environment of Stable-Baselines3."""
    if env.native and count > 1:
        native = SB3VecEnv(gym.make_vec(env.id, num_envs=count, autoreset_mode=AutoresetMode.SAME_STEP))
        native.seed(seed)
        return VecMonitor(native)
    return make_vec_env(lambda: gym.make(env.id, disable_env_checker=True), count, seed)


def train(
    agent: BaseAlgorithm,
    stops: Sequence[int],
    visit: Visit,
    advance: Callable[[int], None] = lambda taken: None,
    run_name: str = "run",
    whole_rollouts: bool = False,
    laid_out_for: int | None = None,
) -> None:
    """Trains an agent up to the last stop, or until a visit returns False.

    At a stop the agent has taken that many steps and no more, so it has not yet learned from what it collected since
    its last update.

    Args:
        agent: The agent; one that has been trained before is trained further.
        stops: Numbers of steps, ascending.
        visit: Called at each stop.
        advance: Called with the steps taken so far, after every step (for ARS, before every stop).
        run_name: Name of the run in TensorBoard.
        whole_rollouts: Whether to complete the last rollout and learn from it before the last stop, as ``agent.learn``
            does by itself; PPO then takes 10,240 steps for 10,000.
        laid_out_for: Number of steps over which its schedules run, such as a Q-learner's exploration, so that an agent
            that may continue is the same up to there as one that may not; they stay at their ends after it. None for
            the last stop.

    Raises:
        AgentDivergedError: At a stop, its networks are not finite, or torch has refused any outputs of theirs before.
        UnusableOutputsError: Torch has refused its outputs, but the observations are to blame.
    """
    if laid_out_for is not None:
        _lay_out(agent, laid_out_for)
    counter = UpdateCounter(agent)
    clock = _Clock(agent, visit, counter)
    try:
        with divergence_told(agent.policy):
            if type(agent).__name__ == "ARS":
                _train_in_pieces(agent, stops, clock, advance, run_name)
            else:
                inside = stops[:-1] if whole_rollouts else stops
                callback = _Stops(inside, clock, advance, endless=whole_rollouts)
                agent.learn(stops[-1], callback=callback, tb_log_name=run_name)
                if whole_rollouts and not callback.ended:
                    clock.stop(stops[-1])
    except DivergedError as error:
        stop = clock.now(agent.num_timesteps)
        told = f"after {stop.taken:,} steps, {error}"
        if isinstance(error, UnusableOutputsError):
            raise UnusableOutputsError(told) from error
        raise AgentDivergedError(told, stop) from error
    finally:
        counter.close()


def _lay_out(agent: BaseAlgorithm, steps: int) -> None:
    """Ends an agent's schedules after ``steps``; beyond that, they stay at their ends."""
    update = agent._update_current_progress_remaining

    def lay_out(num_timesteps: int, total_timesteps: int) -> None:
        update(min(num_timesteps, steps), steps)  # so a rate that falls linearly stays at 0, where nothing is learned

    agent._update_current_progress_remaining = lay_out  # type: ignore[method-assign]


class _Clock:
    """Measures processor time between stops."""

    def __init__(self, agent: BaseAlgorithm, visit: Visit, counter: UpdateCounter) -> None:
        self._agent, self._visit, self._counter = agent, visit, counter
        self._spent, self._began = 0.0, time.process_time()

    def now(self, steps: int) -> Stop:
        """Returns the state of the training, as one at the stop after ``steps``."""
        self._spent += time.process_time() - self._began
        self._began = time.process_time()
        return Stop(steps, self._agent.num_timesteps, self._counter.updates, self._spent)

    def stop(self, steps: int) -> bool:
        """Calls the visit with the clock halted; returns whether to continue training.

        Raises:
            DivergedError: The agent's networks are not finite.
        """
        require_finite(self._agent.policy)
        stop = self.now(steps)
        try:
            return self._visit(stop)
        finally:
            self._began = time.process_time()


class _Stops(BaseCallback):
    """Stops at given numbers of steps, from within Stable-Baselines3's own loop."""

    def __init__(self, stops: Sequence[int], clock: _Clock, advance: Callable[[int], None], endless: bool) -> None:
        super().__init__()
        self._stops, self._clock, self._advance, self._endless = list(stops), clock, advance, endless
        self.ended = False

    def _on_step(self) -> bool:
        self._advance(self.num_timesteps)
        while self._stops and self.num_timesteps >= self._stops[0]:
            if not self._clock.stop(self._stops.pop(0)):
                self.ended = True
                return False
        return self._endless or bool(self._stops)


def _train_in_pieces(
    agent: BaseAlgorithm, stops: Sequence[int], clock: _Clock, advance: Callable[[int], None], run_name: str
) -> None:
    """Trains ARS, which has a candidate's weights during its rollouts and can only be judged between them."""
    for steps in stops:
        if steps > agent.num_timesteps:
            first = agent.num_timesteps == 0
            agent.learn(steps - agent.num_timesteps, reset_num_timesteps=first, tb_log_name=run_name)
        advance(agent.num_timesteps)
        if not clock.stop(steps):
            return


def _noise(noise: tuple[str, float], space: gym.Space) -> ActionNoise:
    kind, spread = noise
    assert space.shape is not None
    mean, sigma = np.zeros(space.shape), np.full(space.shape, spread)
    return NormalActionNoise(mean, sigma) if kind == "normal" else OrnsteinUhlenbeckActionNoise(mean, sigma)
