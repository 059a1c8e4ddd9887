"""Messages of a command that ends early and keeps its finished work."""

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


def test_interrupt_prints_resume_command():
    ended = ended_by(KeyboardInterrupt())
    assert ended.exit_code == 130
    assert ended.stderr == (
        "interrupted; finished work is kept in runs/here; resume with: gtn-cli 'two words' --seeds 3\n"
    )


def test_interrupt_prints_nothing_on_other_ranks():
    ended = ended_by(KeyboardInterrupt(), told=False)
    assert (ended.exit_code, ended.stderr) == (130, "")


def test_lost_rank_error_includes_resume_command():
    error = ended_by(LostRankError("connection closed")).exception
    assert isinstance(error, LostRankError)
    assert str(error).endswith("finished work is kept in runs/here; resume with: gtn-cli 'two words' --seeds 3")


def test_other_gtn_error_keeps_its_message():
    assert str(ended_by(GTNError("no")).exception) == "no"


@pytest.mark.parametrize("kind", [ValueError, OSError])
def test_foreign_exceptions_propagate(kind):
    assert type(ended_by(kind("x")).exception) is kind
