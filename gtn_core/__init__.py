"""The learner core that every module shares: learners, the inner loop and its adjoint, the outer loop. Knows no task."""
