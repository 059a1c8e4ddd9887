"""The greedy warm start: what a reward prefers, played more or less sharply."""

import torch

from gtn_core.config import parse_assignments
from gtn_core.seeding import Streams
from gtn_rl.agents.protocol import normalise
from gtn_rl.config import resolve_config
from gtn_rl.fitness import Greedy
from gtn_rl.job import EvolutionJob
from gtn_rl.tasks import make_task


def test_a_gain_makes_a_greedy_policy_smoother_and_leaves_its_signs(make_teacher):
    teacher = make_teacher(make_task("Pendulum-v1"), "bandit")
    model = teacher.model(2)
    seen = torch.randn(2, 50, teacher.spec.observation_size, generator=torch.Generator().manual_seed(0))
    acts = (normalise(teacher.spec, Greedy(gain).train(model, torch.Generator()).act(seen)) for gain in (1.0, 0.5))
    sharp, smooth = (actions.atanh() for actions in acts)
    torch.testing.assert_close(smooth, 0.5 * sharp, rtol=1e-3, atol=1e-5)


def test_the_greedy_search_plays_at_gains_of_its_range(tmp_path):
    settings = ["environment.kind=bandit", "iterations=1", "stages=[{name: greedy, gain: [0.3, 0.9]}]"]
    resolved = resolve_config("Pendulum-v1", "fast", parse_assignments(settings))
    task = make_task("Pendulum-v1")
    stage, streams = resolved.stages[0], Streams(0)
    job = EvolutionJob(resolved, task, None, streams, None, None, stage)
    gains = [job.episode(i, 0.0).agent.gain for i in range(50)]
    assert 0.3 <= min(gains) < 0.4
    assert 0.8 < max(gains) <= 0.9
