"""``gtn-cli train-learner``: trains a classifier on a teacher alone, in seconds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gtn_cli import console, options
from gtn_cli.json_output import echo_json
from gtn_cli.output_path import OutputFile
from gtn_cli.teacher_argument import (
    complete_teacher,
    data_dir_of_run,
    read_teacher,
    refuse_to_replace,
)
from gtn_core.errors import DataError
from gtn_core.whole_file import require_writable

if TYPE_CHECKING:
    from gtn_sl.classifier import Classifier
    from gtn_sl.data import Split, TaskData
    from gtn_sl.teacher_file import TeacherFile


@click.command("train-learner")
@click.option(
    "--teacher",
    required=True,
    type=click.Path(path_type=Path),
    help="Name of a shipped teacher, run folder, or .safetensors file.",
    shell_complete=complete_teacher,
)
@click.option("--learner", metavar="NAME[:WIDTHS]", help="Architecture.  [default: the teacher's]")
@click.option("--save", type=OutputFile(".safetensors"), help="Write the classifier to this .safetensors file.")
@options.seed("Seed of the (first) learner's weights.")
@options.inner_steps
@click.option(
    "-n",
    "--count",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Learners to train, with seeds SEED, SEED + 1, ...",
)
@click.option("--test/--no-test", default=True, show_default=True, help="Measure the accuracy on real test images.")
@options.device()
@options.data_dir
@options.output_mode
def command(
    teacher: Path,
    learner: str | None,
    save: Path | None,
    seed: int,
    steps: int | None,
    count: int,
    test: bool,
    device: str | None,
    data_dir: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train a classifier on a teacher's synthetic images alone, in seconds, and test it on real ones.

    Of several learners (--count), --save keeps the one that is best on validation images, or the first if there are no
    real images. In Python, gtn_sl.load_learner(FILE) returns the classifier as a torch module that takes images.

    \b
    Examples:
      gtn-cli train-learner --teacher digits
      gtn-cli train-learner --teacher mnist --learner base_fc_maxpool:32,64,128 --save model.safetensors
      gtn-cli train-learner --teacher runs/mnist --count 5 --json
    """
    from gtn_core.device import resolve_device
    from gtn_core.memory.allocation import reuse_pages
    from gtn_sl.classifier import save_learner, train_learner

    console.start_logging(quiet=quiet or as_json)
    reuse_pages()
    file, place = read_teacher(teacher), resolve_device(device or "auto")
    if save is not None:
        require_writable(save)
        refuse_to_replace(file.path, "--save", save)
    classifiers, began = [], time.perf_counter()
    with console.counting_bar(quiet=quiet or as_json) as bar:
        for number in bar.track(range(count), description="learners"):
            classifiers.append(train_learner(file, learner, seed=seed + number, steps=steps, device=place))
    seconds = time.perf_counter() - began
    chosen = save is not None and count > 1
    data, missing = _real_images(file, data_dir or data_dir_of_run(teacher)) if test or chosen else (None, None)
    if not test:
        missing = "--no-test was given"
    accuracies = _accuracies(classifiers, data.test.to(place)) if data and test else None
    best = 0
    if data and chosen:  # chosen on validation images; test images are for evaluation only
        scores = _accuracies(classifiers, data.validation.to(place))
        best = scores.index(max(scores))
    result = {
        "teacher": str(file.path),
        "learner": classifiers[0].document["learner"],
        "seeds": [seed + number for number in range(count)],
        "steps": classifiers[0].document["steps"],
        "batch_size": file.teacher.batch_size,
        "seconds": round(seconds, 2),
        "test_accuracy": accuracies,
        "test_images": len(data.test) if data and test else 0,
        "untested_because": missing,
        "saved": str(save) if save else None,
        "saved_seed": seed + best if save else None,
    }
    if save is not None:
        accuracy = accuracies[best] if accuracies else None
        save_learner(save, classifiers[best], test_accuracy=accuracy, command=options.given_command())
    if as_json:
        echo_json(result)
    else:
        _show(result, quiet=quiet)


def _real_images(file: TeacherFile, data_dir: Path | None) -> tuple[TaskData | None, str | None]:
    """Returns the task's data, or the reason why it is not available; the other is ``None``."""
    from gtn_sl.teacher_file import load_real_images

    try:
        return load_real_images(file, data_dir), None
    except DataError as error:
        return None, str(error)


def _accuracies(classifiers: list[Classifier], split: Split) -> list[float]:
    from gtn_sl.evaluation import accuracy_of

    return [accuracy_of(classifier, split) for classifier in classifiers]


def _show(result: dict[str, Any], *, quiet: bool) -> None:
    n, accuracies = len(result["seeds"]), result["test_accuracy"]
    if not quiet:
        what = "one learner" if n == 1 else f"{n} learners"
        images = f"{result['steps']} steps of {result['batch_size']} synthetic images"
        click.echo(f"trained {what} ({result['learner']}) on {images} each in {result['seconds']:.1f} s")
    if accuracies is None:
        click.echo(f"test accuracy: not measured: {result['untested_because']}")
    elif n == 1:
        click.echo(f"test accuracy: {100 * accuracies[0]:.2f}% of {result['test_images']:,} real images")
    else:
        mean, least, most = (100 * value for value in (sum(accuracies) / n, min(accuracies), max(accuracies)))
        images = f"of {result['test_images']:,} real images"
        click.echo(f"test accuracy: mean {mean:.2f}%, from {least:.2f}% to {most:.2f}% {images} (n = {n})")
    if result["saved"] and not quiet:
        seed = f" (seed {result['saved_seed']})" if n > 1 else ""
        click.echo(f"saved: {result['saved']}{seed}; from Python: gtn_sl.load_learner({result['saved']!r})")
