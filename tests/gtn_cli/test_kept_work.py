"""What a command says of the work that it keeps where it ends early."""

import click
import pytest
from click.testing import CliRunner

from gtn_cli.kept_work import kept
from gtn_core.distributed import LostRankError
from gtn_core.errors import GTNError


def ended_by(error, *, told=True):
    @click.command("study")
    @click.argument("name")
    @click.option("--seeds", type=int)
    def command(name, seeds):
        with kept("runs/here", told=told):
            raise error

    return CliRunner().invoke(command, ["two words", "--seeds", "3"])


def test_an_interrupt_ends_with_the_command_that_goes_on():
    ended = ended_by(KeyboardInterrupt())
    assert ended.exit_code == 130
    assert ended.stderr == (
        "interrupted; finished work is kept in runs/here; resume with: gtn-cli 'two words' --seeds 3\n"
    )


def test_one_of_several_processes_tells():
    ended = ended_by(KeyboardInterrupt(), told=False)
    assert (ended.exit_code, ended.stderr) == (130, "")


def test_a_lost_process_is_told_with_the_command_that_goes_on():
    error = ended_by(LostRankError("connection closed")).exception
    assert isinstance(error, LostRankError)
    assert str(error).endswith("finished work is kept in runs/here; resume with: gtn-cli 'two words' --seeds 3")


def test_another_failure_is_as_it_is():
    assert str(ended_by(GTNError("no")).exception) == "no"


@pytest.mark.parametrize("kind", [ValueError, OSError])
def test_what_is_not_ours_passes(kind):
    assert type(ended_by(kind("x")).exception) is kind
