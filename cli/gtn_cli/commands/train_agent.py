"""``gtn-cli train-agent``: trains one agent inside an environment and tests it on the real task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from gtn_cli import console, options
from gtn_cli.interrupt import EXIT_INTERRUPTED, interrupt_on_sigterm
from gtn_cli.json_output import echo_json
from gtn_cli.output_path import OutputFile, OutputFolder
from gtn_core.config import parse_assignments
from gtn_core.errors import UsageError

NAMES = (
    "ppo",
    "a2c",
    "dqn",
    "sac",
    "td3",
    "ddpg",
    "trpo",
    "qrdqn",
    "tqc",
    "crossq",
    "ars",
    "ppo_lstm",
)  # repeated here to avoid importing torch


def complete_algorithm(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Completes an algorithm's name."""
    return [CompletionItem(name) for name in NAMES if name.startswith(typed)]


@click.command("train-agent")
@click.option(
    "--env",
    "name",
    required=True,
    help="Gymnasium id, package:id, or path of a run or of a .safetensors environment.",
    shell_complete=options.complete_environment,
)
@click.option(
    "--algo", default="ppo", show_default=True, help=", ".join(NAMES) + ".", shell_complete=complete_algorithm
)
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="Environment steps to train for.  [default: --config's n_timesteps, else 10000]",
)
@click.option(
    "--eval", "task", help="Real task to play after training.  [default: the one in the environment's file, else --env]"
)
@click.option("--no-eval", is_flag=True, help="Do not play the real task, e.g. if its package is missing.")
@click.option(
    "--episodes",
    default=20,
    show_default=True,
    type=click.IntRange(min=1),
    help="Real episodes with each kind of action; a data set's whole test split is used.",
)
@click.option(
    "--n-envs", type=click.IntRange(min=1), help="Environment copies stepped together.  [default: --config's, else 1]"
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="YAML file of settings in rl-zoo3's format, or tuned for the shipped one.",
)
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="One setting, e.g. learning_rate=1e-3; repeatable."
)
@options.seed()
@click.option("--tensorboard", type=OutputFolder(), help="Folder for TensorBoard events.")
@click.option(
    "--save",
    type=OutputFile(),
    help="Write the agent to this zip, for its class's load (and, if observations are normalised, NAME.vecnormalize.pkl).",
)
@click.option("--video", type=OutputFile(), help="Record one real episode as a GIF.")
@options.data_dir
@options.output_mode
def command(
    name: str,
    algo: str,
    steps: int | None,
    task: str | None,
    no_eval: bool,
    episodes: int,
    n_envs: int | None,
    config_file: Path | None,
    assignments: tuple[str, ...],
    seed: int,
    tensorboard: Path | None,
    save: Path | None,
    video: Path | None,
    data_dir: Path | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train one agent inside an environment, and test it on the real task.

    In a data stream the agent classifies images, and its accuracy is measured on the real data set's test split.

    The agent comes from Stable-Baselines3 or sb3-contrib, with its own defaults unless --config or --set override them.
    As in these libraries, an algorithm that learns from whole rollouts finishes its last one, beyond --steps. The real
    return is shown for the most likely actions (deterministic) and for sampled ones (stochastic). Ctrl-C during
    training writes nothing.

    \b
    Examples:
      gtn-cli train-agent --env GTN-CartPole-v0 --algo ppo --steps 10000 --eval CartPole-v1
      gtn-cli train-agent --env runs/cartpole --algo dqn --set learning_rate=1e-3
      gtn-cli train-agent --env GTN-Digits-v0 --algo ppo --config tuned --eval GTN-Digits-Real-v0
      gtn-cli train-agent --env GTN-MNIST-v0 --algo ppo --steps 50000 --data-dir data
      gtn-cli train-agent --env CartPole-v1 --algo a2c --save agent.zip --video agent.gif
    """
    console.start_logging(quiet=quiet or as_json)
    interrupt_on_sigterm()
    options.use_data_dir(data_dir)
    taken = 0
    try:
        from gtn_rl.transfer.single import request, run

        settings = parse_assignments(assignments)
        if n_envs is not None and "n_envs" in settings:
            raise UsageError("--n-envs and --set n_envs set the same value: give only one of them")
        wanted = request(
            name,
            algo,
            task=task,
            steps=steps,
            episodes=episodes,
            config=config_file,
            settings=settings | ({"n_envs": n_envs} if n_envs else {}),
            seed=seed,
            tensorboard=tensorboard,
            save=save,
            video=video,
            play=not no_eval,
        )
        with console.counting_bar(quiet=quiet or as_json or not console.err.is_terminal) as bar:
            shown = bar.add_task(f"{wanted.entry.name} in {name}", total=wanted.steps)

            def advance(now: int) -> None:
                nonlocal taken
                taken = now
                bar.update(shown, completed=min(now, wanted.steps))

            result = run(wanted, advance).result
    except KeyboardInterrupt:
        click.echo(f"interrupted after {taken:,} steps", err=True)
        raise SystemExit(EXIT_INTERRUPTED) from None
    if as_json:
        echo_json(result)
    else:
        _show(result, quiet=quiet)


def _show(result: dict[str, Any], *, quiet: bool) -> None:
    played = "real_task" in result
    if played:
        _show_returns(result)
    if quiet:
        return
    click.echo(
        f"trained in {result['env']}: {result['steps']:,} steps, {result['updates']:,} gradient updates,"
        f" {result['seconds']:.0f} s"
    )
    if played and result["threshold"] is not None:
        outcome = "reached" if result["solved"] else "not reached"
        click.echo(f"solved from {result['threshold']:g}: {outcome}")
    for path in result["saved"]:
        click.echo(f"saved: {path}")
    if "video" in result:
        click.echo(f"video: {result['video']['file']} (one further episode, return {result['video']['return']:.1f})")


def _show_returns(result: Mapping[str, Any]) -> None:
    accurate = result["measure"] == "accuracy"
    shown = _accuracy if accurate else _figures
    rows = [{"actions": kind, **shown(result[kind])} for kind in ("deterministic", "stochastic")]
    many = (
        f"{result['images']:,} test images"
        if accurate
        else f"{result['episodes']} episode{'s' if result['episodes'] > 1 else ''} each"
    )
    title = f"real {result['measure']} of {result['algorithm']} on {result['real_task']}, {many}"
    console.print_table(rows, title)


def _figures(figures: Mapping[str, float]) -> dict[str, str]:
    return {figure: f"{value:.1f}" for figure, value in figures.items()}


def _accuracy(figures: Mapping[str, float]) -> dict[str, str]:
    """Returns the mean only, since each image is either right or wrong."""
    return {"accuracy": f"{100 * figures['mean']:.2f}%"}
