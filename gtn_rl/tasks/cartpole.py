"""The physics of CartPole-v1, as in Gymnasium (Barto, Sutton and Anderson, 1983; explicit Euler)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gtn_rl.tasks.classic_control import Physics, Row, Rows

GRAVITY = 9.8
MASS_POLE = 0.1
MASS = 1.0 + MASS_POLE
HALF_LENGTH = 0.5
POLE_MOMENT = MASS_POLE * HALF_LENGTH
FORCE = 10.0
TAU = 0.02
X_LIMIT = 2.4
THETA_LIMIT = 12 * 2 * math.pi / 360


def sample(generator: np.random.Generator, n: int) -> Rows:
    """Returns position, velocity, angle and angular velocity, each uniform in (-0.05, 0.05)."""
    return tuple(generator.uniform(-0.05, 0.05, size=(n, 4)).T.copy())


def observe(xp: Any, rows: Rows) -> Rows:
    """Returns the state itself."""
    return rows


def step(xp: Any, rows: Rows, actions: Row) -> tuple[Rows, Row, Row]:
    """Pushes left (0) or right (1); the reward is 1 for every step."""
    x, x_dot, theta, theta_dot = rows
    force = 2 * FORCE * actions - FORCE
    cos, sin = xp.cos(theta), xp.sin(theta)
    temp = (force + POLE_MOMENT * (theta_dot * theta_dot) * sin) / MASS
    theta_acc = (GRAVITY * sin - cos * temp) / (HALF_LENGTH * (4.0 / 3.0 - MASS_POLE * (cos * cos) / MASS))
    x_acc = temp - POLE_MOMENT * theta_acc * cos / MASS
    x, x_dot = x + TAU * x_dot, x_dot + TAU * x_acc
    theta, theta_dot = theta + TAU * theta_dot, theta_dot + TAU * theta_acc
    terminated = (abs(x) > X_LIMIT) | (abs(theta) > THETA_LIMIT)
    return (x, x_dot, theta, theta_dot), xp.ones_like(x), terminated


CARTPOLE = Physics(sample, observe, step)
