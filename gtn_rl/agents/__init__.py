"""Inner agents by name. A new one is one file here, its import below, and one registry line."""

from gtn_rl.agents import a2c, dqn, ppo, sb3, td3
from gtn_rl.agents.protocol import AGENTS, AgentFamily, InnerAgent, Policies

__all__ = ["AGENTS", "AgentFamily", "InnerAgent", "Policies", "a2c", "dqn", "ppo", "sb3", "td3"]
