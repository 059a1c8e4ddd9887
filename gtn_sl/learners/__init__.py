"""Learner architectures by name. A new one is one file here, its import below, and one ``@LEARNERS.register`` line."""

from gtn_sl.learners import base_fc
from gtn_sl.learners.registry import LEARNERS, Architecture, architecture

__all__ = ["LEARNERS", "Architecture", "architecture", "base_fc"]
