"""The entry point: the table of commands and the handling of errors. Does not import torch."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

import click

from gtn_cli.interrupt import EXIT_INTERRUPTED, ctrl_c_ends_imports
from gtn_cli.lazy_group import LazyGroup

COMMANDS = {
    "meta-train": ("gtn_cli.commands.meta_train", "Meta-train a teacher of images, or a synthetic environment."),
    "evaluate": (
        "gtn_cli.commands.evaluate",
        "Test fresh learners trained on a teacher of images, alongside controls.",
    ),
    "train-learner": (
        "gtn_cli.commands.train_learner",
        "Train a classifier on a teacher of images in seconds, and test it on real ones.",
    ),
    "compact": ("gtn_cli.commands.compact", "Store a teacher of images at half the size, if it teaches as well."),
    "train-agent": (
        "gtn_cli.commands.train_agent",
        "Train one agent inside an environment, and play it on the real task.",
    ),
    "transfer": (
        "gtn_cli.commands.transfer",
        "Measure how well agents trained inside environments do on the real task.",
    ),
    "nas": ("gtn_cli.commands.nas", "Architecture search: rank architectures by a teacher, and search with it."),
    "export-dataset": ("gtn_cli.commands.export_dataset", "Write a teacher's images as a data set or an environment."),
    "reproduce": (
        "gtn_cli.commands.reproduce",
        "Re-test one of the paper's claims: a picture, a table and what was seen.",
    ),
    "inspect": ("gtn_cli.commands.inspect", "Describe a teacher or an environment, and draw it."),
    "tasks": ("gtn_cli.commands.tasks", "List what can be taught; download and check the images."),
    "settings": (
        "gtn_cli.commands.settings",
        "List the settings of a meta-training, with values and descriptions.",
    ),
    "bench": ("gtn_cli.commands.bench", "Time an outer step, compared with the machine's limits and other methods."),
    "runs": ("gtn_cli.commands.runs", "List the runs in a folder."),
    "completion": ("gtn_cli.commands.completion", "Print the shell completion script."),
}
"""Name -> (module that defines ``command``, one line for ``--help``)."""

OUT_OF_MEMORY = (
    "out of memory; use smaller batches or buffers and, in a meta-training, a smaller compute.memory_mib or inner.steps"
)

EXIT_FAILED = 1


@click.group(cls=LazyGroup, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="generative-teaching-networks", prog_name="gtn-cli")
def cli() -> None:
    """Generative Teaching Networks: meta-learn a teacher whose synthetic data trains fresh learners in a few steps.

    A teacher generates images, or is a whole environment for reinforcement learning.

    \b
    Examples:
      gtn-cli meta-train --task digits --out runs/digits
      gtn-cli evaluate runs/digits
      gtn-cli train-learner --teacher digits --save model.safetensors
      gtn-cli meta-train --task CartPole-v1 --out runs/cartpole
      gtn-cli train-agent --env runs/cartpole --algo dqn
      gtn-cli transfer GTN-CartPole-v0 --seeds 5
      gtn-cli inspect runs/cartpole
      gtn-cli nas correlate --truth nb201-small-mnist --ranker teacher@file=runs/mnist
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and exits with 0 (done), 1 (failed), 2 (wrong usage) or 130 (interrupted)."""
    from gtn_core.errors import WHERE, GTNError

    if "" not in sys.path:
        sys.path.append("")  # the current folder, for a user's own tasks; `python -m` adds it, an entry point does not
    try:
        with ctrl_c_ends_imports():
            code = cli.main(args=list(arguments) if arguments is not None else None, standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except GTNError as error:
        if os.environ.get("GTN_TRACEBACK"):
            raise
        _fail(str(error), error.exit_code)
    except BrokenPipeError:  # the reader of our output is gone; avoids a second error when Python flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    except OSError as error:
        _fail(_system_error(error), EXIT_FAILED)
    except MemoryError:
        _fail(OUT_OF_MEMORY, EXIT_FAILED)
    except Exception as error:
        from gtn_core.memory.allocation import is_out_of_memory

        if is_out_of_memory(error):
            _fail(OUT_OF_MEMORY, EXIT_FAILED)
        if os.environ.get("GTN_TRACEBACK"):
            raise
        if _is_gymnasiums(error):
            _fail(str(error), EXIT_FAILED)
        kind = type(error).__name__
        _fail(f"internal error: {kind}: {error} ({WHERE}; please report it)", EXIT_FAILED)


def _is_gymnasiums(error: Exception) -> bool:
    """Returns whether an error is one of Gymnasium's own classes, whose messages are meant for users."""
    gymnasium = sys.modules.get("gymnasium")
    return gymnasium is not None and isinstance(error, gymnasium.error.Error)


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(code)


def _system_error(error: OSError) -> str:
    name = f" {error.filename}" if error.filename else ""
    full = " (nothing already saved was lost)" if error.errno == errno.ENOSPC else ""
    return f"{error.strerror or error}{name}{full}"


if __name__ == "__main__":
    main()
