"""Names of environments: what cannot be found is rejected."""

import pytest

from gtn_core.errors import UsageError
from gtn_rl.environments import find_environment


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CartPol-v1", "unknown environment 'CartPol-v1'; did you mean 'CartPole-v"),
        ("CartPole", "unknown environment 'CartPole'; did you mean 'CartPole-v1'"),
        ("no_such_package:X-v0", "cannot import the package 'no_such_package'"),
        ("absent.safetensors", "environment file absent.safetensors does not exist"),
    ],
)
def test_unknown_environments_are_rejected(name, words):
    with pytest.raises(UsageError, match=words):
        find_environment(name)


def test_run_folder_without_teacher_is_rejected(tmp_path):
    with pytest.raises(UsageError, match=f"{tmp_path} has no teacher yet"):
        find_environment(str(tmp_path))
