"""Whole meta-trainings of small environments: stages, the resulting file, resuming, presets and invalid settings."""

import dataclasses
import json
import logging
import os
import signal
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from gtn_core.checkpoint import load_checkpoint
from gtn_core.config import parse_assignments, to_dict
from gtn_core.distributed import SingleProcess
from gtn_core.errors import DeviceError, GTNError, UsageError
from gtn_core.interrupts import InterruptedRun
from gtn_core.run_folder import RunFolder
from gtn_envs.weights_file import load_environment, save_environment
from gtn_rl.agents import AGENTS
from gtn_rl.config import resolve_config
from gtn_rl.environment_file import write_environment
from gtn_rl.judge import Judge
from gtn_rl.natures import NATURES, StageName
from gtn_rl.run_progress import run_progress
from gtn_rl.stages.reward_size import FACTORS
from gtn_rl.stages.rules import refuse_nonsense
from gtn_rl.stages.run import WITHOUT_OUTER_STEPS
from gtn_rl.tasks import make_task
from gtn_rl.training import meta_train

SMALL = [
    "environment.harvest_episodes=16",
    "environment.hidden=[8]",
    "environment.transition_hidden=[8]",
    "environment.centres=8",
    "environment.episode_steps=3",
    "agents.names=['short_agents:ShortDQN']",
    "agents.episodes=1",
    "agents.validation_seeds=1",
    "agents.validation_episodes=1",
    "save_every=0",
    "iterations=2",
]
STAGES = {
    "bandit": "stages=[{name: bilevel, population: 4, validations: 1}]",
    "mdp": "stages=[{name: greedy, population: 4, validations: 1, sigma: 0.3, parts: [reward]},"
    " {name: distil, population: 4, validations: 1, parts: [reward]}, {name: fit},"
    " {name: bilevel, population: 4, validations: 1}]",
    "reward": "stages=[{name: greedy, population: 4, validations: 1, sigma: 0.3, parts: [reward]},"
    " {name: bilevel, population: 4, validations: 1, parts: [reward]}]",
}
DISCRETE = ("CartPole-v1", "MountainCar-v0")
POTENTIAL = ["environment.reward_mode=potential", "stages=[{name: bilevel, population: 4, validations: 1}]"]
FITTED = ["environment.reward_mode=fitted"]


def config(kind, *more):
    return resolve_config(
        "CartPole-v1", "fast", {"environment": {"kind": kind}}, parse_assignments([*SMALL, STAGES[kind], *more])
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bandit", "mdp", "reward"])
def test_run_writes_environment_with_provenance_and_metrics(kind, tmp_path):
    run = RunFolder(tmp_path / "run")
    progress, results = meta_train(config(kind), run, command="gtn-cli meta-train --task CartPole-v1")
    weights = load_environment(run.teacher)
    header = weights.document
    assert weights.form == kind
    assert weights.max_episode_steps == {"bandit": 1, "mdp": 3, "reward": None}[kind]
    assert header["command"] == "gtn-cli meta-train --task CartPole-v1"
    assert header["metrics"]["score"] == progress.best
    assert [stage["name"] for stage in header["stages"]] == [result.name for result in results]
    assert header["metrics"]["meta_real_steps"] > 100
    assert header["metrics"]["meta_cpu_seconds"] > 0
    assert header["metrics"]["meta_real_steps"] == sum(result.real_steps for result in results)
    assert header["metrics"]["real/short_agents:ShortDQN"] == header["metrics"]["score"]
    assert not any(tag.startswith(("cost/", "perf/")) for tag in header["metrics"])
    rows = list(run.metric_rows())
    names = [f"{i + 1}-{result.name}" for i, result in enumerate(results)]
    assert list(dict.fromkeys(row["stage"] for row in rows)) == names
    assert {path.name for path in run.tensorboard.iterdir()} == set(names)
    for tag in ("cost/real_steps", "cost/cpu_seconds"):
        so_far = [row[tag] for row in rows]
        assert so_far == sorted(so_far)
    assert rows[-1]["cost/real_steps"] == header["metrics"]["meta_real_steps"]
    assert rows[-1]["iteration"] == progress.iteration
    lengths = rows[-1]["real/score"] if kind == "reward" else weights.max_episode_steps  # CartPole pays 1 a step
    assert rows[-1]["inner/episode_length"] == lengths
    assert progress.iteration == 2 * sum(result.name != "fit" for result in results)
    assert len(json.loads((run.path / "stages.json").read_text())["stages"]) == len(results)


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", ["bandit", "mdp"])
@pytest.mark.parametrize("start", ["null", "GTN-CartPoleBandit-v0"])
def test_meta_training_and_resume_work_on_gpu(kind, start, tmp_path):
    stages = STAGES[kind][:-1] + ", {name: scale}, {name: meta-gradient, validations: 1}]"
    told = ["device=cuda", f"environment.start={start}", f"environment.termination={kind == 'mdp'}".lower(), stages]
    run = RunFolder(tmp_path / "run")
    progress, _ = meta_train(config(kind, *told), run)
    assert load_environment(run.teacher).document["metrics"]["score"] == progress.best
    again, _ = meta_train(config(kind, *told), run, resume=True)
    assert again.best == progress.best


FAILING_DQN = """
from gtn_rl.agents.dqn import DQN, DQNFamily

class Failing(DQN):
    def train(self, variants, generator):
        raise FloatingPointError("nobody can learn this")

class Family(DQNFamily):
    def usual(self, spec):
        return Failing()
"""


def test_failing_stage_leaves_no_open_files(tmp_path, monkeypatch):
    (tmp_path / "failing_dqn.py").write_text(FAILING_DQN)
    monkeypatch.syspath_prepend(tmp_path)
    told = ["environment.start=GTN-CartPoleBandit-v0", "stages=[{name: scale}]", "agents.names=['failing_dqn:Family']"]
    run = RunFolder(tmp_path / "run")
    with pytest.raises(FloatingPointError, match="nobody can learn this"):
        meta_train(config("bandit", *told), run)
    opened = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert not [name for name in opened if name.startswith(str(run.path))]


def test_unwritable_teacher_file_raises_gtn_error(tmp_path, make_teacher):
    teacher = make_teacher(make_task("CartPole-v1"), "bandit")
    with pytest.raises(GTNError, match=r"cannot write .*teacher.safetensors: No such file"):
        write_environment(tmp_path / "gone" / "teacher.safetensors", teacher, config("bandit"), [], {}, "")


@pytest.mark.slow
def test_scale_stage_shrinks_reward_too_large_to_learn(tmp_path):
    """With DQN's Huber loss and Adam's bounded steps, a reward 50 times as large is not learned in time."""
    run = RunFolder(tmp_path / "run")
    weights = load_environment("GTN-CartPoleBandit-v0")
    teacher = tmp_path / "large.safetensors"
    save_environment(
        teacher, {**weights.tensors, "reward.scale": 50 * weights.tensors["reward.scale"]}, weights.document
    )
    own = ["agents.validation_seeds=3", f"environment.start={teacher}"]
    own.append("environment.regret=false")  # a regret can be learned even at this size
    settings = config("bandit", *own, "stages=[{name: scale}]")
    progress, (result,) = meta_train(settings, run)
    factor = result.metrics["meta/reward_factor"]
    assert factor < 1
    assert result.kept
    assert result.score > result.before
    assert progress.best == result.score == load_environment(run.teacher).document["metrics"]["score"]
    rows = list(run.metric_rows())
    assert [row["meta/reward_factor"] for row in rows] == [*FACTORS, factor]  # each factor is judged once
    assert rows[-1]["cost/real_steps"] == rows[-2]["cost/real_steps"]
    assert run_progress(run, to_dict(settings)).done


TINY = "gradient: {steps: 3, learners: 2, contexts: 4}"
DIFFERENTIATED = (
    f"stages=[{{name: meta-gradient, validations: 1, {TINY}}}, {{name: bilevel, population: 4, validations: 1}}]"
)


@pytest.mark.slow
def test_potential_run_saves_gamma_and_counts_agents_real_steps(tmp_path):
    run = RunFolder(tmp_path / "run")
    meta_train(config("reward", *POTENTIAL, "environment.gamma=0.9", "agents.names=[dqn]"), run)
    weights = load_environment(run.teacher)
    assert weights.potential
    assert weights.gamma == 0.9
    assert weights.layers("reward")[-1][0].shape == (8, 1)
    assert (
        0.3 < float(weights.tensors["reward.scale"]) < 50
    )  # a tenth of a random policy's return, divided by the network's output size
    rows = list(run.metric_rows())
    steps = np.diff([row["cost/real_steps"] for row in rows])
    own = AGENTS["dqn"].usual(make_task("CartPole-v1").spec)
    assert steps[-1] > own.warm_up + own.updates * own.steps  # a validation agent's training and its real episode
    assert steps[0] > 4 * 200 * 4  # training of the population's agents


@pytest.mark.slow
def test_terminations_are_fitted_and_other_parts_stay_fixed(tmp_path):
    stages = "stages=[{name: fit}, {name: bilevel, population: 4, validations: 1, parts: [termination]}]"
    run = RunFolder(tmp_path / "run")
    _, results = meta_train(
        config("mdp", "environment.termination=true", "environment.harvest_episodes=40", stages), run
    )
    weights = load_environment(run.teacher)
    assert [weight.shape for weight, _ in weights.layers("termination")] == [(4, 8), (8, 1)]
    assert 0.9 < results[0].metrics["fit/termination_balanced_accuracy"] <= 1
    assert 0.5 < results[0].metrics["fit/explained_variance"] == results[0].score
    fitted, result = (
        load_checkpoint(path, "stage")[0] for path in sorted(run.path.glob("stages/*/result.safetensors"))
    )
    (state,) = run.path.glob("stages/*bilevel/state/latest.safetensors")
    last = load_checkpoint(state, "training-state")[0]  # the result is the best one validated, maybe the first

    def changed(after):
        return {name for name, tensor in fitted.items() if not torch.equal(tensor, after[name])}

    terminations = {name for name in fitted if name.startswith("termination")}
    assert changed({name: last[f"teacher.{name}"] for name in fitted}) == terminations
    assert changed(result) <= terminations


@pytest.mark.parametrize("stage", ["{name: greedy, population: 4}", "{name: bilevel, population: 4}", "{name: paper}"])
def test_interrupt_stops_validation_after_kind_of_agents(stage, tmp_path, monkeypatch):
    judged, judges = [], "agents.judges=['short_agents:ShortDQN', dqn]"

    def interrupted(judge, name, *given):
        judged.append(name)
        signal.raise_signal(signal.SIGINT)
        return figures(judge, name, *given)

    figures = Judge._judged
    monkeypatch.setattr(Judge, "_judged", interrupted)
    with pytest.raises(InterruptedRun):
        meta_train(config("bandit", judges, f"stages=[{stage}]"), RunFolder(tmp_path / "run"))
    assert judged == ["short_agents:ShortDQN"]
    (state,) = tmp_path.glob("run/stages/*/state/latest.safetensors")
    assert load_checkpoint(state, "training-state")[1]["progress"]["validated"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("settings", [["mdp", "environment.termination=true"], ["reward"], ["bandit", DIFFERENTIATED]])
def test_resumed_run_matches_uninterrupted_run(settings, tmp_path):
    whole, broken = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "broken")
    settings = config(*settings)
    meta_train(settings, whole)
    steps = 2 * sum(stage.nature.loops for stage in settings.stages)
    seen = []

    def interrupt(progress, share, values):
        seen.append(progress.iteration)
        if len(seen) in (1, steps - 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # in the first stage
        meta_train(settings, broken, listener=interrupt, command="as it began")
    with pytest.raises(KeyboardInterrupt):  # in the last stage
        meta_train(settings, broken, resume=True, listener=interrupt)
    with pytest.raises(UsageError, match=r"broken was started with a different seed: a resumed run keeps"):
        meta_train(dataclasses.replace(settings, seed=5, threads=2), broken, resume=True)
    meta_train(settings, broken, resume=True, listener=interrupt, command="as it went on")
    one, other = load_environment(whole.teacher), load_environment(broken.teacher)
    assert one.tensors.keys() == other.tensors.keys()
    for name, tensor in one.tensors.items():
        assert np.array_equal(tensor, other.tensors[name]), name
    assert other.document["command"] == "as it began"
    assert seen == list(range(1, steps + 1))  # outer steps are counted over the whole run
    repeated = [
        [(row["iteration"], row["stage"], row["cost/real_steps"]) for row in run.metric_rows()]
        for run in (whole, broken)
    ]
    assert repeated[0] == repeated[1]
    assert one.document["metrics"]["meta_real_steps"] == other.document["metrics"]["meta_real_steps"]


@pytest.mark.slow
def test_sb3_agents_train_and_judge_reproducibly(tmp_path):
    """Two runs with the same seed, meta-trained on DQN and validated on A2C, give the same teacher."""
    names = ("agents.names=[sb3-dqn]", "agents.judges=[sb3-a2c]", "agents.sb3_steps=800")
    settings = config("bandit", *names, "environment.spread=task", "environment.jitter=0.2")
    ends, spreads = [], []
    for name in ("one", "two"):
        run = RunFolder(tmp_path / name)
        progress, (result,) = meta_train(
            settings, run, listener=lambda progress, share, values: spreads.append(values["meta/fitness_spread"])
        )
        assert progress.iteration == 2
        assert {tag for tag in result.metrics if "sb3" in tag} == {"real/sb3-a2c", "real/sb3-a2c_minimum"}
        ends.append(load_environment(run.teacher))
    assert max(spreads) > 0
    assert spreads[:2] == spreads[2:]
    for name, tensor in ends[0].tensors.items():
        assert np.array_equal(tensor, ends[1].tensors[name]), name


@pytest.mark.slow
def test_reward_scale_sets_initial_size_of_reward(tmp_path):
    sizes = []
    for size in (1.0, 0.1):
        run = RunFolder(tmp_path / str(size))
        only_initial = "stages=[{name: bilevel, population: 4, validations: 1, parts: [initial]}]"
        meta_train(config("bandit", f"environment.reward_scale={size}", "iterations=1", only_initial), run)
        sizes.append(float(load_environment(run.teacher).tensors["reward.scale"]))
    assert sizes[1] == pytest.approx(0.1 * sizes[0], rel=0.2)  # normalised over initial states that differ slightly


def test_greedy_stage_keeps_reward_scale_and_initial_spread(tmp_path):
    run = RunFolder(tmp_path / "run")
    told = [
        "environment.reward_scale=0.1",
        "environment.jitter=0.3",
        "agents.names=['short_agents:ShortTD3']",
        "iterations=8",
    ]
    told += ["stages=[{name: greedy, population: 8, sigma: 1.0, validations: 1}]", "environment.kind=bandit"]
    meta_train(resolve_config("Pendulum-v1", "fast", parse_assignments([*SMALL, *told])), run)
    tensors = load_environment(run.teacher).tensors
    assert float(tensors["reward.scale"]) == pytest.approx(0.1)
    assert np.exp(tensors["initial.log_std"]) == pytest.approx(0.3)


def test_default_outer_lr_depends_on_estimator():
    rates = {}
    for name in ("snes", "openai-es"):
        told = config("bandit", f"stages=[{{name: bilevel, estimator: {name}}}]")
        rates[name] = told.outer(told.stages[0]).lr
    assert rates == {"snes": 1.0, "openai-es": 0.02}


def test_every_stage_name_has_a_nature_and_a_runner():
    assert set(NATURES) == set(get_args(StageName))
    assert {name for name, nature in NATURES.items() if not nature.loops} == set(WITHOUT_OUTER_STEPS)


@pytest.mark.parametrize("task", ["Pendulum-v1", "MountainCar-v0", "HalfCheetah-v5", "BipedalWalker-v3"])
@pytest.mark.parametrize("kind", ["bandit", "mdp", "reward"])
def test_presets_have_valid_stages_for_every_kind(task, kind):
    for start in (None, "GTN-CartPoleBandit-v0"):
        if start is not None and kind == "reward":
            continue
        resolved = resolve_config(task, "fast", {"environment": {"kind": kind, "start": start}})
        refuse_nonsense(resolved.environment, resolved.stages, discrete=task in DISCRETE)
        names, modelled = [stage.name for stage in resolved.stages], resolved.environment.reward_mode == "fitted"
        assert modelled == (start is None and (task, kind) == ("Pendulum-v1", "mdp"))
        assert ("greedy" in names) == (start is None and not modelled)
        if kind == "mdp":
            assert names.index("fit") > max([i for i, name in enumerate(names) if NATURES[name].warms_up], default=-1)


@pytest.mark.parametrize("task", ["CartPole-v1", "MountainCar-v0", "HalfCheetah-v5", "BipedalWalker-v3"])
def test_presets_omit_greedy_stage_for_a_potential(task):
    for mode, first in (("state-action", "bilevel" if task == "CartPole-v1" else "greedy"), ("potential", "bilevel")):
        resolved = resolve_config(task, "fast", {"environment": {"kind": "reward", "reward_mode": mode}})
        assert resolved.stages[0].name == first
        refuse_nonsense(resolved.environment, resolved.stages, discrete=task in DISCRETE)


@pytest.mark.parametrize("task", ["CartPole-v1", "Pendulum-v1", "HalfCheetah-v5", "BipedalWalker-v3"])
def test_fitted_reward_has_stages_of_its_own_on_any_task(task):
    resolved = resolve_config(task, "fast", parse_assignments(FITTED))
    refuse_nonsense(resolved.environment, resolved.stages, discrete=task in DISCRETE)
    assert [stage.name for stage in resolved.stages] == ["fit", "judge" if task == "Pendulum-v1" else "scale"]
    assert resolved.environment.termination == (task != "Pendulum-v1")


def test_fitted_environment_is_refused_as_start(tmp_path):
    settings = {"environment": {"start": "GTN-Pendulum-v0"}}
    with pytest.raises(UsageError, match=r"GTN-Pendulum-v0\S* is a model of Pendulum-v1 with a fitted reward"):
        meta_train(resolve_config("Pendulum-v1", "fast", settings), RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_pendulum_mdp_of_learned_reward_is_still_to_be_had():
    resolved = resolve_config("Pendulum-v1", "fast", parse_assignments(["environment.reward_mode=state-action"]))
    assert [stage.name for stage in resolved.stages] == ["greedy", "distil", "fit", "bilevel"]


@pytest.mark.slow
def test_fitted_reward_is_made_stored_and_resumed(tmp_path, monkeypatch, caplog):
    agents = ["agents.names=['short_agents:ShortTD3']", "agents.judges=[]", "stages=[{name: fit}, {name: scale}]"]
    small = ["environment.harvest_episodes=20", "environment.hidden=[16]", "environment.transition_hidden=[16]"]
    few = ["environment.centres=16", "agents.validation_seeds=1", "agents.validation_episodes=2"]
    settings = resolve_config("Pendulum-v1", "fast", parse_assignments([*small, *few, *agents]))
    run = RunFolder(tmp_path / "run")
    with monkeypatch.context() as broken:
        broken.setattr("gtn_rl.stages.scale.try_sizes", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            meta_train(settings, run)
    with caplog.at_level(logging.INFO):
        _, results = meta_train(settings, run, resume=True)
    assert [result.name for result in results] == ["fit", "scale"]
    groups = [line for line in caplog.messages if line.startswith("agents in training")]
    told = "agents in training: {} of short_agents:ShortTD3 (group {} of 3)"
    assert groups == [told.format(len(FACTORS) * agents, i + 1) for i, agents in enumerate((2, 1, 1))]
    assert results[0].metrics["fit/reward_explained_variance"] > 0.9
    weights = load_environment(run.teacher)
    assert weights.reward_reads_action
    assert weights.max_episode_steps == 50
    assert not weights.limit_terminates


def test_budget_that_no_stage_uses_is_warned_of(caplog):
    resolve_config("Pendulum-v1", "fast", {"minutes": 5.0})
    assert "minutes=5.0 has no effect: none of the stages fit, judge is an outer loop" in caplog.text
    caplog.clear()
    resolve_config("Pendulum-v1")
    resolve_config("CartPole-v1", "fast", {"minutes": 5.0})
    assert not caplog.text


def test_preset_omits_soften_stage_for_kind_reward():
    for kind, expected in (("bandit", True), ("mdp", True), ("reward", False)):
        resolved = resolve_config("HalfCheetah-v5", "fast", {"environment": {"kind": kind}})
        assert ("soften" in [stage.name for stage in resolved.stages]) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "kind", "stages"),
    [
        ("CartPole-v1", "bandit", "{name: paper, validations: 1, gradient: {learners: 2, contexts: 4}}"),
        ("CartPole-v1", "mdp", f"{{name: fit}}, {{name: meta-gradient, validations: 1, {TINY}}}"),
        ("Pendulum-v1", "bandit", f"{{name: meta-gradient, validations: 1, {TINY}}}"),
    ],
)
def test_differentiable_stages_run_for_both_kinds_of_actions(task, kind, stages, tmp_path):
    agents = f"agents.names=['short_agents:{'ShortA2C' if task == 'Pendulum-v1' else 'ShortDQN'}']"
    assignments = parse_assignments([*SMALL, f"stages=[{stages}]", agents])
    run = RunFolder(tmp_path / "run")
    _, results = meta_train(resolve_config(task, "fast", {"environment": {"kind": kind}}, assignments), run)
    weights = load_environment(run.teacher)
    assert weights.form == kind
    assert not any("schedule" in name or name == "value" for name in weights.tensors)
    assert results[-1].outer_steps == 2
    rows = [row for row in run.metric_rows() if "meta/fitness" in row]
    assert [row["stage"].endswith(results[-1].name) for row in rows] == [True, True]
    assert results[-1].real_steps > 0
    assert rows[0]["cost/real_steps"] < rows[1]["cost/real_steps"]


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("CartPol-v1", [], "did you mean 'CartPole-v"),
        ("Taxi-v4", [], "only Box observations"),
        ("CartPole-v1", ["agents.names=[td3]"], "does not support the actions"),
        ("Pendulum-v1", ["agents.names=[dqn]"], "does not support the actions"),
        ("CartPole-v1", ["agents.names=[dqm]"], "did you mean 'dqn'"),
        ("CartPole-v1", ["agents.names=['no_such:Family']"], "cannot import the inner agent 'no_such:Family'"),
        ("CartPole-v1", ["agents.judges=[sb3-sac]"], "does not support the actions"),
        ("CartPole-v1", ["stages=[{name: bilevel, population: 5}]"], "even"),
        ("CartPole-v1", ["stages=[{name: bilevel, estimator: sness}]"], "did you mean 'snes'"),
        ("CartPole-v1", ["stages=[]"], "at least one stage"),
        ("CartPole-v1", ["stages=[{name: bilevel}]"], "needs the stage fit"),
        ("CartPole-v1", ["stages=[{name: fit}]"], "alone does not learn a reward"),
        (
            "CartPole-v1",
            ["environment.start=GTN-CartPole-v0", "stages=[{name: fit}]"],
            "no stage after fit validates the mdp",
        ),
        ("CartPole-v1", ["environment.harvest_episodes=1"], "of 2 or more"),
        (
            "CartPole-v1",
            ["environment.kind=bandit", "stages=[{name: paper, gradient: {every: 2}}]"],
            "gradient.every has no effect in the stage paper",
        ),
        (
            "Pendulum-v1",
            ["environment.kind=bandit", "stages=[{name: greedy}, {name: soften, gain: [0.5, 1]}]"],
            "soften tries its own gains",
        ),
        ("CartPole-v1", ["environment=3"], "'environment' must be a mapping, got 3"),
        ("CartPole-v1", ["environment.kind=bandit", "stages=[{name: fit}]"], "no transitions"),
        ("CartPole-v1", ["environment.kind=bandit", "environment.termination=true"], "every step of a bandit ends"),
        ("CartPole-v1", ["environment.kind=reward", "environment.termination=true"], "the real task ends its own"),
        ("CartPole-v1", ["environment.kind=reward", "stages=[{name: fit}]"], "leaves the real task's transitions"),
        ("CartPole-v1", ["environment.kind=reward", "stages=[{name: distil}]"], "needs contexts to learn in"),
        ("CartPole-v1", ["environment.reward_mode=potential"], "needs a real reward .* the mdp has none"),
        (
            "CartPole-v1",
            ["environment.kind=reward", "environment.reward_mode=potential", "stages=[{name: greedy}]"],
            "a potential does not rate actions",
        ),
        (
            "CartPole-v1",
            ["environment.kind=reward", "stages=[{name: bilevel, parts: [initial]}]"],
            "the only parts of a reward",
        ),
        ("CartPole-v1", ["environment.kind=reward", "environment.gamma=1.5"], "environment.gamma"),
        (
            "CartPole-v1",
            [*POTENTIAL, "environment.kind=reward", "environment.start=GTN-CartPole-v0"],
            "cannot start from a reward of actions",
        ),
        ("CartPole-v1", [*FITTED, "environment.kind=bandit"], "applies only to an mdp: a bandit has no transitions"),
        ("CartPole-v1", [*FITTED, "environment.kind=reward"], "applies only to an mdp: a reward leaves the real"),
        ("CartPole-v1", [*FITTED, "environment.regret=true"], "does not go with environment.regret=true"),
        ("CartPole-v1", [*FITTED, "environment.start=GTN-CartPole-v0"], "does not go with environment.start"),
        ("CartPole-v1", [*FITTED, "stages=[{name: greedy}, {name: fit}, {name: scale}]"], "the stage greedy learns a"),
        (
            "CartPole-v1",
            [*FITTED, "stages=[{name: fit}, {name: meta-gradient}]"],
            "the stage meta-gradient learns a reward from nothing, but environment.reward_mode=fitted fits the real one",
        ),
        (
            "CartPole-v1",
            ["environment.kind=bandit", "stages=[{name: bilevel, parts: [transition]}]"],
            "cannot learn a transition: a bandit has no transitions",
        ),
        (
            "CartPole-v1",
            ["stages=[{name: fit}, {name: bilevel, parts: [termination]}]"],
            "without environment.termination=true",
        ),
        (
            "Pendulum-v1",
            ["environment.kind=bandit", "stages=[{name: paper}]"],
            "paper regresses on a reward for each action",
        ),
        (
            "CartPole-v1",
            ["environment.kind=bandit", "stages=[{name: meta-gradient, estimator: openai-es}]"],
            "takes no estimator, got 'openai-es'",
        ),
        (
            "CartPole-v1",
            ["stages=[{name: fit}, {name: meta-gradient, parts: [reward, transition]}]"],
            "cannot learn 'transition': it uses only contexts and rewards",
        ),
        ("CartPole-v1", ["stages=[{name: fit}, {name: bilevel, estimator: backprop}]"], "unknown estimator 'backprop'"),
        (
            "CartPole-v1",
            ["stages=[{name: greedy, parts: [initial]}, {name: fit}, {name: scale}]"],
            "does not depend on the initial",
        ),
        (
            "Pendulum-v1",
            ["environment.kind=bandit", "stages=[{name: distil, parts: [reward, scale]}]"],
            "cannot learn 'scale': for continuous actions",
        ),
        ("CartPole-v1", ["stages=[{name: fit}, {name: bilevel, parts: []}]"], "stages.1.parts"),
        (
            "CartPole-v1",
            ["environment.kind=bandit", "stages=[{name: greedy, gain: [0.5, 1]}]"],
            "over discrete actions",
        ),
        (
            "Pendulum-v1",
            ["environment.kind=bandit", "stages=[{name: distil, gain: [0.5, 1]}]"],
            "set the gain on greedy",
        ),
        ("Pendulum-v1", ["environment.kind=bandit", "stages=[{name: greedy, gain: [1, 0.5]}]"], r"got \[1.0, 0.5\]"),
        ("CartPole-v1", ["environment.episode_steps=1"], "for one-step episodes, use --kind bandit"),
        ("MountainCar-v0", ["stages=[{name: greedy}, {name: fit}]"], "no stage after fit validates the mdp"),
        ("CartPole-v1", ["stages=[{name: fit}, {name: bilevel}, {name: greedy}]"], "greedy must come before fit"),
        ("CartPole-v1", ["stages=[{name: fit}, {name: greedy}, {name: bilevel}]"], "greedy must come before fit"),
        (
            "CartPole-v1",
            ["stages=[{name: greedy}, {name: bilevel}, {name: fit}, {name: scale}]"],
            "must come after fit",
        ),
        (
            "CartPole-v1",
            ["stages=[{name: bilevel}, {name: fit}, {name: scale}, {name: distil}]"],
            "bilevel must come after fit",
        ),
        ("CartPole-v1", ["environment.kind=reward", "stages=[{name: meta-gradient}]"], "a reward has none"),
        ("CartPole-v1", ["stages=[{name: meta-gradient, gradient: {learner: 3}}]"], "did you mean"),
        ("CartPole-v1", ["stages=[{name: metagradient}]"], "'stages.0.name'"),
        ("CartPole-v1", ["environment.episode_step=3"], "did you mean 'environment.episode_steps'"),
    ],
)
def test_invalid_settings_are_rejected_before_training(task, settings, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        meta_train(
            resolve_config(task, "fast", parse_assignments(["iterations=1", *settings])), RunFolder(tmp_path / "run")
        )
    assert not (tmp_path / "run" / "teacher.safetensors").exists()


def test_numbered_gpu_is_refused_for_several_processes(tmp_path):
    world = SingleProcess()
    world.local_size = 2
    with pytest.raises(DeviceError, match="would be that of all 2 processes"):
        meta_train(dataclasses.replace(config("bandit"), device="cuda:0"), RunFolder(tmp_path / "run"), world=world)
    assert list(tmp_path.iterdir()) == []
