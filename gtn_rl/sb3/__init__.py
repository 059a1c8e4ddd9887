"""What inner agents and the transfer study share of Stable-Baselines3 and sb3-contrib; importing it imports neither."""
