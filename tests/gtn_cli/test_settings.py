"""``gtn-cli settings``: every setting of a meta-training, with its value and description."""

import re

import pytest

from gtn_core.config import parse_assignments
from gtn_core.inner_optim import INNER_OPTIMIZERS
from gtn_rl.config import resolve_config as resolve_environment
from gtn_sl.config import resolve_config
from gtn_sl.curricula import CURRICULA
from gtn_sl.data.augmentation import AUGMENTATIONS
from gtn_sl.generators import GENERATORS
from gtn_sl.labels import LABELS


@pytest.mark.parametrize(("task", "preset"), [("digits", "fast"), ("mnist", "paper"), ("cifar10", "original")])
def test_listed_values_reproduce_image_preset(call, task, preset):
    listed = call("settings", "--task", task, "--preset", preset, "--json").json
    told = parse_assignments(f"{name}={setting['value']}" for name, setting in listed.items())
    expected = resolve_config(task, preset, {"compute": {"device": "auto"}})
    assert resolve_config(told["task"], told["preset"], {"learner": told.pop("learner")}, told) == expected


def test_every_setting_has_a_description(call):
    for arguments in (["--task", "mnist"], ["--task", "CartPole-v1"], ["--task", "Pendulum-v1", "--kind", "bandit"]):
        for name, setting in call("settings", *arguments, "--json").json.items():
            assert setting["what"], name


@pytest.mark.parametrize(
    ("task", "kind"),
    [("CartPole-v1", "mdp"), ("Acrobot-v1", "mdp"), ("HalfCheetah-v5", "bandit"), ("Pendulum-v1", "reward")],
)
def test_listed_values_reproduce_environment_preset(call, task, kind):
    listed = call("settings", "--task", task, "--kind", kind, "--json").json
    told = parse_assignments(f"{name}={each['value']}" for name, each in listed.items() if "value" in each)
    assert resolve_environment(task, "fast", told) == resolve_environment(task, "fast", {"environment": {"kind": kind}})


def test_stages_are_listed_with_value_and_entry_defaults(call):
    listed = call("settings", "stages", "--task", "Acrobot-v1", "--json").json
    assert listed["stages"]["value"].startswith("[{name: greedy, sigma: 0.3, validations: 6}, {name: fit}, ")
    assert listed["stages[].population"]["default"] == "64"
    assert listed["stages[].gradient.steps"]["default"] == "32"
    assert listed["stages[].name"]["default"] is None
    assert "value" not in listed["stages[].sigma"]
    lines = call("settings", "gain", "--task", "HalfCheetah-v5").out.splitlines()
    assert "gain: [0.35, 1.0]" in lines[0]
    assert "stages[].gain=[1.0, 1.0]  (default)" in lines


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("teacher.generator", GENERATORS),
        ("teacher.curriculum", CURRICULA),
        ("teacher.labels", LABELS),
        ("inner.optimizer", INNER_OPTIMIZERS),
        ("meta_loss.augmentation", AUGMENTATIONS),
    ],
)
def test_description_of_named_choice_lists_all_names(call, setting, names):
    text = call("settings", setting, "--json").json[setting]["what"]
    assert set(names) <= set(re.findall(r"[\w-]+", text)), text


def test_words_filter_settings_by_name_or_text(call):
    outcome = call("settings", "outer", "COSINE")
    assert (outcome.code, outcome.out) == (
        0,
        "outer.final_lr=0.1\n    Share of lr that a cosine over the run ends at.\n",
    )
    missing = call("settings", "cosine", "bandit")
    assert (missing.code, missing.out) == (2, "")
    assert call("settings", "cosine", "bandit", "--json").code == 2
    assert "no setting of digits has 'cosine' and 'bandit'" in missing.err


def test_unknown_task_and_unsuitable_kind_are_rejected(call):
    assert "unknown task 'digit'; did you mean 'digits'?" in call("settings", "--task", "digit").err
    assert "digits is a supervised task" in call("settings", "--kind", "mdp").err
