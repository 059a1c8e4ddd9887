"""Updates of the batched agents, compared with Stable-Baselines3's on equal weights, experience and batches."""

import gymnasium as gym
import numpy as np
import pytest
import stable_baselines3 as sb3
import torch
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

from gtn_rl.agents.a2c import A2C
from gtn_rl.agents.actor import ActorCritics
from gtn_rl.agents.dqn import DQN
from gtn_rl.agents.ppo import PPO
from gtn_rl.agents.td3 import TD3
from gtn_rl.models.variants import Transition
from gtn_rl.tasks import make_task

P, HIDDEN, BATCH = 2, (8, 6), 16
DISCOUNT = 0.9
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


class Tape:
    """Variants, and their copies, that play random experience whatever the actions, and keep both.

    Attributes:
        phi: Parameters of the members as the agent changes them, ``(P, D)`` for each network.
        seen: Observations before each step, and ``last`` those after it, ``(steps, P, E, d)``.
        actions: Of each step, as the agent gave them.
    """

    size, bandit, max_episode_steps = P, False, 1000

    def __init__(self, spec, *starts, steps=100):
        self.spec, self.steps, self.t = spec, steps, 0
        self.starts, self.phi, self.actions = iter(starts), [], []

    def members(self, initial, generator):
        self.phi.append(next(self.starts).clone().requires_grad_())
        assert self.phi[-1].shape == (P, len(initial(generator)))
        return self.phi[-1]

    def copies(self, count, generator, *, stagger=False):
        self.count, random = count, torch.Generator().manual_seed(1)
        shape = (self.steps, P, count)
        self.seen, self.last = torch.randn(2, *shape, self.spec.observation_size, generator=random)
        self.rewards = 3 * torch.randn(shape, generator=random)
        over, limit = torch.rand(2, *shape, generator=random) < 0.2
        self.terminated, self.truncated = over, limit & ~over
        return self

    def observations(self):
        return self.seen[self.t]

    def step(self, actions):
        t, self.t = self.t, self.t + 1
        self.actions.append(actions.clone())
        return Transition(self.rewards[t], self.terminated[t], self.truncated[t], self.last[t])


def flat(*networks):
    """Returns the parameters of a model's networks as the batched agents order them, ``(D,)``."""
    layers = [layer for network in networks for layer in network.modules() if isinstance(layer, nn.Linear)]
    return torch.cat([part.detach().flatten() for layer in layers for part in (layer.weight.T, layer.bias)])


def actor_critic(policy):
    log_std = [policy.log_std.detach()] if hasattr(policy, "log_std") else []
    extractor = policy.mlp_extractor
    networks = flat(extractor.policy_net, policy.action_net, extractor.value_net, policy.value_net)
    return torch.cat([networks, *log_std])


def models(algorithm, id, count=1, **settings):
    """Returns a model of Stable-Baselines3 for each member, with weights of its own."""
    made = []
    for seed in range(P):
        env, sizes = DummyVecEnv([lambda: gym.make(id)] * count), {"net_arch": list(HIDDEN)}
        made.append(algorithm("MlpPolicy", env, policy_kwargs=sizes, gamma=DISCOUNT, seed=seed, **settings))
        made[-1].set_logger(Logger(None, []))
    return made


def keep_draws(monkeypatch, name, shape):
    """Makes a random function of torch also append what it returns in a shape to a list, which is returned."""
    kept, draw = [], getattr(torch, name)

    def keeping(*args, **kwargs):
        drawn = draw(*args, **kwargs)
        kept.extend([drawn] if drawn.shape == shape else [])
        return drawn

    monkeypatch.setattr(torch, name, keeping)
    return kept


def replay(model, tape, p):
    """Fills a model's replay buffer with a member's experience."""
    buffer = model.replay_buffer
    for t in range(tape.t):
        for e in range(tape.count):
            seen, last, reward = (values[t, p, e].numpy() for values in (tape.seen, tape.last, tape.rewards))
            terminated, truncated = bool(tape.terminated[t, p, e]), bool(tape.truncated[t, p, e])
            info = {"TimeLimit.truncated": truncated}
            buffer.add(seen, last, tape.actions[t][p, e].numpy(), reward, terminated or truncated, [info])
    return buffer


def learn_from(model, rows, monkeypatch):
    """Trains a model for one update on given rows of its replay buffer."""
    buffer = model.replay_buffer
    monkeypatch.setattr(buffer, "sample", lambda size, env: buffer._get_samples(rows.numpy(), env))
    model.train(1, BATCH)


def test_dqn_updates_match_stable_baselines3(monkeypatch):
    agent = DQN(
        updates=9, lr=3e-3, hidden=HIDDEN, warm_up=20, batch_size=BATCH, discount=DISCOUNT, target_every=3, clip=0.5
    )
    same = {"learning_rate": agent.lr, "max_grad_norm": agent.clip, "buffer_size": 200, "target_update_interval": 1}
    references = models(sb3.DQN, "CartPole-v1", **same)
    tape = Tape(make_task("CartPole-v1").spec, torch.stack([flat(model.q_net) for model in references]))
    batches = keep_draws(monkeypatch, "randint", (BATCH,))
    agent.train(tape, torch.Generator().manual_seed(0))
    assert len(batches) == agent.updates
    for p, model in enumerate(references):
        replay(model, tape, p)
        for update, rows in enumerate(batches):
            learn_from(model, rows, monkeypatch)
            if (update + 1) % agent.target_every == 0:
                model._on_step()  # copies the network to its target
        torch.testing.assert_close(tape.phi[0][p].detach(), flat(model.q_net), **CLOSE)


def test_td3_updates_match_stable_baselines3(monkeypatch):
    agent = TD3(updates=9, lr=3e-3, hidden=HIDDEN, warm_up=20, batch_size=BATCH, discount=DISCOUNT, tau=0.3)
    same = {"learning_rate": agent.lr, "policy_delay": agent.actor_every, "tau": agent.tau, "buffer_size": 200}
    noise = {"target_policy_noise": agent.target_noise, "target_noise_clip": 2 * agent.target_noise}
    references = models(sb3.TD3, "Pendulum-v1", **same, **noise)
    with torch.no_grad():  # so that actions matter, and reach their bounds
        for parameter in (parameter for model in references for parameter in model.policy.parameters()):
            parameter.mul_(3)

    def networks(model):
        return model.actor, model.critic.qf0, model.critic.qf1

    starts = [torch.stack(of) for of in zip(*(map(flat, networks(model)) for model in references), strict=True)]
    tape = Tape(make_task("Pendulum-v1").spec, *starts)
    batches = keep_draws(monkeypatch, "randint", (BATCH,))
    noises = keep_draws(monkeypatch, "randn", (BATCH, 1))
    agent.train(tape, torch.Generator().manual_seed(0))
    assert len(batches) == len(noises) == agent.updates
    assert max(float(drawn.abs().max()) for drawn in noises) > 2  # some are clipped
    for p, model in enumerate(references):
        replay(model, tape, p)
        model._n_updates = 1  # Stable-Baselines3's first update leaves the actor alone, ours does not
        for rows, drawn in zip(batches, noises, strict=True):
            monkeypatch.setattr(torch.Tensor, "normal_", lambda own, mean, std, drawn=drawn: own.copy_(std * drawn))
            learn_from(model, rows, monkeypatch)
        for phi, network in zip(tape.phi, networks(model), strict=True):
            torch.testing.assert_close(phi[p].detach(), flat(network), **CLOSE)


def keep_actions(monkeypatch):
    """Makes actors append their actions, before any clipping, to a list, which is returned."""
    kept, sample = [], ActorCritics.sample

    def keeping(agents, *args, **kwargs):
        kept.append(sample(agents, *args, **kwargs))
        return kept[-1]

    monkeypatch.setattr(ActorCritics, "sample", keeping)
    return kept


def collect(model, tape, p, start, actions):
    """Fills a model's rollout buffer with a member's experience from step ``start`` on, as ``collect_rollouts`` would."""
    model.rollout_buffer.reset()
    ended = (tape.terminated | tape.truncated).numpy()
    policy = model.policy
    with torch.no_grad():
        for t in range(start, start + model.n_steps):
            value, log_probability, _ = policy.evaluate_actions(tape.seen[t, p], actions[t][p])
            beyond = policy.predict_values(tape.last[t, p])[:, 0]
            reward = (tape.rewards[t, p] + DISCOUNT * tape.truncated[t, p] * beyond).numpy()
            begun = ended[t - 1, p] if t else np.ones(tape.count)
            seen, taken = tape.seen[t, p].numpy(), actions[t][p].numpy()
            model.rollout_buffer.add(seen, taken, reward, begun, value, log_probability)
        model.rollout_buffer.compute_returns_and_advantage(policy.predict_values(tape.seen[t + 1, p]), ended[t, p])


@pytest.mark.parametrize("id", ["CartPole-v1", "Pendulum-v1"])
def test_a2c_updates_match_stable_baselines3(id, monkeypatch):
    agent = A2C(updates=8, lr=3e-3, hidden=HIDDEN, copies=2, steps=5, discount=DISCOUNT)
    same = {"learning_rate": agent.lr, "n_steps": agent.steps, "max_grad_norm": agent.clip}
    references = models(sb3.A2C, id, agent.copies, **same)
    tape = Tape(make_task(id).spec, torch.stack([actor_critic(model.policy) for model in references]))
    actions = keep_actions(monkeypatch)
    agent.train(tape, torch.Generator().manual_seed(0))
    for p, model in enumerate(references):
        for update in range(agent.updates):
            collect(model, tape, p, update * agent.steps, actions)
            model.train()
        torch.testing.assert_close(tape.phi[0][p].detach(), actor_critic(model.policy), **CLOSE)


@pytest.mark.parametrize("id", ["CartPole-v1", "Pendulum-v1"])
def test_ppo_updates_match_stable_baselines3(id, monkeypatch):
    steps, copies = 8, 4
    agent = PPO(2, steps * copies, longest=steps, epochs=3, batch_size=BATCH, lr=1e-2, hidden=HIDDEN, discount=DISCOUNT)
    same = {"learning_rate": agent.lr, "n_steps": steps, "batch_size": BATCH, "n_epochs": agent.epochs}
    references = models(sb3.PPO, id, copies, **same)
    tape = Tape(make_task(id).spec, torch.stack([actor_critic(model.policy) for model in references]))
    actions, orders = keep_actions(monkeypatch), keep_draws(monkeypatch, "randperm", (steps * copies,))
    agent.train(tape, torch.Generator().manual_seed(0))
    by_copy = [(order % copies * steps + order // copies).numpy() for order in orders]  # its buffer has copies first
    for p, model in enumerate(references):
        permutations = iter(by_copy)
        monkeypatch.setattr(np.random, "permutation", lambda size, left=permutations: next(left))
        for rollout in range(agent.rollouts):
            collect(model, tape, p, rollout * steps, actions)
            model.train()
        assert list(permutations) == []
        torch.testing.assert_close(tape.phi[0][p].detach(), actor_critic(model.policy), **CLOSE)
