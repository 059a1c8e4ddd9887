"""Two processes beside one: outer steps per second, what crosses between them, and a model for more of them.

    python benchmarks/two_processes.py --json build/two_processes.json          # some minutes

Both take turns, on one thread each, so that a busy machine is busy for both; a ratio is of neighbours in time. A process of
two threads runs in its turn, too. The two processes are forked and speak gloo, as under torchrun on one machine.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import platform
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import click
import torch
from _speedup_model import Wire, backprop_speedup, evolution_speedup
from rich.console import Console
from rich.table import Table

from gtn_core.distributed import World, join
from gtn_core.run_folder import RunFolder

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
CLUSTER = Wire(latency=50e-6, bandwidth=1.25e9)
"""Ten-gigabit Ethernet; an assumption, no measurement."""

Seconds = list[float]


@click.command(help=__doc__)
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(1), help="Turns of each contestant.")
@click.option("--steps", default=8, show_default=True, type=click.IntRange(3), help="Outer steps of a turn.")
@click.option("--population", default=64, show_default=True, type=click.IntRange(2), help="Of evolution.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="File for all figures.")
def main(repeats: int, steps: int, population: int, json_file: Path | None) -> None:
    """Measures, prints and models."""
    kinds: dict[str, Callable[..., Seconds]] = {"backprop": _backprop, "evolution": _evolution}
    found: dict[str, Any] = {"processor": _processor(), "torch": torch.__version__, "load": os.getloadavg()[0]}
    for kind, train in kinds.items():
        turns: dict[str, list[Seconds]] = {"one": [], "two threads": [], "two": []}
        for _ in range(repeats):
            turns["one"].append(_forked(1, train, steps, population, 1)[0])
            turns["two threads"].append(_forked(1, train, steps, population, 2)[0])
            turns["two"].append(_forked(2, train, steps, population, 1)[0])
        found[kind] = _compared(turns, episodes=2 if kind == "backprop" else 1)
    halves = [_forked(1, _evolution, steps, population // 2, 1)[0] for _ in range(repeats)]
    found["evolution"]["half population"] = median(median(turn) for turn in halves)
    found["wire"] = _forked(2, _wire)[0]
    found["speed-up"] = _modelled(found, population)
    _show(found)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(found, indent=1))


def _compared(turns: dict[str, list[Seconds]], episodes: int) -> dict[str, Any]:
    """Returns seconds a step, and ratios of work per second over one process, turn by turn."""
    seconds = {name: [median(turn) for turn in some] for name, some in turns.items()}
    pairs = list(zip(seconds["one"], seconds["two threads"], seconds["two"], strict=True))
    each = [second for turn in turns["one"] for second in turn]
    return {
        "seconds": {name: median(some) for name, some in seconds.items()},
        "mean": mean(each),
        "spread": stdev(each),
        "two over one": [episodes * one / two for one, _, two in pairs],
        "two over two threads": [episodes * threads / two for _, threads, two in pairs],
    }


def _modelled(found: dict[str, Any], population: int) -> dict[str, dict[str, list[float]]]:
    """Returns the model's speed-up of every number of workers, on this machine's wire and on a cluster's."""
    one = found["evolution"]["seconds"]["one"]
    member = max(0.0, (one - found["evolution"]["half population"]) / (population / 2))
    fixed = one - (population + 1) * member
    spent, size = found["backprop"], 4 * found["wire"]["parameters"]
    local = Wire(found["wire"]["latency"], found["wire"]["bandwidth"])
    return {
        name: {
            "backprop": [backprop_speedup(n, spent["mean"], spent["spread"], size, wire) for n in WORKERS],
            "evolution": [evolution_speedup(n, fixed, member, population, wire) for n in WORKERS],
        }
        for name, wire in {"measured wire": local, "assumed cluster": CLUSTER}.items()
    }


def _backprop(world: World, steps: int, population: int, threads: int) -> Seconds:
    from gtn_sl.config import resolve_config
    from gtn_sl.training import meta_train

    budget = {"outer": {"iterations": steps, "validations": 1, "save_every": 1e6}}
    compute = {"compute": {"threads": threads, "plan": {"keep_last_k": 32}}}
    config = resolve_config(
        "digits", "fast", budget, compute, {"teacher": {"warm_start": 0}}, {"validation": {"learners": 2}}
    )
    return _timed(world, lambda run, listener: meta_train(config, run, listener=listener, world=world))


def _evolution(world: World, steps: int, population: int, threads: int) -> Seconds:
    from gtn_rl.config import resolve_config
    from gtn_rl.training import meta_train

    stage = {"name": "bilevel", "population": population, "validations": 1}
    agents = {"names": ["dqn"], "judges": ["a2c"], "validation_seeds": 1, "validation_episodes": 1}
    own = {"environment": {"kind": "bandit"}, "agents": agents, "stages": [stage], "threads": threads}
    config = resolve_config("CartPole-v1", "fast", {**own, "iterations": steps, "save_every": 1e6})
    return _timed(world, lambda run, listener: meta_train(config, run, listener=listener, world=world))


def _timed(world: World, train: Callable[[RunFolder, Callable[..., None]], Any]) -> Seconds:
    """Returns the seconds of each outer step, without the first, which warms up, and the last, which validates."""
    clock: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        train(RunFolder(Path(folder) / "run"), lambda *told: clock.append(time.perf_counter()))
        world.gather(None)
    return [after - before for before, after in itertools.pairwise(clock[:-1])]


def _wire(world: World) -> dict[str, float]:
    """Measures a gather, and sums of few and of many bytes, between two processes."""
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
    # Of two in a ring, each sends the tensor's two halves in turn.
    bandwidth = 4 * (1 << 22) / max(1e-9, many - few)
    count = seeded_teacher(resolve_config("digits", "fast"), TASKS["digits"], 0).parameter_count()
    return {"gather": median(gathers), "latency": few / 2, "bandwidth": bandwidth, "parameters": count}


def _forked(size: int, work: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Runs ``work(world, *arguments)`` in forked processes and returns the results by rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    processes = [
        context.Process(target=_process, args=(queue, rank, size, port, work, arguments)) for rank in range(size)
    ]
    for process in processes:
        process.start()
    results = dict(queue.get() for _ in processes)
    for process in processes:
        process.join()
    return [results[rank] for rank in range(size)]


def _process(queue: Any, rank: int, size: int, port: int, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    numbers = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": size, "MASTER_PORT": port}
    os.environ.update({name: str(number) for name, number in numbers.items()}, MASTER_ADDR="127.0.0.1")
    world = join("torch")
    torch.set_num_threads(1)
    queue.put((rank, work(world, *arguments)))
    world.gather(None)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _show(found: dict[str, Any]) -> None:
    console = Console()
    for kind in ("backprop", "evolution"):
        table = Table(title=f"{kind}: work per second, turn by turn", title_justify="left")
        for column in ("ratio", "median", "least", "most"):
            table.add_column(column)
        for name in ("two over one", "two over two threads"):
            ratios = found[kind][name]
            table.add_row(name, *(f"{figure(ratios):.2f}" for figure in (median, min, max)))
        console.print(table)
        console.print({name: f"{1e3 * value:.0f} ms" for name, value in found[kind]["seconds"].items()})
    wire = found["wire"]
    console.print(
        f"gather {1e6 * wire['gather']:.0f} us, hop {1e6 * wire['latency']:.0f} us, {wire['bandwidth'] / 1e9:.2f} GB/s"
    )
    table = Table(title="the model's speed-up", title_justify="left")
    for column in ("workers", *(f"{kind}, {name}" for name, kinds in found["speed-up"].items() for kind in kinds)):
        table.add_column(column)
    rows = [values for kinds in found["speed-up"].values() for values in kinds.values()]
    for i, n in enumerate(WORKERS):
        table.add_row(str(n), *(f"{values[i]:.1f}" for values in rows))
    console.print(table)


if __name__ == "__main__":
    main()
