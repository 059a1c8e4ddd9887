"""Rankers by name. To add one, add a class here, its import below and a ``@RANKERS.register`` line."""

from gtn_sl.nas.rankers import activations, gradients, hypernetwork, real, size, supernet, teacher
from gtn_sl.nas.rankers.protocol import RANKERS, Judge, Ranker, Score, Setting
from gtn_sl.nas.rankers.user import find_ranker

__all__ = [
    "RANKERS",
    "Judge",
    "Ranker",
    "Score",
    "Setting",
    "activations",
    "find_ranker",
    "gradients",
    "hypernetwork",
    "real",
    "size",
    "supernet",
    "teacher",
]
