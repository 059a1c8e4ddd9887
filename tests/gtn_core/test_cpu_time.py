"""Processor time of a process and of its children, whether they still run or have ended."""

import subprocess
import sys

from gtn_core.cpu_time import cpu_seconds

BUSY = "import time; end = time.process_time() + 0.4\nwhile time.process_time() < end: pass\nprint('done', flush=True); input()"


def test_children_count_while_they_run_and_after():
    before = cpu_seconds()
    with subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        running = cpu_seconds()
        child.communicate(b"\n")
    assert 0.35 < running - before < 2
    assert running - 0.05 <= cpu_seconds() < running + 1


def test_own_time_counts():
    before = cpu_seconds()
    sum(i * i for i in range(1_000_000))
    assert cpu_seconds() > before
