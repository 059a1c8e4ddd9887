"""The physics of Pendulum-v1, as in Gymnasium (semi-implicit Euler)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gtn_rl.tasks.classic_control import Physics, Row, Rows

MAX_SPEED = 8.0
MAX_TORQUE = 2.0
DT = 0.05
GRAVITY = 10.0


def sample(generator: np.random.Generator, n: int) -> Rows:
    """Returns an angle uniform in (-pi, pi) and a velocity uniform in (-1, 1)."""
    high = np.array([math.pi, 1.0])
    return tuple(generator.uniform(-high, high, size=(n, 2)).T.copy())


def observe(xp: Any, rows: Rows) -> Rows:
    """Returns cosine and sine of the angle, and the velocity."""
    theta, speed = rows
    return xp.cos(theta), xp.sin(theta), speed


def step(xp: Any, rows: Rows, actions: Row) -> tuple[Rows, Row, Row]:
    """Applies a torque in [-2, 2]; the reward is minus the cost of the old state and the torque. Never terminates."""
    theta, speed = rows
    torque = actions[:, 0].clip(-MAX_TORQUE, MAX_TORQUE)
    angle = (theta + math.pi) % (2 * math.pi) - math.pi
    cost = angle * angle + 0.1 * (speed * speed) + 0.001 * (torque * torque)
    speed = speed + (1.5 * GRAVITY * xp.sin(theta) + 3.0 * torque) * DT
    speed = speed.clip(-MAX_SPEED, MAX_SPEED)
    return (theta + speed * DT, speed), -cost, theta > math.inf


PENDULUM = Physics(sample, observe, step)
