"""Estimators of the outer gradient, by name. A new one is one file here, its import below, and one registry line."""

from gtn_core.estimators.backprop import Backprop
from gtn_core.estimators.episode import Episode
from gtn_core.estimators.es import SNES, OpenAIES
from gtn_core.estimators.protocol import ESTIMATORS, Estimate, Estimator, EstimatorConfig, Teacher, Trial

__all__ = [
    "ESTIMATORS",
    "SNES",
    "Backprop",
    "Episode",
    "Estimate",
    "Estimator",
    "EstimatorConfig",
    "OpenAIES",
    "Teacher",
    "Trial",
]
