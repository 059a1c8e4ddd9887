"""Records one episode of an agent on the real task as an animated GIF."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import gymnasium as gym
import numpy as np
from PIL import Image

from gtn_core.errors import GTNError, UsageError
from gtn_core.whole_file import replacing
from gtn_rl.environments import Environment
from gtn_rl.reports.desktop import need_no_desktop
from gtn_rl.sb3.randomness import own_randomness
from gtn_rl.transfer.real_returns import ENDLESS, Act

FPS = 25  # GIF delays are in hundredths of a second, and viewers slow down anything above 50
COLOURS = 64
LONGEST = 3000  # frames of a film, two minutes; an episode may go on for longer than memory lasts
IMAGES = 60  # images of a data set to film


def require_rendering(task: Environment) -> None:
    """Checks, before any training, that a task can be filmed.

    Raises:
        UsageError: It cannot be rendered, or rendering needs a package that is not installed.
    """
    _filmed(task).close()


def film(path: Path, task: Environment, act: Act, seed: int) -> float:
    """Plays one episode, or the first images of a data set, and writes it, or the first two minutes, as a GIF.

    Args:
        path: GIF file to write.
        task: The real task.
        act: The agent, called with one observation at a time, (1, ...).
        seed: Seed of the initial state and of the agent's draws.

    Returns:
        The episode's return.

    Raises:
        GTNError: The episode does not end, or the file cannot be written.
    """
    frames: list[Image.Image] = []
    total = 0.0
    with contextlib.closing(_filmed(task)) as env, own_randomness(seed):
        rate = float(env.metadata.get("render_fps") or 50)
        skip = max(1, round(rate / FPS))
        observation, _ = env.reset(seed=seed % 2**31)
        for step in range(ENDLESS):
            if step % skip == 0 and len(frames) < LONGEST:
                frames.append(Image.fromarray(np.asarray(env.render())).quantize(COLOURS))
            observation, reward, terminated, truncated, _ = env.step(act(np.asarray(observation)[None])[0])
            total += float(reward)
            if terminated or truncated:
                break
        else:
            raise GTNError(f"an episode of {task.id} did not end within {ENDLESS:,} steps")
    buffer = io.BytesIO()
    frames[0].save(buffer, "gif", save_all=True, append_images=frames[1:], duration=round(1000 * skip / rate), loop=0)
    with replacing(path) as file:
        file.write(buffer.getvalue())
    return total


def _filmed(task: Environment) -> gym.Env:
    """Creates a task and checks that it renders pictures.

    Raises:
        UsageError: See ``require_rendering``.
    """
    need_no_desktop()
    limit = {"max_episode_steps": IMAGES} if task.stream else {}
    with contextlib.ExitStack() as opened:
        try:
            env = gym.make(task.id, render_mode="rgb_array", disable_env_checker=True, **limit, **task.judged)
            opened.callback(env.close)
            env.reset(seed=0)
            picture = np.asarray(env.render())
        except gym.error.DependencyNotInstalled as error:
            raise UsageError(f"rendering {task.id} needs a package that is not installed: {error}") from error
        except Exception as error:  # a renderer's own, e.g. without a display
            raise UsageError(f"cannot render {task.id}: {error}") from error
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            given = f"{picture.dtype} {picture.shape}"
            raise UsageError(f"cannot render {task.id}: render() returned {given}, expected uint8 (height, width, 3)")
        opened.pop_all()
    return env
