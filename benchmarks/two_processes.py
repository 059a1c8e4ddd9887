"""Two processes compared with one: outer steps per second, the cost of communication, and a model for more processes.

    python benchmarks/two_processes.py --json build/two_processes.json          # ten minutes

All contestants take turns, with one thread per process, so that other load affects all of them; each ratio is within
one round. Two more contestants are one process with two threads, and two independent processes, which show what the
machine itself allows. The processes are forked and use gloo, as under torchrun on one machine. No round is started that
would not finish within --minutes.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import click
import torch
from _speedup_model import Wire, backprop_speedup, evolution_speedup
from rich.console import Console
from rich.table import Table

from gtn_core.distributed import World, join
from gtn_core.planning.cache import processor
from gtn_core.run_folder import RunFolder

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
CLUSTER = Wire(latency=50e-6, bandwidth=1.25e9)
"""Ten-gigabit Ethernet; assumed, not measured."""

LIMIT = 300
"""Maximum seconds to wait for the result of a process."""

Seconds = list[float]
Train = Callable[[World, int, int], Seconds]
"""``(world, outer steps, threads per process) -> seconds`` of each outer step."""


@dataclass(frozen=True)
class Kind:
    """A kind of training.

    Attributes:
        train: Runs the training.
        episodes: Work of two processes per step, relative to that of one.
    """

    train: Train
    episodes: int


@click.command(help=__doc__)
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(1), help="Maximum number of rounds.")
@click.option("--minutes", default=10.0, show_default=True, type=click.FloatRange(0), help="Time limit for all rounds.")
@click.option("--steps", default=8, show_default=True, type=click.IntRange(4), help="Outer steps per turn.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="File for all figures.")
def main(repeats: int, minutes: float, steps: int, json_file: Path | None) -> None:
    """Runs the benchmark, computes the model, and prints both."""
    found: dict[str, Any] = {"processor": processor(), "torch": torch.__version__, "load": os.getloadavg()[0]}
    found["wire"] = _forked(2, _wire)[0]
    rounds, longest, start = list[dict[str, dict[str, Seconds]]](), 0.0, time.monotonic()
    while len(rounds) < repeats and (not rounds or time.monotonic() - start + longest < 60 * minutes):
        began = time.monotonic()
        rounds.append({name: _round(kind.train, steps) for name, kind in KINDS.items()})
        longest = max(longest, time.monotonic() - began)
    for name, kind in KINDS.items():
        turns = {who: [one[name][who] for one in rounds] for who in rounds[0][name]}
        found[name] = _compared(turns, kind.episodes)
    found |= {"rounds": len(rounds), "speed-up": _modelled(found)}
    _show(found)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(found, indent=1))


def _round(train: Train, steps: int) -> dict[str, Seconds]:
    """Gives each contestant one turn; returns the seconds of its outer steps."""
    return {
        "one": _forked(1, train, steps, 1)[0],
        "two threads": _forked(1, train, steps, 2)[0],
        "two": _forked(2, train, steps, 1)[0],
        "two apart": _forked(2, train, steps, 1, world="single")[0],
    }


def _compared(turns: dict[str, list[Seconds]], episodes: int) -> dict[str, Any]:
    """Returns the seconds per step, and the ratios of work per second between contestants, turn by turn."""
    seconds = {name: [mean(turn) for turn in some] for name, some in turns.items()}

    def ratios(of: str, over: str, work: int) -> list[float]:
        return [work * theirs / ours for ours, theirs in zip(seconds[of], seconds[over], strict=True)]

    each = [second for turn in turns["one"] for second in turn]
    return {
        "seconds": {name: median(some) for name, some in seconds.items()},
        "mean": mean(each),
        "spread": stdev(each),
        "two over one": ratios("two", "one", episodes),
        "two over two threads": ratios("two", "two threads", episodes),
        "two apart over one": ratios("two apart", "one", 2),
    }


def _modelled(found: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Returns the model's speed-up for each number of workers, with this machine's connection and with a cluster's."""
    (few, some), (many, more) = (
        (P, found[f"evolution of {P}"]["seconds"]["one"]) for P in (POPULATIONS[0], POPULATIONS[-1])
    )
    member = max(0.0, (more - some) / (many - few))
    fixed = max(0.0, some - (few + 1) * member)
    size = 4 * found["wire"]["parameters"]
    local = Wire(found["wire"]["latency"], found["wire"]["bandwidth"])

    def curves(wire: Wire) -> dict[str, list[float]]:
        spent = {name: (found[name]["mean"], found[name]["spread"]) for name in BACKPROP}
        return {
            **{name: [backprop_speedup(n, *each, size, wire) for n in WORKERS] for name, each in spent.items()},
            **{
                f"evolution of {P}": [evolution_speedup(n, fixed, member, P, wire) for n in WORKERS]
                for P in POPULATIONS
            },
        }

    return {"the wire measured": curves(local), "an assumed cluster": curves(CLUSTER)}


def backprop(world: World, steps: int, threads: int, *, learner: Mapping[str, Any]) -> Seconds:
    """Trains by meta-gradients, with one episode per process; returns the seconds of each outer step."""
    from gtn_sl.config import resolve_config
    from gtn_sl.training import meta_train

    layers: dict[str, Any] = {
        "learner": learner,
        "outer": {"iterations": steps, "validations": 1, "save_every": 1e6},
        "compute": {"threads": threads, "plan": {"keep_last_k": 32}},
        "teacher": {"warm_start": 0},
        "validation": {"learners": 2},
    }
    config = resolve_config("digits", "fast", layers)
    return _timed(world, lambda run, listener: meta_train(config, run, listener=listener, world=world))


def evolution(world: World, steps: int, threads: int, *, population: int) -> Seconds:
    """Trains by an evolution strategy that shares the population; returns the seconds of each generation."""
    from gtn_rl.config import resolve_config
    from gtn_rl.training import meta_train

    stage = {"name": "bilevel", "population": population, "validations": 1}
    agents = {"names": ["dqn"], "judges": ["a2c"], "validation_seeds": 1, "validation_episodes": 1}
    own = {"environment": {"kind": "bandit"}, "agents": agents, "stages": [stage], "threads": threads}
    config = resolve_config("CartPole-v1", "fast", {**own, "iterations": steps, "save_every": 1e6})
    return _timed(world, lambda run, listener: meta_train(config, run, listener=listener, world=world))


def _timed(world: World, train: Callable[[RunFolder, Callable[..., None]], Any]) -> Seconds:
    """Returns the seconds of each outer step, without the first (warm-up) and the last (validation)."""
    clock: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        train(RunFolder(Path(folder) / "run"), lambda *told: clock.append(time.perf_counter()))
        world.gather(None)
    return [after - before for before, after in itertools.pairwise(clock[:-1])]


def _wire(world: World) -> dict[str, float]:
    """Measures a gather, and sums of small and large tensors, between two processes.

    Returns:
        Seconds of a ``gather``, ``latency`` in seconds, ``bandwidth`` in bytes per second, and the number of a
        teacher's ``parameters``.
    """
    from gtn_sl.config import resolve_config
    from gtn_sl.data import TASKS
    from gtn_sl.teacher import seeded_teacher

    def seconds(size: int) -> float:
        tensor, times = torch.ones(size), []
        for _ in range(30):
            world.gather(None)
            start = time.perf_counter()
            world.sum_([tensor])
            times.append(time.perf_counter() - start)
        return median(times)

    few, many = seconds(1), seconds(1 << 22)
    gathers = []
    for _ in range(100):
        start = time.perf_counter()
        world.gather(world.rank)
        gathers.append(time.perf_counter() - start)
    # In a ring of two, each process sends both halves of the tensor in turn.
    bandwidth = 4 * (1 << 22) / max(1e-9, many - few)
    count = seeded_teacher(resolve_config("digits", "fast"), TASKS["digits"], 0).parameter_count()
    return {"gather": median(gathers), "latency": few / 2, "bandwidth": bandwidth, "parameters": count}


BACKPROP: dict[str, dict[str, Any]] = {"backprop": {"architecture": "base_fc:16,32,64"}, "backprop, a pool": {}}
"""Learners of one size, or of many sizes as drawn by the preset, so that each process waits for the slowest."""

POPULATIONS = (64, 256, 1024)

KINDS = {
    **{name: Kind(partial(backprop, learner=learner), episodes=2) for name, learner in BACKPROP.items()},
    **{f"evolution of {P}": Kind(partial(evolution, population=P), episodes=1) for P in POPULATIONS},
}


def _forked(size: int, work: Callable[..., Any], *arguments: Any, world: str = "torch") -> list[Any]:
    """Runs ``work(world, *arguments)`` in forked processes and returns the results by rank.

    Raises:
        click.ClickException: A process ended without a result, or took longer than ``LIMIT``; the others are stopped.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    ends = [context.Pipe(duplex=False) for _ in range(size)]
    processes = [
        context.Process(target=_process, args=(told, world, rank, size, port, work, arguments))
        for rank, (_, told) in enumerate(ends)
    ]
    for process in processes:
        process.start()
    try:
        return [_result(heard, process) for (heard, _), process in zip(ends, processes, strict=True)]
    finally:
        for process in processes:
            process.join(timeout=10)
            process.kill()


def _result(heard: Connection, process: Any) -> Any:
    """Returns the result of a process.

    Raises:
        click.ClickException: The process ended without a result, or took longer than ``LIMIT``.
    """
    ended = wait([heard, process.sentinel], LIMIT)
    if heard.poll():
        return heard.recv()
    process.join(timeout=1)
    said = f"ended with code {process.exitcode}; its output is above" if ended else f"was silent for {LIMIT} s"
    raise click.ClickException(f"a process of this benchmark {said}")


def _process(
    told: Connection, name: str, rank: int, size: int, port: int, work: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    numbers = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": size, "MASTER_PORT": port}
    os.environ.update({name: str(number) for name, number in numbers.items()}, MASTER_ADDR="127.0.0.1")
    world = join(name)
    torch.set_num_threads(1)
    told.send(work(world, *arguments))
    world.gather(None)


def _show(found: dict[str, Any]) -> None:
    console = Console()
    console.print(f"{found['processor']}, load {found['load']:.1f} at the start, {found['rounds']} rounds")
    for kind in KINDS:
        table = Table(title=f"{kind}: work per second, turn by turn", title_justify="left")
        for column in ("ratio", "median", "least", "most"):
            table.add_column(column)
        for name in ("two over one", "two over two threads", "two apart over one"):
            ratios = found[kind][name]
            table.add_row(name, *(f"{figure(ratios):.2f}" for figure in (median, min, max)))
        console.print(table)
        console.print({name: f"{1e3 * value:.0f} ms" for name, value in found[kind]["seconds"].items()})
    wire = found["wire"]
    console.print(
        f"gather {1e6 * wire['gather']:.0f} us, hop {1e6 * wire['latency']:.0f} us, {wire['bandwidth'] / 1e9:.2f} GB/s"
    )
    for where, curves in found["speed-up"].items():
        table = Table(title=f"the model's speed-up, {where}", title_justify="left")
        for column in ("workers", *curves):
            table.add_column(column)
        for n, *row in zip(WORKERS, *curves.values(), strict=True):
            table.add_row(str(n), *(f"{value:.1f}" for value in row))
        console.print(table)


if __name__ == "__main__":
    main()
