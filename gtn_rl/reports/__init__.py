"""Figures for people: the curves of a meta-training, and pictures of what an environment does."""
