"""Advantages of on-policy experience, compared with Stable-Baselines3's rollout buffer."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer

from gtn_rl.agents.actor import ActorCritic
from gtn_rl.agents.on_policy import collect
from gtn_rl.models.variants import Transition
from gtn_rl.tasks import make_task

P, E, T, D = 3, 4, 12, 4
DISCOUNT, TRACE = 0.9, 0.8


class Tape:
    """Copies that replay a fixed recording, whatever the actions."""

    count = E

    def __init__(self, terminated, truncated):
        random = torch.Generator().manual_seed(0)
        self.seen, self.last = (torch.randn(T + 1, P, E, D, generator=random) for _ in range(2))
        self.rewards = torch.randn(T, P, E, generator=random)
        self.terminated, self.truncated, self.t = terminated, truncated, 0

    def observations(self):
        return self.seen[self.t]

    def step(self, actions):
        t, self.t = self.t, self.t + 1
        return Transition(self.rewards[t], self.terminated[t], self.truncated[t], self.last[t])


def ends(share, rows, seed):
    return torch.rand(T, rows, E, generator=torch.Generator().manual_seed(seed)) < share


@pytest.mark.parametrize("trace", [TRACE, 1.0])
@pytest.mark.parametrize(
    ("terminated", "truncated", "rows"), [(0.2, 0.0, P), (0.0, 0.2, 1), (0.2, 0.2, P), (1.0, 0.0, 1)]
)
def test_advantages_match_stable_baselines3(terminated, truncated, rows, trace):
    terminated, truncated = ends(terminated, rows, 1), ends(truncated, rows, 2)
    tape = Tape(terminated, truncated & ~terminated)
    networks = ActorCritic.build(make_task("CartPole-v1").spec, (8,))
    generator = torch.Generator().manual_seed(3)
    phi = torch.stack([networks.initial(generator) for _ in range(P)])
    agents = networks.of(phi)
    part = collect(agents, tape, T, generator, discount=DISCOUNT)
    values = agents.values(part.observations).detach()
    advantages = part.advantages(values, trace)
    shaped = [advantages.view(P, T, E), (advantages + values).view(P, T, E)]
    terminated, truncated = (end.expand(T, P, E).numpy() for end in (tape.terminated, tape.truncated))
    for p in range(P):
        one = phi[p : p + 1]
        buffer = RolloutBuffer(T, spaces.Box(-1, 1, (D,)), spaces.Discrete(2), "cpu", trace, DISCOUNT, E)
        start = np.zeros(E)
        for t in range(T):
            values = networks.of(one).values(tape.seen[t, p].unsqueeze(0))[0]
            beyond = networks.of(one).values(tape.last[t, p].unsqueeze(0))[0].detach().numpy()
            reward = tape.rewards[t, p].numpy() + DISCOUNT * truncated[t, p] * beyond  # as in SB3's collect_rollouts
            buffer.add(tape.seen[t, p].numpy(), np.zeros(E), reward, start, values.detach(), torch.zeros(E))
            start = (terminated | truncated)[t, p].astype(np.float32)
        buffer.compute_returns_and_advantage(networks.of(one).values(tape.seen[T, p].unsqueeze(0))[0].detach(), start)
        for ours, theirs in zip(shaped, (buffer.advantages, buffer.returns), strict=True):
            np.testing.assert_allclose(ours[p].numpy(), theirs, atol=1e-5, rtol=1e-5)
