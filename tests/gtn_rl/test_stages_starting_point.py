"""Meta-training that starts from an environment's file: what is taken over, recorded and rejected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from gtn_core.cost import Cost
from gtn_core.distributed import SingleProcess
from gtn_core.errors import UsageError
from gtn_core.run_folder import RunFolder
from gtn_envs import load_environment, make_weights, save_environment
from gtn_rl.config import resolve_config
from gtn_rl.models.reward import RewardTeacher
from gtn_rl.stages.start import start_pipeline
from gtn_rl.stages.starting_point import load_start, normalisation, take_over
from gtn_rl.tasks import make_task
from gtn_rl.training import meta_train

SMALL = {"environment": {"hidden": [8], "harvest_episodes": 8, "centres": 8}, "agents": {"validation_seeds": 1}}


def save(path, teacher, **facts):
    spec = teacher.spec
    spaces = {"observation_space": spec.observation_space, "action_space": spec.action_space}
    save_environment(path, {k: v.numpy() for k, v in teacher.tensors().items()}, teacher.document(**spaces, **facts))


def made(folder, kind, start=None, iterations=0):
    stages = [{"name": "fit"}] if kind == "mdp" else []
    stages.append({"name": "bilevel", "population": 2, "validations": 1})
    environment = {"kind": kind, "episode_steps": 3, **({"start": str(start)} if start else {})}
    config = resolve_config(
        "CartPole-v1",
        "fast",
        SMALL,
        {"environment": environment, "stages": stages, "iterations": iterations},
        {"agents": {"names": ["short_agents:ShortDQN"]}},
    )
    run = RunFolder(folder)
    meta_train(config, run, command=f"made {kind}")
    return run.teacher


@pytest.mark.slow
def test_mdp_run_starts_from_bandit_and_records_it(tmp_path):
    bandit = made(tmp_path / "bandit", "bandit")
    mdp = load_environment(made(tmp_path / "mdp", "mdp", bandit))
    first = load_environment(bandit)
    assert mdp.form == "mdp"
    for name, tensor in first.tensors.items():
        np.testing.assert_allclose(mdp.tensors[name], tensor, rtol=1e-5, atol=1e-6, err_msg=name)
    assert mdp.document["start"]["command"] == "made bandit"
    assert mdp.document["start"]["stages"] == first.document["stages"]


def test_start_is_recorded_after_its_file_is_deleted(tmp_path, monkeypatch, make_teacher):
    monkeypatch.chdir(tmp_path)
    save(Path("bandit.safetensors"), make_teacher(make_task("CartPole-v1"), "bandit"), command="made bandit")
    config = resolve_config("CartPole-v1", "fast", SMALL, {"environment": {"start": "bandit.safetensors"}})
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    monkeypatch.chdir(run.path)
    pipeline = start_pipeline(config, run, make_task("CartPole-v1"), None, "", SingleProcess())
    (tmp_path / "bandit.safetensors").unlink()
    pipeline.write(1.0, {}, Cost())
    document = load_environment(run.teacher).document
    assert document["start"] == {"file": "bandit.safetensors", "command": "made bandit"}
    assert str(tmp_path) not in str(document)


@pytest.mark.parametrize(("told", "multiple"), [({}, 1.0), ({"reward_scale": 0.2}, 0.2)])
def test_reward_scale_is_a_multiple_of_that_of_the_start(told, multiple, tmp_path):
    environment = {
        "start": "GTN-MountainCarBandit-v0",
        "kind": "mdp",
        **told,
    }  # from scratch its preset has another size
    config = resolve_config("MountainCar-v0", "fast", {"environment": environment})
    pipeline = start_pipeline(config, RunFolder(tmp_path), make_task("MountainCar-v0"), None, "", SingleProcess())
    size = load_environment("GTN-MountainCarBandit-v0").tensors["reward.scale"]
    assert pipeline.teacher.model().scale.item() == pytest.approx(multiple * size)


def test_shipped_start_keeps_its_name_in_the_config():
    config = resolve_config("CartPole-v1", "fast", {"environment": {"start": "GTN-CartPole-v0"}})
    assert config.environment.start == "GTN-CartPole-v0"


@pytest.mark.slow
def test_greedy_stage_keeps_number_of_centres_of_the_start(tmp_path):
    bandit = made(tmp_path / "bandit", "bandit")
    stages = [{"name": "greedy", "population": 2, "validations": 1}, {"name": "bilevel", "population": 2}]
    environment = {"kind": "bandit", "start": str(bandit), "centres": 16}
    config = resolve_config(
        "CartPole-v1",
        "fast",
        SMALL,
        {"environment": environment, "stages": stages, "iterations": 1},
        {"agents": {"names": ["short_agents:ShortDQN"]}},
    )
    run = RunFolder(tmp_path / "on")
    meta_train(config, run)
    assert len(load_environment(run.teacher).tensors["initial.means"]) == SMALL["environment"]["centres"]


def test_take_over_copies_scale_and_normalisation(make_teacher):
    task = make_task("CartPole-v1")
    one, other = make_teacher(task, "bandit"), make_teacher(task, "bandit")
    with torch.no_grad():
        one.log_scale.fill_(0.7)
    spec = task.spec
    spaces = {"observation_space": spec.observation_space, "action_space": spec.action_space}
    weights = make_weights({k: v.numpy() for k, v in one.tensors().items()}, one.document(**spaces))
    take_over(other, weights)
    assert other.log_scale.item() == pytest.approx(0.7, abs=1e-5)
    take_over(other, weights, size=0.25)
    assert other.model().scale.item() == pytest.approx(one.model().scale.item() / 4)
    for found, wanted in zip(normalisation(weights), (one.mean, one.std), strict=True):
        assert torch.equal(found, wanted)


def test_learned_reward_takes_over_the_table_of_a_bandit(make_teacher):
    task = make_task("CartPole-v1")
    bandit = make_teacher(task, "bandit")
    with torch.no_grad():
        bandit.log_scale.fill_(0.7)
    spec = task.spec
    spaces = {"observation_space": spec.observation_space, "action_space": spec.action_space}
    weights = make_weights({k: v.numpy() for k, v in bandit.tensors().items()}, bandit.document(**spaces))
    teacher = RewardTeacher(task, *normalisation(weights), torch.randn(8, 4), seed=3, hidden=(8,))
    take_over(teacher, weights)
    x = torch.randn(1, 20, 4)
    torch.testing.assert_close(teacher.model().table(x), bandit.model().table(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("nothing.safetensors", "file nothing.safetensors does not exist"),
        ("GTN-Acrobot-v0", "expected a bandit or an mdp"),
    ],
)
def test_missing_or_mismatched_start_is_rejected(start, message):
    with pytest.raises(UsageError, match=message):
        load_start(start, make_task("CartPole-v1").spec)
