"""Inner agents by name, and their protocol. To add one: a file here, its import below, and a registration."""

from gtn_rl.agents import a2c, dqn, ppo, sb3, td3
from gtn_rl.agents.protocol import AGENTS, AgentFamily, InnerAgent, Policies
from gtn_rl.models.variants import Variants
from gtn_rl.tasks.protocol import TaskSpec

__all__ = ["AGENTS", "AgentFamily", "InnerAgent", "Policies", "TaskSpec", "Variants", "a2c", "dqn", "ppo", "sb3", "td3"]
