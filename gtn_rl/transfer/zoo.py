"""Hyper-parameters in the form of rl-zoo3's YAML files, and their conversion for Stable-Baselines3."""

from __future__ import annotations

import ast
import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from gtn_core.counts import require_counts
from gtn_core.errors import UsageError, unknown_name
from gtn_rl.sb3.algorithms import Algorithm

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
SCHEDULED = ("learning_rate", "clip_range", "clip_range_vf", "delta_std")
OUTSIDE = ("policy", "n_timesteps", "n_envs", "normalize", "normalize_kwargs", "noise_type", "noise_std")
"""Keys of rl-zoo3 that are not arguments of the algorithm's class."""
UNSUPPORTED = ("env_wrapper", "vec_env_wrapper", "frame_stack", "callback", "monitor_kwargs", "env_kwargs")
OURS = ("policy", "env", "verbose", "seed", "tensorboard_log", "_init_setup_model", "action_noise")
"""Arguments of the algorithm's class that callers of this module set."""
COUNTED = (
    *("batch_size", "n_steps", "n_epochs", "buffer_size", "n_delta", "n_top"),
    *("target_update_interval", "policy_delay", "stats_window_size", "train_freq", "gradient_steps"),
)
"""Arguments that must be whole numbers; Stable-Baselines3 only notices during training."""
AS_MANY = {"gradient_steps": -1}
"""By argument, the value that stands for as many as the steps of a rollout."""
NOISES = ("normal", "ornstein-uhlenbeck")


@dataclass(frozen=True)
class Settings:
    """How to create an agent.

    Attributes:
        arguments: Keyword arguments of the algorithm's class.
        policy: The policy's name; None for the one that fits the observations.
        n_envs: Number of environments that step together.
        n_timesteps: Number of training steps, if the settings give one.
        normalize: Keyword arguments of ``VecNormalize``; None for no normalisation.
        noise: Kind and standard deviation of the exploration noise on actions; None for none.
    """

    arguments: dict[str, Any] = field(default_factory=dict)
    policy: str | None = None
    n_envs: int = 1
    n_timesteps: int | None = None
    normalize: dict[str, Any] | None = None
    noise: tuple[str, float] | None = None


def select(content: Mapping[str, Any], algorithm: str, tasks: Sequence[str], source: str) -> dict[str, Any]:
    """Selects the hyper-parameters for an algorithm and a task.

    Args:
        content: Content of a YAML file: hyper-parameters; or by task, as in rl-zoo3; or by algorithm and then by task.
        algorithm: The algorithm's name.
        tasks: Names to look for, best first; ``default`` comes last.
        source: Where the content comes from, for messages.

    Raises:
        UsageError: The content is by task and has none of the tasks, or the algorithm's entry is not a mapping.
    """
    by_task = content.get(algorithm, content)
    if not isinstance(by_task, Mapping):
        raise UsageError(f"{source}: {algorithm!r} must map tasks to settings")
    for name in (*tasks, "default"):
        if isinstance(by_task.get(name), Mapping):
            return dict(by_task[name])
    nested = [name for name, value in by_task.items() if isinstance(value, Mapping) and not name.endswith("_kwargs")]
    if nested and nested != ["normalize"]:
        known = ", ".join(sorted(nested))
        raise UsageError(f"{source} has no settings for {algorithm} on {' or '.join(tasks)}; it has: {known}")
    return dict(by_task)


def interpret(given: Mapping[str, Any], entry: Algorithm) -> Settings:
    """Converts hyper-parameters in rl-zoo3's form to what Stable-Baselines3 takes.

    Args:
        given: JSON or YAML values, e.g. ``{"learning_rate": "lin_3e-4", "policy_kwargs": "dict(net_arch=[64])"}``.
        entry: The algorithm that they are for.

    Raises:
        UsageError: A key is unknown or unsupported, or a value is not understood.
        GTNError: The algorithm's package is not installed.
    """
    accepted = inspect.signature(entry.load()).parameters
    known = [name for name in accepted if name not in OURS]
    for key, value in given.items():
        if key in UNSUPPORTED and value:
            raise UsageError(f"the setting {key!r} is not supported here; the environment is used as it is")
        if key not in known and key not in OUTSIDE and key not in UNSUPPORTED:
            raise unknown_name(f"setting of {entry.name}", key, [*known, *OUTSIDE])
    values = {key: _value(key, value) for key, value in given.items() if key not in UNSUPPORTED}
    arguments = {key: value for key, value in values.items() if key not in OUTSIDE}
    for key, value in arguments.items():
        if (value is None or isinstance(value, str)) and isinstance(accepted[key].default, int | float):
            raise UsageError(f"the setting {key!r} must be a number, got {value!r}")
    return Settings(
        arguments=arguments,
        policy=values.get("policy"),
        n_envs=_count("n_envs", values.get("n_envs", 1)),
        n_timesteps=_count("n_timesteps", values["n_timesteps"]) if "n_timesteps" in values else None,
        normalize=_normalization(values.get("normalize"), values.get("normalize_kwargs")),
        noise=_noise(values.get("noise_type"), values.get("noise_std")),
    )


def _value(key: str, value: Any) -> Any:
    """Converts one value: numbers that YAML reads as text (1e-3), schedules, ``dict(...)``, names in torch."""
    if isinstance(value, str):
        if NUMBER.fullmatch(value):
            return _count(key, float(value)) if key in COUNTED else float(value)
        if key in SCHEDULED and value.startswith("lin_") and NUMBER.fullmatch(value[4:]):
            return _linear(float(value[4:]))
        if value.startswith(("dict(", "{", "nn.", "th.", "torch.")):
            return _expression(key, value)
        if key in SCHEDULED:
            raise UsageError(f"the setting {key!r} must be a number or lin_NUMBER, got {value!r}")
    if key in COUNTED and value is not None and not isinstance(value, list | tuple | Mapping):
        return value if value == AS_MANY.get(key) else _count(key, value)
    if key.endswith("_kwargs") and value is not None and not isinstance(value, Mapping):
        raise UsageError(f"the setting {key!r} must be a dictionary, e.g. dict(net_arch=[64, 64]), got {value!r}")
    if key == "train_freq" and isinstance(value, list):
        return tuple(value)
    if isinstance(value, Mapping):
        return {name: _value(name, inner) for name, inner in value.items()}
    return value


def _linear(start: float) -> Callable[[float], float]:
    """Returns a schedule that falls linearly from ``start`` to 0 over the training."""

    def schedule(remaining: float) -> float:
        return start * remaining

    return schedule


def _expression(key: str, text: str) -> Any:
    """Parses ``dict(net_arch=[64, 64], activation_fn=nn.ReLU)`` without evaluating anything."""
    try:
        return _node(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, AttributeError) as error:
        raise UsageError(f"cannot parse the setting {key!r}: {text!r} ({error})") from None


def _node(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return {str(word.arg): _node(word.value) for word in node.keywords}
    if isinstance(node, ast.List | ast.Tuple):
        items = [_node(item) for item in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.Dict):
        return {_node(k): _node(v) for k, v in zip(node.keys, node.values, strict=True) if k is not None}
    if isinstance(node, ast.Attribute):
        module, _, name = ast.unparse(node).rpartition(".")
        short = module.removeprefix("torch.").removeprefix("th.")
        if short in ("nn", "optim") and not name.startswith("_"):
            return getattr(torch.nn if short == "nn" else torch.optim, name)
        raise ValueError(f"only names from torch.nn and torch.optim are allowed, got {ast.unparse(node)}")
    return ast.literal_eval(node)


def _count(key: str, value: Any) -> int:
    whole = int(value) if isinstance(value, float) and value.is_integer() else value  # 1e4, for YAML
    require_counts(**{f"the setting {key!r}": whole})
    return int(whole)


def _normalization(normalize: Any, more: Any) -> dict[str, Any] | None:
    if not normalize:
        return None
    if not isinstance(normalize, bool | Mapping):
        raise UsageError(f"the setting 'normalize' must be true, false or a dictionary, got {normalize!r}")
    return {**(normalize if isinstance(normalize, Mapping) else {}), **(more or {})}


def _noise(kind: Any, spread: Any) -> tuple[str, float] | None:
    if kind is None:
        return None
    if kind not in NOISES:
        raise unknown_name("noise_type", str(kind), NOISES)
    if spread is not None and (
        isinstance(spread, bool) or not isinstance(spread, int | float) or not 0 <= spread < math.inf
    ):
        raise UsageError(f"the setting 'noise_std' must be a non-negative number, got {spread!r}")
    return str(kind), float(spread or 0.0)
