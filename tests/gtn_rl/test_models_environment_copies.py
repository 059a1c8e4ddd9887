"""Copies of synthetic environments: steps, episode ends and starts, compared with a plain loop."""

from dataclasses import replace

import pytest
import torch

P, E, STEPS = 3, 5, 40


@pytest.fixture
def model(teacher):
    theta = teacher.theta()
    other = 0.3 * torch.randn(P, len(theta), generator=torch.Generator().manual_seed(1))
    return teacher.variants(theta + other)


def actions(model, t):
    generator = torch.Generator().manual_seed(t)
    if model.spec.discrete:
        return torch.randint(model.spec.action_size, (P, E), generator=generator)
    return 2 * torch.rand(P, E, model.spec.action_size, generator=generator) - 1


@pytest.mark.parametrize("stagger", [False, True])
def test_copies_match_a_plain_loop_over_members_and_copies(model, stagger):
    copies = model.copies(E, torch.Generator().manual_seed(0), stagger=stagger)
    ages = [[e % model.max_episode_steps * stagger for e in range(E)] for _ in range(P)]
    for t in range(STEPS):
        seen, taken = copies.observations(), actions(model, t)
        transition = copies.step(taken)
        terminated, truncated = (end.expand(P, E) for end in (transition.terminated, transition.truncated))
        following = copies.observations()
        assert torch.equal(transition.ended.expand(P, E), terminated | truncated)
        for p in range(P):
            one = alone(model, p)
            for e in range(E):
                x, action = (seen[p, e].view(1, 1, -1) - model.mean) / model.std, taken[p : p + 1, e : e + 1]
                torch.testing.assert_close(transition.reward[p, e], one.rewards(x, action)[0, 0], atol=1e-5, rtol=1e-4)
                ages[p][e] += 1
                over = model.bandit
                if not model.bandit:
                    after = one.step(x, action)
                    torch.testing.assert_close(transition.last[p, e], one.observe(after)[0, 0], atol=1e-5, rtol=1e-4)
                    over = one.termination is not None and bool(one.terminated(after))
                assert bool(terminated[p, e]) == over
                assert bool(truncated[p, e]) == (ages[p][e] == model.max_episode_steps and not over)
                if terminated[p, e] or truncated[p, e]:
                    ages[p][e] = 0
                else:
                    assert torch.equal(following[p, e], transition.last[p, e])


def alone(model, p):
    networks = {
        name: [(weight[p : p + 1], bias[p : p + 1]) for weight, bias in getattr(model, name)]
        for name in ("reward", "transition", "termination")
        if getattr(model, name) is not None
    }
    return replace(model, means=model.means[p : p + 1], scale=model.scale[p : p + 1], **networks)


def test_episode_starts_do_not_depend_on_other_variants(make_teacher, task):
    """Episode j of copy e starts from the same noise in each variant, whenever it starts."""
    teacher = make_teacher(task, "ending mdp")
    theta = teacher.theta()
    rarely = theta.clone()
    rarely[-1] = -0.5  # the last bias of the termination network, which is the last part of theta
    pair = record(teacher, torch.stack([theta, rarely]))
    assert len(pair[0]) > len(pair[1]) > 2 * E
    assert record(teacher, theta[None])[0] == pair[0]
    assert record(teacher, torch.stack([rarely, theta, theta]))[1:] == [pair[0]] * 2
    assert all(pair[1][key] == pair[0][key] for key in pair[1].keys() & pair[0].keys())
    assert len(set(pair[0].values())) == len(pair[0])


def record(teacher, thetas):
    """Returns, for each member, the first observation of every episode, by copy and episode number."""
    model = teacher.variants(thetas)
    copies = model.copies(E, torch.Generator().manual_seed(0))
    episodes = torch.zeros(len(thetas), E, dtype=torch.long)
    starts = [{(e, 0): tuple(copies.observations()[p, e].tolist()) for e in range(E)} for p in range(len(thetas))]
    for t in range(700):  # enough for more episodes than one block of starts
        taken = actions(model, t)[:1]
        ended = copies.step(taken.expand(len(thetas), *taken.shape[1:])).ended
        episodes += ended
        for p, e in ended.nonzero().tolist():
            starts[p][e, int(episodes[p, e])] = tuple(copies.observations()[p, e].tolist())
    return starts
