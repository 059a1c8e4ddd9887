"""Reinforcement learning: real tasks, synthetic-environment models, inner agents, transfer evaluation. Empty in 0.1."""
