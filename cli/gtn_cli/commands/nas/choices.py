"""Options that the commands of ``gtn-cli nas`` share, and their values. Does not import torch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click
from click.shell_completion import CompletionItem

from gtn_cli import options
from gtn_cli.output_path import OutputFolder

F = TypeVar("F", bound=Callable[..., Any])

SPACES = ("cells", "cells-small", "macro", "macro-small", "nb201", "nb201-small")
RANKERS = (
    "teacher",
    "real",
    "subset",
    "equal-time",
    "distilled",
    "supernet",
    "hypernetwork",
    "parameters",
    "flops",
    "random",
    "grad_norm",
    "snip",
    "synflow",
    "jacob_cov",
    "naswot",
)
SEARCHES = ("evolution", "halving", "random")
"""Names in the registries, repeated here since those import torch; a test compares them."""


def complete_space(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes a search space's name."""
    return [CompletionItem(name) for name in SPACES if name.startswith(typed)]


def complete_ranker(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes a ranker's name."""
    return [CompletionItem(name) for name in RANKERS if name.startswith(typed)]


def complete_search(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes a search's name."""
    return [CompletionItem(name) for name in SEARCHES if name.startswith(typed)]


def complete_truth(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes the name of a shipped ground truth, or a path."""
    from gtn_sl.nas.ground_truth import shipped_ground_truths

    return [CompletionItem(name) for name in shipped_ground_truths() if name.startswith(typed)] or [
        CompletionItem(typed, type="file")
    ]


def space(command: F) -> F:
    """Adds ``--space``."""
    return click.option(
        "--space",
        "space_name",
        default="nb201-small",
        show_default=True,
        metavar="NAME[@KEY=VALUE,...]",
        help=f"Search space: {', '.join(SPACES)}; with settings (gtn-cli nas list), e.g. nb201@channels=8,cells=1.",
        shell_complete=complete_space,
    )(command)


def task(command: F) -> F:
    """Adds ``--task``; a file is resolved to its absolute path, which distinguishes results from different folders."""

    def whole(ctx: click.Context, parameter: click.Parameter, name: str) -> str:
        if ctx.resilient_parsing:  # shell completion
            return name
        from gtn_sl.data import whole_name

        return whole_name(name)

    return click.option(
        "--task",
        default="mnist",
        show_default=True,
        callback=whole,
        help="Real image task, or your own (my_package:my_task or an .npz file).",
        shell_complete=options.complete_images,
    )(command)


def seeds(what: str, default: int = 1) -> Callable[[F], F]:
    """Adds ``--seeds``."""
    return click.option("--seeds", default=default, show_default=True, type=click.IntRange(min=1), help=what)


judgements = seeds("Judgements per architecture, averaged.")
"""Adds ``--seeds`` to a command that ranks architectures."""


def architectures(command: F) -> F:
    """Adds ``--architecture``, ``--count`` and ``--seed``."""
    command = options.seed()(command)
    command = click.option(
        "-n", "--count", type=click.IntRange(min=1), help="Number of architectures to draw at random."
    )(command)
    return click.option(
        "--architecture",
        "encodings",
        multiple=True,
        metavar="ENCODING",
        help="Architecture, by its encoding; repeatable.",
    )(command)


def rankers(command: F) -> F:
    """Adds ``--ranker``, which can be repeated."""
    return _ranker("ranker_names", "Repeatable: ", multiple=True)(command)


def ranker(command: F) -> F:
    """Adds ``--ranker``, for a single ranker."""
    return _ranker("ranker_name", "", multiple=False)(command)


def _ranker(name: str, before: str, *, multiple: bool) -> Callable[[F], F]:
    return click.option(
        "--ranker",
        name,
        multiple=multiple,
        required=True,
        metavar="NAME[@KEY=VALUE,...]",
        help=f"{before}{', '.join(RANKERS)}, or your own package.module:function; gtn-cli nas list shows their settings.",
        shell_complete=complete_ranker,
    )


def truth(command: F) -> F:
    """Adds ``--truth``."""
    return click.option(
        "--truth",
        default="nb201-small-mnist",
        show_default=True,
        metavar="NAME|FILE.json",
        help="Shipped ground truth (nb201-small-mnist, nb201-small-fashion-mnist), or a file of gtn-cli nas ground-truth.",
        shell_complete=complete_truth,
    )(command)


def workers(command: F) -> F:
    """Adds ``--workers``."""
    return click.option(
        "--workers", default=1, show_default=True, type=click.IntRange(min=1), help="Worker processes, one thread each."
    )(command)


def final_training(command: F) -> F:
    """Adds ``--set`` for the settings of long trainings."""
    text = "Setting of gtn_sl.nas.final_training, e.g. epochs=20, lr=0.05, augmentation=crop-flip; repeatable."
    return click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help=text)(command)


def training(command: F) -> F:
    """Adds the options of long trainings: ``--seeds``, ``--workers`` and ``--set``."""
    return seeds("Trainings per architecture.", 3)(workers(final_training(command)))


def search(command: F) -> F:
    """Adds ``--search``, for a single search."""
    return _search("search_name", "", multiple=False)(command)


def searches(command: F) -> F:
    """Adds ``--search``, which can be repeated."""
    return _search("search_names", "Repeatable: ", multiple=True)(command)


def _search(name: str, before: str, *, multiple: bool) -> Callable[[F], F]:
    return click.option(
        "--search",
        name,
        multiple=multiple,
        default=("evolution",) if multiple else "evolution",
        show_default="evolution",
        metavar="NAME[@KEY=VALUE,...]",
        help=f"{before}random, evolution (regularised) or halving (successive).",
        shell_complete=complete_search,
    )


def budget(command: F) -> F:
    """Adds the four options for the budget of a search, which the command receives as one argument ``limits``."""

    @functools.wraps(command)
    def collected(
        *, evaluations: int | None, cpu_seconds: float | None, steps: int | None, images: int | None, **others: Any
    ) -> Any:
        limits = {"evaluations": evaluations, "cpu_seconds": cpu_seconds, "steps": steps, "images": images}
        return command(limits=limits, **others)

    count, seconds = click.IntRange(min=1), options.Amount()
    wrapped = click.option("--images", type=count, help="Budget: images seen.")(collected)
    wrapped = click.option("--steps", type=count, help="Budget: training steps.")(wrapped)
    wrapped = click.option("--cpu-seconds", type=seconds, help="Budget: CPU-seconds for judging and preparing.")(
        wrapped
    )
    return cast(F, click.option("--evaluations", type=count, help="Budget: judgements.")(wrapped))


def out(default: str) -> Callable[[F], F]:
    """Adds ``--out``, the work folder."""
    return click.option(
        "--out",
        default=default,
        show_default=True,
        type=OutputFolder(),
        help="Work folder; results that it already holds are reused.",
    )
