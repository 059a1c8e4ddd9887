"""Meta-gradients of an environment: the core's adjoint of the inner loop, and a meta-loss from real episodes."""

from gtn_rl.gradient.job import FORMS, GradientJob

__all__ = ["FORMS", "GradientJob"]
