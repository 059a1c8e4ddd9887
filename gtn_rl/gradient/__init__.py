"""Meta-gradients of an environment: its inner loop differentiated by the core's adjoint, its meta-loss from real episodes."""

from gtn_rl.gradient.job import FORMS, GradientJob

__all__ = ["FORMS", "GradientJob"]
