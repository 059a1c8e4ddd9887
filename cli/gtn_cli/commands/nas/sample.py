"""``gtn-cli nas sample``: shows architectures of a search space, with their sizes and pictures."""

from __future__ import annotations

from pathlib import Path

import click

from gtn_cli import console, options
from gtn_cli.commands.nas import choices
from gtn_cli.json_output import echo_json
from gtn_cli.output_path import OutputFolder
from gtn_core.folder import make_folder


@click.command("sample")
@choices.space
@choices.architectures
@choices.task
@click.option(
    "--draw",
    type=OutputFolder(),
    help="Folder for a PNG and a DOT file of each architecture.",
)
@options.output_mode
def command(
    space_name: str,
    encodings: tuple[str, ...],
    count: int | None,
    seed: int,
    task: str,
    draw: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Draw architectures of a search space at random, or show given ones.

    Sizes are for images of --task. An architecture is also a learner, under the name nas:SPACE:ENCODING.

    \b
    Examples:
      gtn-cli nas sample --space cells --count 3 --draw pictures
      gtn-cli nas sample --space nb201 --architecture "c3-sk.no-c1.a3.c3" --task cifar10
    """
    from gtn_sl.data import find_task
    from gtn_sl.nas.candidate import choose
    from gtn_sl.nas.drawing import draw as draw_picture
    from gtn_sl.nas.graph import to_dot
    from gtn_sl.nas.rankers.size import flop_count, parameter_count
    from gtn_sl.nas.spaces import find_space

    console.start_logging(quiet=quiet or as_json)
    space, image_task = find_space(space_name), find_task(task)
    candidates = choose(space, encodings, count if count or encodings else 10, seed)
    rows = [
        {
            "architecture": candidate.encoding,
            "parameters": parameter_count(candidate, image_task),
            "flops": flop_count(candidate, image_task),
        }
        for candidate in candidates
    ]
    if draw is not None:
        make_folder(draw)
        for candidate in candidates:
            graphs = space.graphs(candidate.genotype)
            draw_picture(draw / f"{candidate.encoding}.png", graphs, f"{space.name}: {candidate.encoding}")
            (draw / f"{candidate.encoding}.dot").write_text(to_dot(graphs), encoding="utf-8")
    if as_json:
        echo_json({"space": space.name, "size": space.size(), "task": task, "architectures": rows})
        return
    table = [
        {"architecture": str(row["architecture"]), "parameters": f"{row['parameters']:,}", "FLOPs": f"{row['flops']:,}"}
        for row in rows
    ]
    console.print_table(table, f"{space.name}: {len(rows)} of {space.size():,} architectures, on {image_task.title}")
    if draw is not None and not quiet:
        click.echo(f"pictures: {draw}")
