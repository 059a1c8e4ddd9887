"""The physics of MountainCar-v0 and MountainCarContinuous-v0, as in Gymnasium (Moore, 1990)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gtn_rl.tasks.classic_control import Physics, Row, Rows

MIN_POSITION = -1.2
MAX_POSITION = 0.6
MAX_SPEED = 0.07
GRAVITY = 0.0025
FORCE = 0.001
GOAL = 0.5
CONTINUOUS_FORCE = 0.0015
CONTINUOUS_GOAL = 0.45


def sample(generator: np.random.Generator, n: int) -> Rows:
    """Returns a position uniform in (-0.6, -0.4), and a velocity of 0."""
    return generator.uniform(-0.6, -0.4, size=n), np.zeros(n)


def sample_continuous(generator: np.random.Generator, n: int) -> Rows:
    """Returns the same in float32, in which Gymnasium keeps this state from the first step on."""
    position, velocity = sample(generator, n)
    return position.astype(np.float32), velocity.astype(np.float32)


def observe(xp: Any, rows: Rows) -> Rows:
    """Returns the state itself."""
    return rows


def step(xp: Any, rows: Rows, actions: Row) -> tuple[Rows, Row, Row]:
    """Accelerates left (0), not at all (1) or right (2); the reward is -1 for every step."""
    position, velocity = drive(xp, rows, FORCE * xp.asarray(actions - 1, dtype=xp.float64))
    return (position, velocity), -xp.ones_like(position), (position >= GOAL) & (velocity >= 0)


def step_continuous(xp: Any, rows: Rows, actions: Row) -> tuple[Rows, Row, Row]:
    """Accelerates by an action in [-1, 1]; the reward is 100 at the goal, minus a tenth of the squared action."""
    action = actions[:, 0]
    position, velocity = drive(xp, rows, CONTINUOUS_FORCE * action.clip(-1.0, 1.0))
    terminated = (position >= CONTINUOUS_GOAL) & (velocity >= 0)
    cost = xp.square(xp.asarray(action, dtype=xp.float64))
    return (position, velocity), 100.0 * terminated - 0.1 * cost, terminated


def drive(xp: Any, rows: Rows, acceleration: Row) -> Rows:
    """Moves the cars by one step; the left wall stops them."""
    position, velocity = rows
    velocity = (velocity + (acceleration - GRAVITY * xp.cos(3 * position))).clip(-MAX_SPEED, MAX_SPEED)
    position = (position + velocity).clip(MIN_POSITION, MAX_POSITION)
    return position, velocity * ((position > MIN_POSITION) | (velocity > 0))


MOUNTAIN_CAR = Physics(sample, observe, step)
MOUNTAIN_CAR_CONTINUOUS = Physics(sample_continuous, observe, step_continuous)
