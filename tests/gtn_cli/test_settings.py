"""``gtn-cli settings``: every setting of a meta-training, with its value and what it is."""

import pytest
import yaml

from gtn_core.config import parse_assignments
from gtn_rl.config import resolve_config as resolve_environment
from gtn_sl.config import resolve_config


def leaves(settings, prefix=""):
    """Returns a nested dictionary's leaves by dotted name."""
    found = {}
    for key, value in settings.items():
        found |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


@pytest.mark.parametrize(("task", "preset"), [("digits", "fast"), ("mnist", "paper"), ("cifar10", "original")])
def test_what_is_listed_makes_the_preset_again(call, task, preset):
    listed = call("settings", "--task", task, "--preset", preset, "--json").json
    told = parse_assignments(f"{name}={setting['value']}" for name, setting in listed.items())
    expected = resolve_config(task, preset, {"compute": {"device": "auto"}})
    assert resolve_config(told["task"], told["preset"], {"learner": told.pop("learner")}, told) == expected


def test_every_setting_says_what_it_is(call):
    for arguments in (["--task", "mnist"], ["--task", "CartPole-v1"], ["--task", "Pendulum-v1", "--kind", "bandit"]):
        for name, setting in call("settings", *arguments, "--json").json.items():
            assert setting["what"] or name in ("environment", "outer.lr"), name


def test_stages_are_named_and_their_settings_listed_once(call):
    listed = call("settings", "stages", "--task", "Acrobot-v1", "--json").json
    assert yaml.safe_load(listed["stages"]["value"]) == [
        s.name for s in resolve_environment("Acrobot-v1", "fast").stages
    ]
    assert listed["stages[].population"]["value"] == "64"
    assert listed["stages[].gradient.steps"]["value"] == "32"
    assert listed["stages[].name"]["value"] is None


def test_words_choose_settings_by_name_or_text(call):
    outcome = call("settings", "outer", "COSINE")
    assert (outcome.code, outcome.out) == (
        0,
        "outer.final_lr=0.1\n    Share of lr that a cosine over the run ends at.\n",
    )
    missing = call("settings", "cosine", "bandit")
    assert (missing.code, missing.out) == (2, "")
    assert "no setting of digits has 'cosine' and 'bandit'" in missing.err


def test_a_wrong_task_or_kind_is_refused(call):
    assert "unknown task 'digit'; did you mean 'digits'?" in call("settings", "--task", "digit").err
    assert "digits is a supervised task" in call("settings", "--kind", "mdp").err
