"""Commands that run in one process refuse a launcher that has started several."""

import pytest

TORCHRUN = {"TORCHELASTIC_RUN_ID": "a", "RANK": "1", "WORLD_SIZE": "2"}
MPIRUN = {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "3"}


@pytest.fixture
def launched(monkeypatch):
    """Sets the variables of a launcher."""

    def launch(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return launch


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "digits"],
        ["train-learner", "--teacher", "digits"],
        ["train-agent", "--env", "GTN-CartPole-v0"],
        ["reproduce", "curriculum"],
        ["nas", "search", "--ranker", "synflow"],
        ["nas", "train", "--count", "1"],
    ],
)
@pytest.mark.parametrize(("variables", "count"), [(TORCHRUN, 2), (MPIRUN, 3)])
def test_command_for_one_process_refuses_several(call, launched, monkeypatch, tmp_path, arguments, variables, count):
    monkeypatch.chdir(tmp_path)
    launched(variables)
    outcome = call(*arguments)
    assert outcome.code == 2
    assert f"runs in one process, and a launcher has started {count}: start it without" in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_launch_of_one_process_may_run_every_command(call, launched):
    launched({**TORCHRUN, "RANK": "0", "WORLD_SIZE": "1"})
    assert call("completion", "bash").code == 0


def test_help_is_shown_under_a_launcher(call, launched):
    launched(TORCHRUN)
    assert call("evaluate", "--help").code == 0


def test_command_with_world_runs_under_a_launcher(call, launched, small, tmp_path):
    launched(TORCHRUN)
    arguments = [*small, "--iterations", 1, "--out", tmp_path / "run", "--world", "single", "--quiet"]
    assert call("meta-train", *arguments).code == 0
    assert (tmp_path / "run" / "teacher.safetensors").is_file()
