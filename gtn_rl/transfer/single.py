"""One agent from start to finish: trained inside an environment, evaluated on the real task, saved and filmed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtn_core.config import read_yaml
from gtn_core.counts import require_counts
from gtn_core.errors import UsageError
from gtn_core.seeding import Streams
from gtn_core.threads import one_thread
from gtn_core.whole_file import require_writable
from gtn_rl.environments import Environment, find_environment, require_same_spaces
from gtn_rl.sb3.algorithms import Algorithm, algorithm, require_fit
from gtn_rl.sb3.divergence import divergence_told
from gtn_rl.sb3.randomness import own_randomness
from gtn_rl.tasks import threshold_of
from gtn_rl.transfer.agent_file import agent_path, save_agent
from gtn_rl.transfer.evaluator import evaluator_of
from gtn_rl.transfer.real_returns import acting
from gtn_rl.transfer.settings import tuned_file
from gtn_rl.transfer.statistics import figures
from gtn_rl.transfer.training import Stop, make_agent, train
from gtn_rl.transfer.video import film, require_rendering
from gtn_rl.transfer.zoo import Settings, interpret, select

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

log = logging.getLogger(__name__)

STEPS = 10_000


@dataclass(frozen=True)
class Request:
    """What to train, checked before any work; see ``request``.

    Attributes:
        env: The training environment.
        real: The real task; ``None`` to train only.
        entry: The algorithm.
        given: Hyper-parameters in rl-zoo3's form.
        settings: The same, as Stable-Baselines3 takes them.
        steps: Environment steps to train for.
        episodes: Real episodes for each kind of action, deterministic and stochastic; a data set's whole test split is
            used.
        seed: Root seed of all randomness.
        tensorboard: Folder for TensorBoard events.
        save: Zip file for the agent.
        video: GIF file for one real episode.
    """

    env: Environment
    real: Environment | None
    entry: Algorithm
    given: Mapping[str, Any]
    settings: Settings
    steps: int
    episodes: int
    seed: int
    tensorboard: Path | None
    save: Path | None
    video: Path | None


@dataclass(frozen=True)
class TrainedAgent:
    """A trained agent and how it did.

    Attributes:
        agent: The agent of Stable-Baselines3; its environment is closed (``set_env`` gives it another).
        result: What ``gtn-cli train-agent`` prints with ``--json``: ``steps``, ``updates``, ``seconds`` and, if it has played,
            ``real_task``, ``deterministic`` and ``stochastic`` with the figures of its returns there, ``solved``.
    """

    agent: BaseAlgorithm
    result: dict[str, Any]


def train_agent(
    env: str | Path,
    algo: str = "ppo",
    *,
    steps: int | None = None,
    task: str | None = None,
    play: bool = True,
    episodes: int = 20,
    config: str | Path | Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    tensorboard: str | Path | None = None,
    save: str | Path | None = None,
    video: str | Path | None = None,
    listener: Callable[[int], None] | None = None,
) -> TrainedAgent:
    """Trains one agent inside an environment, on one thread, and plays the real task, as ``gtn-cli train-agent`` does.

    Args:
        env: The training environment: a Gymnasium id, ``package:id``, or the path of a run or of a ``.safetensors``
            file.
        algo: The algorithm's name, e.g. ``ppo``.
        steps: Environment steps; None for the settings' ``n_timesteps``, if any, else 10,000. An algorithm that learns
            from whole rollouts finishes its last one.
        task: Name of the real task; None for the one that the environment's file names, else the environment itself.
        play: Whether the agent plays the real task, whose packages are then needed.
        episodes: Real episodes for each kind of action, deterministic and stochastic; a data set's whole test split is
            used.
        config: Hyper-parameters in rl-zoo3's form, a YAML file of these, or ``"tuned"`` for the shipped one.
        settings: Hyper-parameters that override it, e.g. ``{"learning_rate": 1e-3, "n_envs": 4}``.
        seed: Root seed of all randomness.
        tensorboard: Folder for TensorBoard events.
        save: File for the agent; ``.zip`` is added if it has no suffix.
        video: GIF file for one real episode.
        listener: Called with the steps taken so far.

    Raises:
        UsageError: A name is unknown, a number is not a positive integer, a setting is not accepted, the algorithm does
            not fit the environment, the agent could not play the real task, a file could not be written, or the task
            cannot be filmed.
        DivergedError: The agent's networks or outputs are no longer finite.
        GTNError: A package or an environment's file is missing or damaged, or a file cannot be written.
    """
    wanted = request(
        env,
        algo,
        steps=steps,
        task=task,
        play=play,
        episodes=episodes,
        config=config,
        settings=settings,
        seed=seed,
        tensorboard=tensorboard,
        save=save,
        video=video,
    )
    return run(wanted, listener or (lambda taken: None))


def request(
    env: str | Path,
    algo: str,
    *,
    steps: int | None = None,
    task: str | None = None,
    play: bool = True,
    episodes: int = 20,
    config: str | Path | Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    tensorboard: str | Path | None = None,
    save: str | Path | None = None,
    video: str | Path | None = None,
) -> Request:
    """Checks what ``train_agent`` is given, which lists the arguments and the errors, and trains nothing."""
    if steps is not None:
        require_counts(steps=steps)
    require_counts(episodes=episodes)
    entry, place = algorithm(algo), find_environment(str(env))
    real = find_environment(task or place.real_task) if play else None
    require_fit(entry, place.action_space, place.name)
    if real is not None:
        require_same_spaces(place, real)
    elif task is not None or video is not None:
        raise UsageError("an agent that does not play takes neither a real task nor a video")
    content, source = _content(config, entry)
    names = place.listed_as(real.full_id if real else None)
    given = {**select(content, entry.name, names, source), **(settings or {})}
    accepted = interpret(given, entry)
    agent_file = agent_path(Path(save)) if save else None
    film_file, events = _path(video), _path(tensorboard)
    for path in (agent_file, film_file):
        if path is not None:
            require_writable(path)
    if events is not None:
        require_writable(events / "events")
    if film_file is not None and real is not None:
        if film_file.suffix.lower() != ".gif":
            raise UsageError(f"the video must be a .gif file, got {film_file}")
        require_rendering(real)
    steps = steps or accepted.n_timesteps or STEPS
    if accepted.n_timesteps is not None:
        given["n_timesteps"] = steps  # the actual number, not the file's
    return Request(place, real, entry, given, accepted, steps, episodes, seed, events, agent_file, film_file)


def _content(config: str | Path | Mapping[str, Any] | None, entry: Algorithm) -> tuple[Mapping[str, Any], str]:
    """Returns the content of a config and where it comes from, for messages."""
    if config is None or isinstance(config, Mapping):
        return config or {}, "the config"
    path = tuned_file(entry) if str(config) == "tuned" else Path(config)
    return read_yaml(path), str(path)


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


def run(wanted: Request, advance: Callable[[int], None]) -> TrainedAgent:
    """Trains, evaluates, saves and films an agent, on one thread, as in ``transfer``.

    The caller's random states do not change.

    Args:
        wanted: The request.
        advance: Called with the steps taken so far.

    Raises:
        UsageError: The algorithm refuses its settings.
        DivergedError: The agent's networks or outputs are no longer finite.
        GTNError: A file cannot be written.
    """
    with one_thread(), own_randomness(Streams(wanted.seed).seed("run")):
        return _run(wanted, advance)


def _run(wanted: Request, advance: Callable[[int], None]) -> TrainedAgent:
    streams, began = Streams(wanted.seed), time.perf_counter()
    agent, stop = _trained(wanted, streams, advance)
    seconds = time.perf_counter() - began
    saved = save_agent(agent, wanted.save) if wanted.save else []
    result = {
        "env": wanted.env.name,
        "algorithm": wanted.entry.name,
        "settings": dict(wanted.given),
        "seed": wanted.seed,
        "steps": stop.taken,
        "updates": stop.updates,
        "seconds": round(seconds, 1),
        **(_played(wanted.real, wanted.episodes, streams, agent) if wanted.real else {}),
        "saved": [str(path) for path in saved],
    }
    if wanted.video and wanted.real:
        seed = streams.seed("video")
        act = acting(agent, deterministic=True, seed=seed)
        try:
            result["video"] = {"file": str(wanted.video), "return": film(wanted.video, wanted.real, act, seed)}
        except Exception as error:  # a renderer may raise anything; the agent's returns matter more
            log.warning("no video: %s", error)
    return TrainedAgent(agent, result)


def _trained(wanted: Request, streams: Streams, advance: Callable[[int], None]) -> tuple[BaseAlgorithm, Stop]:
    """Returns the trained agent, and the stop at the end of its training."""
    env = wanted.env
    agent = make_agent(wanted.entry, env, wanted.settings, streams.seed("agent") % 2**31, wanted.tensorboard)
    stops: list[Stop] = []

    def visit(stop: Stop) -> bool:
        stops.append(stop)
        return False

    name = f"{wanted.entry.name}-{env.id.replace('/', '-')}"
    assert agent.env is not None
    with closing(agent.env):
        train(agent, [wanted.steps], visit, advance, run_name=name, whole_rollouts=True)
    return agent, stops[-1]


def _played(real: Environment, episodes: int, streams: Streams, agent: BaseAlgorithm) -> dict[str, Any]:
    """Returns the agent's figures on the real task."""
    returns, threshold = {}, threshold_of(real.id)
    with closing(evaluator_of(real, episodes)) as evaluator, divergence_told(agent.policy):
        for kind in ("deterministic", "stochastic"):
            seed = streams.seed(f"real episodes/{kind}")
            returns[kind] = evaluator.returns(acting(agent, deterministic=kind == "deterministic", seed=seed), seed)
    return {
        "real_task": real.full_id,
        "measure": evaluator.measure,
        evaluator.counted: evaluator.count,
        **{kind: figures(values) for kind, values in returns.items()},
        "threshold": threshold,
        "solved": None if threshold is None else bool(returns["deterministic"].mean() >= threshold),
    }
