"""The greedy policy of a reward: its gain, the stage ``soften``, and resuming after it."""

import dataclasses
import functools

import numpy as np
import pytest
import torch

from gtn_core.checkpoint import load_checkpoint
from gtn_core.config import parse_assignments, to_dict
from gtn_core.run_folder import RunFolder
from gtn_core.seeding import Streams
from gtn_envs.weights_file import load_environment
from gtn_rl.config import resolve_config
from gtn_rl.fitness import Greedy
from gtn_rl.job import EvolutionJob
from gtn_rl.judge import Judge
from gtn_rl.run_progress import run_progress
from gtn_rl.stages import soften
from gtn_rl.stages.run import WITHOUT_OUTER_STEPS
from gtn_rl.tasks import make_task
from gtn_rl.tasks.actions import normalise
from gtn_rl.training import meta_train

SOFTENED = [
    *("environment.harvest_episodes=3", "environment.hidden=[8]", "environment.transition_hidden=[8]"),
    *("environment.centres=8", "environment.episode_steps=3", "agents.names=['short_agents:ShortA2C']"),
    *("agents.episodes=1", "agents.validation_seeds=1", "agents.validation_episodes=1", "iterations=1"),
    "stages=[{name: greedy, population: 2, validations: 1}, {name: soften}, {name: fit}, {name: scale}]",
    "environment.reward_mode=state-action",
]


def test_gain_scales_greedy_actions_before_tanh(make_teacher):
    teacher = make_teacher(make_task("Pendulum-v1"), "bandit")
    model = teacher.model(2)
    seen = torch.randn(2, 50, teacher.spec.observation_size, generator=torch.Generator().manual_seed(0))
    acts = (normalise(teacher.spec, Greedy(gain).train(model, torch.Generator()).act(seen)) for gain in (1.0, 0.5))
    sharp, smooth = (actions.atanh() for actions in acts)
    torch.testing.assert_close(smooth, 0.5 * sharp, rtol=1e-3, atol=1e-5)


def test_greedy_stage_draws_gains_across_its_range():
    settings = ["environment.kind=bandit", "iterations=1", "stages=[{name: greedy, gain: [0.3, 0.9]}]"]
    resolved = resolve_config("Pendulum-v1", "fast", parse_assignments(settings))
    task = make_task("Pendulum-v1")
    stage, streams = resolved.stages[0], Streams(0)
    job = EvolutionJob(resolved, task, None, streams, None, None, stage)
    gains = [job.episode(i, 0.0).agent.gain for i in range(50)]
    assert 0.3 <= min(gains) < 0.4
    assert 0.8 < max(gains) <= 0.9


def test_softened_reward_matches_greedy_policy_at_that_gain(make_teacher):
    teacher = make_teacher(make_task("Pendulum-v1"), "bandit")
    seen = torch.randn(1, 50, teacher.spec.observation_size, generator=torch.Generator().manual_seed(0))
    played = Greedy(0.35).train(teacher.model(), torch.Generator()).act(seen)
    teacher.soften(0.35)
    torch.testing.assert_close(Greedy().train(teacher.model(), torch.Generator()).act(seen), played)


@pytest.mark.parametrize("better", [True, False])
def test_soften_keeps_best_gain_only_if_agents_do_no_worse(tmp_path, monkeypatch, better):
    returns = iter([[-900.0, 5], [-300.0, 6], [-400.0, 7], [-1500.0, 8]])
    monkeypatch.setattr(soften, "_played", lambda pipeline, gain: next(returns))
    scores = iter([-1000.0, -1000.0, -1000.0, -990.0 if better else -1001.0])  # the first two are of the stage greedy
    judge = Judge.__call__
    monkeypatch.setattr(Judge, "__call__", lambda *given: dataclasses.replace(judge(*given), score=next(scores)))
    settings = ["environment.kind=bandit", "environment.harvest_episodes=2", "environment.centres=8", "iterations=1"]
    agents = [
        "agents.names=['short_agents:ShortA2C']",
        "agents.validation_seeds=1",
        "agents.validation_episodes=1",
        "agents.episodes=1",
    ]
    stages = "stages=[{name: greedy, population: 2, validations: 1}, {name: soften}]"
    run = RunFolder(tmp_path / "run")
    config = resolve_config("Pendulum-v1", "fast", parse_assignments([*settings, *agents, stages]))
    _, results = meta_train(config, run)
    result, gain = results[1], 0.6 if better else 1.0
    assert (result.name, result.kept, result.metrics["meta/gain"]) == ("soften", better, gain)
    assert result.metrics["real/greedy"] == (-300 if better else -900)
    assert result.real_steps > 26
    before, _ = load_checkpoint(tmp_path / "run" / "stages" / "1-greedy" / "result.safetensors", "stage")
    after, _ = load_checkpoint(tmp_path / "run" / "stages" / "2-soften" / "result.safetensors", "stage")
    assert after.keys() == before.keys()
    last = ("reward.2", "reward.3")
    for name in before:
        factor = gain if name in last else 1.0
        if not name.startswith("initial") or not better:
            torch.testing.assert_close(after[name], factor * before[name])
    assert run_progress(run, to_dict(config)).score == result.score


@pytest.mark.slow
@pytest.mark.parametrize("better", [True, False])
def test_resume_in_fit_after_soften_matches_uninterrupted_run(tmp_path, monkeypatch, better):
    """Dynamics are fitted to the harvests of those policies only that were kept."""
    monkeypatch.setattr(soften, "_played", lambda pipeline, gain: (-abs(gain - 0.6), 5))  # 0.6 does best
    fit, judge, harvests = WITHOUT_OUTER_STEPS["fit"], Judge.__call__, []

    def fitted(pipeline, *given, stop=False):
        harvests.append(len(pipeline.harvests))
        if stop:
            raise KeyboardInterrupt
        return fit(pipeline, *given)

    def train(name, **more):
        scores = iter([0.0, 0.0, 0.0, 1.0 if better else -1.0])  # the first two are of the stage greedy

        def judged(*given):
            found = judge(*given)
            return dataclasses.replace(found, score=next(scores, found.score))

        monkeypatch.setattr(Judge, "__call__", judged)
        return meta_train(resolve_config("Pendulum-v1", "fast", parse_assignments(SOFTENED)), runs[name], **more)[1]

    runs = {name: RunFolder(tmp_path / name) for name in ("whole", "broken")}
    monkeypatch.setitem(WITHOUT_OUTER_STEPS, "fit", fitted)
    whole = train("whole")
    monkeypatch.setitem(WITHOUT_OUTER_STEPS, "fit", functools.partial(fitted, stop=True))
    with pytest.raises(KeyboardInterrupt):
        train("broken")
    monkeypatch.setitem(WITHOUT_OUTER_STEPS, "fit", fitted)
    monkeypatch.setattr(Judge, "__call__", judge)
    ended = meta_train(resolve_config("Pendulum-v1", "fast", parse_assignments(SOFTENED)), runs["broken"], resume=True)
    assert harvests == [3 if better else 2] * 3  # random, greedy and, if kept, softened policy
    assert [result.kept for result in whole][1] == better
    for one, other in zip(whole, ended[1], strict=True):
        assert dataclasses.replace(one, cpu_seconds=0, seconds=0) == dataclasses.replace(
            other, cpu_seconds=0, seconds=0
        )
    tensors, others = (load_environment(run.teacher).tensors for run in runs.values())
    assert tensors.keys() == others.keys()
    assert all(np.array_equal(tensor, others[name]) for name, tensor in tensors.items())
