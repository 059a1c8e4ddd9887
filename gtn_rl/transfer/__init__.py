"""Transfer: agents of Stable-Baselines3, trained inside an environment and evaluated on the real task."""
