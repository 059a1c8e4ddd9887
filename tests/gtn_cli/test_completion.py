"""Shell completion, as bash itself evaluates it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GTN = Path(sys.executable).with_name("gtn-cli")

pytestmark = pytest.mark.skipif(shutil.which("bash") is None or not GTN.is_file(), reason="needs bash and the script")


def completed(*words: str) -> set[str]:
    script = subprocess.run([GTN, "completion", "bash"], capture_output=True, text=True, check=True).stdout
    quoted = " ".join(f"'{word}'" for word in ("gtn-cli", *words))
    program = f"""{script}
COMP_WORDS=({quoted}); COMP_CWORD={len(words)}
_gtn_cli_completion {GTN}; printf '%s\\n' "${{COMPREPLY[@]}}" """
    shown = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True).stdout
    return set(shown.split())


@pytest.mark.parametrize("command", [["evaluate"], ["train-learner", "--teacher"], ["inspect"], ["compact"]])
def test_teacher_names_are_completed(command):
    assert {"mnist", "mnist-base_fc"} <= completed(*command, "mni")


def test_environment_ids_are_completed():
    for command in (["inspect"], ["train-agent", "--env"], ["transfer"]):
        assert completed(*command, "GTN-CartP") == {"GTN-CartPole-v0", "GTN-CartPoleBandit-v0"}


def test_task_names_are_completed():
    assert completed("meta-train", "--task", "Cart") == {"CartPole-v1"}
    for command in (["tasks", "--download"], ["bench", "--task"], ["nas", "rank", "--task"]):
        assert completed(*command, "fash") == {"fashion-mnist"}
        assert not completed(*command, "Cart")  # image tasks and file names only
