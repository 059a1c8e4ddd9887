"""``--json``: one document and nothing else on standard output, whatever else is printed."""

import json
import shlex
import subprocess
import sys

import click
from click.testing import CliRunner

from gtn_cli import options
from gtn_cli.json_output import echo_json


@click.command()
@options.output_mode
def chatty(quiet, as_json):
    print("a user's environment says hello")
    click.echo("and so does another")
    if as_json:
        echo_json({"a": 1})


def test_other_output_goes_to_stderr_with_json():
    told = CliRunner().invoke(chatty, ["--json"])
    assert json.loads(told.stdout) == {"a": 1}
    assert "hello" in told.stderr
    assert "another" in told.stderr


def test_all_output_goes_to_stdout_without_json():
    assert CliRunner().invoke(chatty, []).stdout.count("\n") == 2


def test_closed_stdout_is_tolerated():
    command = f"{shlex.quote(sys.executable)} -m gtn_cli.main tasks"
    ended = subprocess.run(["sh", "-c", f"{command} >&-"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
