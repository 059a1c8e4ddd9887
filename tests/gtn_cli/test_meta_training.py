"""From options to the settings of a meta-training."""

import pytest

from gtn_cli.given import Given
from gtn_cli.meta_training import new_meta_training
from gtn_core.errors import UsageError


def stages(estimator, task="CartPole-v1", kind="bandit", **settings):
    """Returns name, estimator and sigma of each stage."""
    given = Given(iterations=1, kind=kind, estimator=estimator)
    config = new_meta_training(task, "fast", [settings], given).config
    return [(stage.name, stage.estimator, stage.sigma) for stage in config.stages]


def test_the_meta_gradient_takes_the_place_of_the_evolved_stage():
    evolved, differentiated = (stages(name, kind="mdp", task="Acrobot-v1") for name in (None, "meta-gradient"))
    assert "bilevel" in [name for name, *_ in evolved]
    expected = [("meta-gradient" if name == "bilevel" else name, *rest) for name, *rest in evolved]
    assert differentiated == expected


@pytest.mark.parametrize("estimator", ["snes", "openai-es"])
def test_an_evolution_strategy_leaves_stages_alone_that_differentiate(estimator):
    own = [{"name": "meta-gradient"}, {"name": "bilevel", "sigma": 0.05}]
    assert stages(estimator, stages=own) == [("meta-gradient", "snes", 0.1), ("bilevel", estimator, 0.05)]


def test_every_evolved_stage_takes_the_evolution_strategy():
    named = [(name, estimator) for name, estimator, _ in stages("openai-es", task="Pendulum-v1")]
    assert named == [("greedy", "openai-es"), ("distil", "openai-es")]


@pytest.mark.parametrize(
    ("estimator", "settings", "words"),
    [
        ("meta-gradient", {"task": "Pendulum-v1"}, "none among greedy, distil; .*stages="),
        ("openai-es", {"stages": [{"name": "meta-gradient"}]}, "no stage of meta-gradient is an evolution"),
    ],
)
def test_an_estimator_that_would_change_nothing_is_refused(estimator, settings, words):
    with pytest.raises(UsageError, match=words):
        stages(estimator, **settings)


def test_told_outer_steps_are_those_of_each_stage():
    given = Given(iterations=7)
    config = new_meta_training("Pendulum-v1", "fast", [{"environment": {"kind": "bandit"}}], given).config
    assert [config.outer(stage).iterations for stage in config.stages] == [7, 7]
    own = {"stages": [{"name": "greedy", "iterations": 3}, {"name": "distil"}]}
    config = new_meta_training("Pendulum-v1", "fast", [{"environment": {"kind": "bandit"}, **own}], given).config
    assert [config.outer(stage).iterations for stage in config.stages] == [3, 7]
