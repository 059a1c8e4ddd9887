"""The physics of Acrobot-v1, as in Gymnasium (Sutton and Barto's "book" equations; Runge-Kutta of order 4)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gtn_rl.tasks.classic_control import Physics, Row, Rows

DT = 0.2
MAX_SPEEDS = (4 * math.pi, 9 * math.pi)
TURN = 2 * math.pi


def sample(generator: np.random.Generator, n: int) -> Rows:
    """Returns two angles and their velocities, uniform in (-0.1, 0.1), rounded to float32 as in Gymnasium."""
    state = generator.uniform(-0.1, 0.1, size=(n, 4)).astype(np.float32)
    return tuple(state.T.astype(np.float64, order="C"))


def observe(xp: Any, rows: Rows) -> Rows:
    """Returns cosine and sine of both angles, and both velocities."""
    theta_1, theta_2, speed_1, speed_2 = rows
    return xp.cos(theta_1), xp.sin(theta_1), xp.cos(theta_2), xp.sin(theta_2), speed_1, speed_2


def acceleration(xp: Any, angles: Rows, speeds: Rows, torque: Row) -> Rows:
    """Returns the angular accelerations, (n,) each.

    Gymnasium's equations with its constants inserted: links of length 1, mass 1 and inertia 1, centred at 0.5, gravity
    9.8.
    """
    (theta_1, theta_2), (speed_1, speed_2) = angles, speeds
    half_sin, half_cos = 0.5 * xp.sin(theta_2), 0.5 * xp.cos(theta_2)
    d1 = 3.5 + 2 * half_cos
    d2 = 1.25 + half_cos
    phi_2 = 4.9 * xp.sin(theta_1 + theta_2)
    phi_1 = phi_2 + 14.7 * xp.sin(theta_1) - half_sin * speed_2 * (speed_2 + 2 * speed_1)
    ratio = d2 / d1
    acc_2 = (torque + ratio * phi_1 - half_sin * (speed_1 * speed_1) - phi_2) / (1.25 - ratio * d2)
    return -ratio * acc_2 - phi_1 / d1, acc_2


def step(xp: Any, rows: Rows, actions: Row) -> tuple[Rows, Row, Row]:
    """Applies a torque of -1, 0 or 1 at the joint; the reward is -1 for each step except the one that reaches the goal.

    In the Runge-Kutta scheme, the slopes of an angle are speeds, so only accelerations are stored, and angles are
    computed from them.
    """
    angles, speeds, torque = rows[:2], rows[2:], actions - 1
    half = DT / 2
    a1 = acceleration(xp, angles, speeds, torque)
    drifted = along(angles, speeds, half)
    a2 = acceleration(xp, drifted, along(speeds, a1, half), torque)
    a3 = acceleration(xp, along(drifted, a1, half * half), along(speeds, a2, half), torque)
    drifted = along(angles, speeds, DT)
    a4 = acceleration(xp, along(drifted, a2, half * DT), along(speeds, a3, DT), torque)
    middle = tuple(b + c for b, c in zip(a2, a3, strict=True))
    theta_1, theta_2 = (wrap(xp, q + DT * DT / 6 * (a + m)) for q, a, m in zip(drifted, a1, middle, strict=True))
    speed_1, speed_2 = (
        (v + DT / 6 * (a + 2 * m + d)).clip(-top, top)
        for v, a, m, d, top in zip(speeds, a1, middle, a4, MAX_SPEEDS, strict=True)
    )
    terminated = xp.cos(theta_1) + xp.cos(theta_1 + theta_2) < -1.0
    return (theta_1, theta_2, speed_1, speed_2), -xp.asarray(~terminated, dtype=xp.float64), terminated


def along(rows: Rows, slope: Rows, dt: float) -> Rows:
    """Returns the rows advanced along a slope by ``dt``."""
    return tuple(y + dt * dy for y, dy in zip(rows, slope, strict=True))


def wrap(xp: Any, angle: Row) -> Row:
    """Wraps an angle to [-pi, pi]; one that lies there already keeps every bit."""
    return angle - TURN * xp.round(angle / TURN)


ACROBOT = Physics(sample, observe, step)
