"""Transfer: agents of Stable-Baselines3 trained inside an environment and judged on the real task."""
