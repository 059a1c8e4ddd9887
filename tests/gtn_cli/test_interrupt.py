"""Ctrl-C during an import, before and after work has begun, and elsewhere."""

import os
import signal
import subprocess
import sys

import pytest

from gtn_cli.interrupt import ctrl_c_ends_imports

PROGRAM = """
from gtn_cli.interrupt import ctrl_c_ends_imports
try:
    with ctrl_c_ends_imports():
        try:
            import interrupted_while_imported
        except BaseException:
            print("taken for a failure of the import")
        print("went on")
except KeyboardInterrupt:
    print("raised")
"""


def test_interrupt_during_import_ends_the_process(tmp_path):
    (tmp_path / "interrupted_while_imported.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGINT)")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "interrupted\n")


def test_interrupt_during_import_after_work_begins_is_raised(tmp_path):
    (tmp_path / "interrupted_while_imported.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGINT)")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    program = "from gtn_cli import console\n" + PROGRAM.replace(
        "        try:", "        console.counting_bar(quiet=True)\n        try:", 1
    )
    program = program.replace("except BaseException:", "except ImportError:")
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "raised\n", "")


def test_interrupt_outside_import_is_raised():
    with pytest.raises(KeyboardInterrupt), ctrl_c_ends_imports():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
