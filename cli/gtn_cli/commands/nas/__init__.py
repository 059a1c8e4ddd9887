"""``gtn-cli nas``: the group of architecture-search commands, one file per command. Does not import torch."""

from __future__ import annotations

import click

from gtn_cli.lazy_group import LazyGroup

COMMANDS = {
    "list": ("gtn_cli.commands.nas.list", "List search spaces, rankers and searches, with their settings."),
    "sample": ("gtn_cli.commands.nas.sample", "Sample architectures of a search space, and draw them."),
    "rank": ("gtn_cli.commands.nas.rank", "Score architectures by a ranker, e.g. a teacher's few steps."),
    "correlate": ("gtn_cli.commands.nas.correlate", "Measure how well rankers order architectures of known accuracy."),
    "search": ("gtn_cli.commands.nas.search", "Search for the best architecture by any ranker, within a budget."),
    "contest": ("gtn_cli.commands.nas.contest", "Let rankers search at equal cost, and train what they find."),
    "train": ("gtn_cli.commands.nas.train", "Train architectures on real data for some epochs, and test them."),
    "ground-truth": ("gtn_cli.commands.nas.ground_truth", "Train many architectures, to measure rankers against."),
    "check": (
        "gtn_cli.commands.nas.check",
        "Retrain a few architectures of a ground truth, to check that it still holds.",
    ),
    "report": ("gtn_cli.commands.nas.report", "Rewrite the tables and pictures of a folder."),
}
"""Name -> (module that defines ``command``, one line for ``--help``)."""


@click.group("nas", cls=LazyGroup, table=COMMANDS)
def command() -> None:
    """Architecture search with a teacher as the proxy, and with everything that a teacher has to beat.

    Spaces, rankers and searches are written NAME@KEY=VALUE,KEY=VALUE (gtn-cli nas list). Every command resumes where an
    earlier one with the same --out stopped.

    \b
    Examples:
      gtn-cli nas sample --space nb201-small --count 5
      gtn-cli nas rank --space nb201-small --task mnist --count 30 --ranker teacher@file=mnist-search
      gtn-cli nas correlate --truth nb201-small-mnist --ranker teacher@file=mnist-search --ranker synflow
      gtn-cli nas search --space nb201-small --task mnist --ranker teacher@file=mnist-search --evaluations 200
      gtn-cli nas contest --task mnist --ranker teacher@file=mnist-search --ranker supernet --cpu-seconds 60
      gtn-cli nas train --space nb201-small --task mnist --architecture c3-sk.no-c1.a3.c3 --seeds 3
    """
