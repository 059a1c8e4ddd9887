"""Supervised learning: data, generators, curricula, learners, baselines, evaluation. No reinforcement learning."""
