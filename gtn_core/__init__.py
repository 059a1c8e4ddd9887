"""The core, independent of any task: learners, the inner loop and its adjoint, the outer loop."""
