"""Processor time of this process and of its children, running or ended."""

import subprocess
import sys

from gtn_core.cpu_time import cpu_seconds

BUSY = "import time; end = time.process_time() + 0.4\nwhile time.process_time() < end: pass\nprint('done', flush=True); input()"


def test_cpu_seconds_include_running_and_ended_children():
    before = cpu_seconds()
    with subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        running = cpu_seconds()
        child.communicate(b"\n")
    assert 0.35 < running - before < 2
    assert running - 0.05 <= cpu_seconds() < running + 1


def test_cpu_seconds_include_own_process():
    before = cpu_seconds()
    sum(i * i for i in range(1_000_000))
    assert cpu_seconds() > before
