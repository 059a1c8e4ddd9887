"""A custom task: importing this package registers it, which is all that ``--task thermostat:Thermostat-v0`` needs."""

import gymnasium as gym

gym.register("Thermostat-v0", "thermostat.environment:Thermostat", max_episode_steps=100, reward_threshold=-30.0)
