"""The speed-up model of docs/scaling.md in cases with known answers; the benchmark's forked processes and rounds."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
from _speedup_model import Wire, backprop_speedup, evolution_speedup

sys.path.pop()

FREE = Wire(latency=0.0, bandwidth=1e18)
SLOW = Wire(latency=1e-3, bandwidth=1e8)


def test_speedup_is_linear_with_free_wire_and_equal_learners():
    assert [backprop_speedup(n, 0.2, 0.0, 1e6, FREE) for n in (1, 2, 64)] == pytest.approx([1, 2, 64])


def test_unequal_learners_and_slow_wire_lower_speedup():
    assert 1 < backprop_speedup(2, 0.2, 0.05, 1e6, FREE) < 2
    assert backprop_speedup(2, 1.0, 0.3, 0.0, FREE) == pytest.approx(2 / (1 + 0.3 / math.sqrt(math.pi)), rel=0.01)
    assert backprop_speedup(2, 0.2, 0.0, 1e6, SLOW) == pytest.approx(
        2 * 0.2 / (0.2 + 2e-3 + 1e-2 + 3e-3 + 3.072e-5), rel=1e-6
    )


def test_evolution_speedup_is_capped_by_fixed_seconds():
    at_most = (0.1 + 65 * 0.01) / (0.1 + 2 * 0.01)
    assert evolution_speedup(64, 0.1, 0.01, 64, FREE) == pytest.approx(at_most)
    assert evolution_speedup(1024, 0.1, 0.01, 64, FREE) == pytest.approx(at_most)


BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"

PARTS = """
import sys
import click
import two_processes as script

def ranks(world, offset):
    return world.gather(world.rank + offset)

def failing(world):
    raise SystemExit(3)

def silent(world):
    import time
    time.sleep(60)

assert script._forked(2, ranks, 5) == [[5, 6], [5, 6]]
for work, limit, said in ((failing, 60, "ended with code 3"), (silent, 1, "was silent for 1 s")):
    script.LIMIT = limit
    try:
        script._forked(1, work)
    except click.ClickException as error:
        assert said in error.message, error.message
    else:
        sys.exit(f"{said}: no error")
"""

ROUNDS = """
import functools, json, sys, time
from pathlib import Path
import two_processes as script

def train(work, world, steps, threads):
    time.sleep(0.2)
    return [0.1 * work / world.size] * steps

def kind(work, episodes):
    return script.Kind(functools.partial(train, work), episodes)

backprop = {name: kind(4, 2) for name in script.BACKPROP}
script.KINDS = {**backprop, **{f"evolution of {P}": kind(P, 1) for P in script.POPULATIONS}}
script._wire = lambda world: {"gather": 1e-5, "latency": 1e-5, "bandwidth": 1e9, "parameters": 1000}
script.main(["--repeats", "3", "--minutes", sys.argv[1], "--steps", "4", "--json", sys.argv[2]])
"""


def python(program: str, *arguments: str) -> None:
    """Runs a program next to the script in a new process: it forks, which is unsafe in one that has computed before."""
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    run = subprocess.run(command, capture_output=True, text=True, cwd=BENCHMARKS, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.slow
def test_forked_processes_communicate_and_failed_or_hung_raise():
    python(PARTS)


@pytest.mark.slow
@pytest.mark.parametrize(("minutes", "rounds"), [("5", 3), ("0", 1)])
def test_rounds_obey_time_limit_and_ratios_are_within_rounds(minutes, rounds, tmp_path):
    python(ROUNDS, minutes, str(tmp_path / "found.json"))
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["rounds"] == rounds
    assert found["backprop"]["two over one"] == pytest.approx([4.0] * rounds)  # two episodes in half of the time
    assert found["evolution of 64"]["two over one"] == pytest.approx([2.0] * rounds)
    assert found["speed-up"]["the wire measured"]["evolution of 64"][0] == pytest.approx(1.0)
