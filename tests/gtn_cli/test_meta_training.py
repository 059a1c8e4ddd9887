"""Resolution of meta-train's options into the settings of a meta-training."""

import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from gtn_cli.commands.meta_train import command as meta_train
from gtn_cli.given import Given
from gtn_cli.meta_training import is_environment, new_meta_training
from gtn_core.errors import GTNError, UsageError
from gtn_sl.data import image_task


def stages(estimator, task="CartPole-v1", kind="bandit", **settings):
    """Returns name, estimator and sigma of each stage."""
    given = Given(iterations=1, kind=kind, estimator=estimator)
    config = new_meta_training(task, "fast", [settings], given).config
    return [(stage.name, stage.estimator, stage.sigma) for stage in config.stages]


def test_meta_gradient_estimator_replaces_bilevel_stage():
    evolved, differentiated = (stages(name, kind="mdp", task="Acrobot-v1") for name in (None, "meta-gradient"))
    assert "bilevel" in [name for name, *_ in evolved]
    expected = [("meta-gradient" if name == "bilevel" else name, *rest) for name, *rest in evolved]
    assert differentiated == expected


@pytest.mark.parametrize("estimator", ["snes", "openai-es"])
def test_evolution_strategy_keeps_meta_gradient_stages(estimator):
    own = [{"name": "meta-gradient"}, {"name": "bilevel", "sigma": 0.05}]
    assert stages(estimator, stages=own) == [("meta-gradient", "snes", 0.1), ("bilevel", estimator, 0.05)]


def test_estimator_option_keeps_given_learning_rate():
    given = Given(iterations=1, kind="bandit", estimator="openai-es")
    config = new_meta_training("CartPole-v1", "fast", [{"stages": [{"name": "bilevel", "lr": 0.005}]}], given).config
    assert [(stage.estimator, stage.lr) for stage in config.stages] == [("openai-es", 0.005)]


def test_package_prefix_does_not_change_the_stages():
    whole, named = (
        [stage[0] for stage in stages(None, task=task)] for task in ("CartPole-v1", "gymnasium:CartPole-v1")
    )
    assert whole == named


def test_evolution_strategy_applies_to_every_evolved_stage():
    named = [(name, estimator) for name, estimator, _ in stages("openai-es", task="Pendulum-v1")]
    assert named == [("greedy", "openai-es"), ("distil", "openai-es")]


@pytest.mark.parametrize(
    ("estimator", "settings", "words"),
    [
        ("meta-gradient", {"task": "Pendulum-v1"}, "but the stages are greedy, distil; .*stages="),
        ("openai-es", {"stages": [{"name": "meta-gradient"}]}, "none of the stages meta-gradient is an evolution"),
    ],
)
def test_estimator_without_effect_is_rejected(estimator, settings, words):
    with pytest.raises(UsageError, match=words):
        stages(estimator, **settings)


def test_start_accepts_shipped_names_and_run_folders(tmp_path):
    assert new_meta_training("digits", "fast", [], Given(start="digits")).config.teacher.start == "digits"
    bandit = "GTN-CartPoleBandit-v0"
    assert new_meta_training("CartPole-v1", "fast", [], Given(start=bandit)).config.environment.start == bandit
    file = tmp_path / "run" / "teacher.safetensors"
    file.parent.mkdir()
    file.write_bytes(b"")
    found = new_meta_training("CartPole-v1", "fast", [], Given(start=str(file.parent))).config.environment.start
    assert found == str(file)


def test_help_of_minutes_states_preset_budgets():
    told = next(parameter.help for parameter in meta_train.params if parameter.name == "minutes")
    for task, name in (("digits", "digits"), ("mnist", "MNIST"), ("cifar10", "CIFAR-10")):
        minutes = new_meta_training(task, "fast", [], Given()).config.outer.minutes
        assert f"{name} {minutes:g}" in told
    for task in ("Acrobot-v1", "LunarLander-v3", "my_package:Mine-v0"):
        minutes = new_meta_training(task, "fast", [], Given()).config.minutes
        assert f"most environments {minutes:g}" in told


def test_iterations_apply_to_each_stage_unless_it_has_its_own():
    given = Given(iterations=7)
    config = new_meta_training("Pendulum-v1", "fast", [{"environment": {"kind": "bandit"}}], given).config
    assert [config.outer(stage).iterations for stage in config.stages] == [7, 7]
    own = {"stages": [{"name": "greedy", "iterations": 3}, {"name": "distil"}]}
    config = new_meta_training("Pendulum-v1", "fast", [{"environment": {"kind": "bandit"}, **own}], given).config
    assert [config.outer(stage).iterations for stage in config.stages] == [3, 7]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Makes a module of images, an image file with a colon in its name (in the current folder) and two environments."""
    labels = np.arange(40) % 4
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8)).astype(np.uint8)
    module = type(sys)("my_pieces")
    module.greys = image_task("Greys", images, labels, images, labels)
    monkeypatch.setitem(sys.modules, "my_pieces", module)
    monkeypatch.chdir(tmp_path)
    np.savez("a:b.npz", train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    for id in ("MyCart", "MyPole-v3"):
        gym.register(id, "gymnasium.envs.classic_control:CartPoleEnv")
    yield
    for id in ("MyCart", "MyPole-v3"):
        del gym.registry[id]


def test_image_tasks_and_environments_are_distinguished(own):
    assert [is_environment(name) for name in ("my_pieces:greys", "a:b.npz", "digits", "my_pieces:MyPole")] == [
        False
    ] * 4
    assert [is_environment(name) for name in ("my_pieces:MyCart", "my_pieces:MyPole-v3", "CartPole-v1")] == [True] * 3
    for name, stored in (("my_pieces:greys",) * 2, ("a:b.npz", str(Path("a:b.npz").resolve()))):
        assert new_meta_training(name, "paper", [], Given(iterations=1)).config.task == stored


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("my_pieces:grey", "unknown attribute of the module 'my_pieces': 'grey'; did you mean 'greys'"),
        ("my_pieces:MyPole", "unknown task 'my_pieces:MyPole'; did you mean the environment 'my_pieces:MyPole-v3'"),
        ("no_such_module:greys", "cannot import the image task 'no_such_module:greys'"),
        ("c:d.npz", "No such file"),
    ],
)
@pytest.mark.parametrize("preset", ["fast", "paper"])
def test_unknown_task_names_are_rejected_with_reason(own, name, words, preset):
    with pytest.raises(GTNError, match=words):
        new_meta_training(name, preset, [], Given(iterations=1))
