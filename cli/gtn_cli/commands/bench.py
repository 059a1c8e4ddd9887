"""``gtn-cli bench``: measures an outer step and compares it with the machine's limits and other methods."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from gtn_cli import console, options
from gtn_cli.json_output import echo_json

if TYPE_CHECKING:
    from gtn_core.planning.choice import TimedPlan
    from gtn_sl.bench import Bench
    from gtn_sl.learners import Architecture


@click.command("bench")
@click.option(
    "--task",
    default="mnist",
    show_default=True,
    help="Image task that sets the shape of the (random) images.",
    shell_complete=options.complete_images,
)
@click.option(
    "--preset",
    default="fast",
    show_default=True,
    help="Preset of the teacher and losses.",
    shell_complete=options.complete_preset,
)
@click.option(
    "--learner",
    default="base_fc:16,32,64",
    show_default=True,
    help="Learner, with its widths and, where it has one, its depth: resnet:16,32,64,depth=3.",
)
@click.option("--steps", default=8, show_default=True, type=click.IntRange(min=1), help="Inner steps T.")
@click.option(
    "--batch", default=64, show_default=True, type=click.IntRange(min=2), help="Synthetic images per step, B."
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=click.Choice(["fp32", "bf16"]),
    default=("fp32", "bf16"),
    show_default=True,
    help="Precision to measure; repeatable.",
)
@click.option("--threads", type=options.THREADS, help="CPU threads.  [default: torch's]")
@click.option(
    "--matrix",
    type=click.IntRange(min=8),
    help="Side of the matrices that measure the compute ceiling.  [default: 1024; on a GPU 8192]",
)
@click.option(
    "--copy-mib",
    type=click.IntRange(min=1),
    help="MiB of the copy that measures the bandwidth ceiling.  [default: 128; on a GPU 2048]",
)
@options.device()
@options.output_mode
def command(
    task: str,
    preset: str,
    learner: str,
    steps: int,
    batch: int,
    precisions: tuple[str, ...],
    threads: int | None,
    matrix: int | None,
    copy_mib: int | None,
    device: str | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure an outer step on this machine: time, arithmetic and bytes beside the machine's limits, and other methods.

    Takes one or two minutes on one CPU core with the defaults. docs/performance.md explains each line.

    \b
    Examples:
      gtn-cli bench
      gtn-cli bench --device cuda --preset paper --learner base_fc --steps 32 --batch 128
      gtn-cli bench --precision fp32 --json
    """
    import torch

    from gtn_core.device import resolve_device
    from gtn_core.memory.allocation import reuse_pages
    from gtn_core.planning.plan import Precision
    from gtn_sl.bench import SHORT, run_bench
    from gtn_sl.provenance import hardware

    console.start_logging(quiet=quiet or as_json)
    reuse_pages()
    place = resolve_device(device or "auto")
    on_gpu = place.startswith("cuda")
    torch.set_num_threads(threads or torch.get_num_threads())
    config = _config(task, preset, learner, steps, batch, place)
    learner = config.learner.architecture
    long: dict[str, Precision] = {short: name for name, short in SHORT.items()}  # type: ignore[misc]
    machine = {"machine": hardware(place, torch.get_num_threads()), "torch": torch.__version__}
    found = []
    with contextlib.nullcontext() if quiet or as_json else console.err.status("") as status:
        benches = run_bench(
            config,
            [long[name] for name in dict.fromkeys(precisions)],
            side=matrix or (8192 if on_gpu else 1024),
            copy_mib=copy_mib or (2048 if on_gpu else 128),
            advance=status.update if status else lambda what: None,
        )
        for bench in benches:
            found.append(bench)
            if not as_json:
                _show(bench, f"{learner} on {task}, {preset}, T = {steps}, B = {batch}")
    if as_json:
        settings = {"task": task, "preset": preset, "learner": learner, "steps": steps, "batch": batch}
        echo_json(
            {**machine, **settings, "device": place, "tf32": False, "precisions": [bench.to_json() for bench in found]}
        )
        return
    exact = "; TF32 is off" if on_gpu else ""
    click.echo(
        f"{machine['machine']}, torch {machine['torch']}; images are random{exact}; docs/performance.md explains each line"
    )


def _config(task: str, preset: str, learner: str, steps: int, batch: int, device: str) -> Any:
    """Returns the config of a meta-training with a single learner, always the same function, so that all times are of one.

    Raises:
        UsageError: A setting is invalid, or the learner has no widths, or random operations.
    """
    import dataclasses

    from gtn_core.errors import UsageError
    from gtn_sl.config import resolve_config
    from gtn_sl.learners import architecture

    family = architecture(learner)
    widths = family.form.widths
    layers = {
        "learner": {"architecture": _of_one_depth(learner, family)},
        "inner": {"steps": steps, "batch_size": batch},
        "compute": {"device": device},
        "outer": {"iterations": 1},
    }
    config = resolve_config(task, preset, layers)
    if not widths:
        raise UsageError(f"bench needs a learner with widths, such as base_fc:16,32,64, got {learner!r}")
    if family.drawn:
        raise UsageError(
            f"bench needs a learner that is always the same function, unlike {learner!r}, whose parts are random"
        )
    fixed = dataclasses.replace(config.learner, random_widths=tuple((width, width) for width in widths))
    return dataclasses.replace(config, learner=fixed)


def _of_one_depth(learner: str, family: Architecture) -> str:
    """Returns the learner's name with the depth that it alone stands for, where a meta-training would draw others."""
    if family.depths is None or "depth=" in learner:
        return learner
    name, _, spec = learner.partition(":")
    return f"{name}:{spec},depth={family.form.depth}" if spec else f"{name}:depth={family.form.depth}"


def _show(bench: Bench, title: str) -> None:
    from gtn_sl.bench import SHORT

    outer, ceilings = bench.outer, bench.outer.ceilings
    rows = [
        ("an outer iteration", _seconds(outer.seconds), "", ""),
        (
            "arithmetic",
            f"{outer.work.flops / outer.seconds / 1e9:.3g} GFLOP/s",
            f"{ceilings.flops / 1e9:.3g} GFLOP/s, matrix product",
            f"{100 * outer.flops_share:.0f}%",
        ),
        (
            "bytes",
            f"{outer.work.bytes / outer.seconds / 1e9:.3g} GB/s",
            f"{ceilings.bytes / 1e9:.3g} GB/s, copy",
            f"{100 * outer.bytes_share:.0f}%",
        ),
        ("gap to the nearer ceiling", f"{outer.gap:.1f}x", "", ""),
    ]
    head = f"{SHORT[bench.precision]}: {title}"
    console.print_table([dict(zip(("", "measured", "ceiling", "share"), row, strict=True)) for row in rows], head)
    console.print_table([_plan_row(timed) for timed in bench.timed_plans], "plans tried: a step and its adjoint")
    click.echo(f"chosen: {bench.reason}\n")
    ours = bench.methods[0]
    methods = [
        {
            "method": method.method,
            "time": _seconds(method.seconds) if method.seconds else method.note,
            "time / ours": _ratio(method.seconds, ours.seconds),
            "peak MiB": f"{method.peak_mib:.1f}" if method.peak_mib else "",
            "peak / ours": _ratio(method.peak_mib, ours.peak_mib),
        }
        for method in bench.methods
    ]
    console.print_table(methods, "the meta-gradient alone, by other methods as they are run (contiguous)")


def _plan_row(timed: TimedPlan) -> dict[str, str]:
    import math

    plan = timed.plan
    return {
        "layout": plan.layout,
        "back-end": plan.backend,
        "run": plan.execution,
        "graphs kept": str(plan.keep_last_k),
        "time": _seconds(timed.seconds) if math.isfinite(timed.seconds) else "impossible",
    }


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.1f} ms"


def _ratio(figure: float | None, reference: float | None) -> str:
    return f"{figure / reference:.2f}" if figure and reference else ""
