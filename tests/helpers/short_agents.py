"""Inner agents of few updates, named in settings as a user's own, so that a test's stages and validations are short."""

from dataclasses import replace

from gtn_rl.agents.a2c import A2C, A2CFamily
from gtn_rl.agents.dqn import DQN, DQNFamily
from gtn_rl.agents.td3 import TD3Family


class ShortA2C(A2CFamily):
    def draw(self, spec, random):
        return replace(super().draw(spec, random), updates=20)

    def usual(self, spec):
        return A2C(updates=20)


class ShortDQN(DQNFamily):
    def draw(self, spec, random):
        return replace(super().draw(spec, random), updates=40)

    def usual(self, spec):
        return DQN(updates=40, lr=1e-3)


class ShortTD3(TD3Family):
    def draw(self, spec, random):
        return replace(super().draw(spec, random), updates=10)

    def usual(self, spec):
        return replace(super().usual(spec), updates=10)
