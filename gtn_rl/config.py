"""What the meta-training of a synthetic environment can be told, each setting documented in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from gtn_core.config import Natural, NaturalReal, Positive, PositiveReal, Share, Threads, config, resolve
from gtn_core.errors import UsageError, unknown_name
from gtn_core.inner_schedule import MAX_MOMENTUM
from gtn_core.outer_config import OuterConfig
from gtn_core.run_folder import teacher_of
from gtn_rl.natures import NATURES, StageName, StageNature
from gtn_rl.presets import GENERAL, PRESETS

Kind = Literal["mdp", "bandit", "reward"]
RewardMode = Literal["state-action", "potential"]
Part = Literal["reward", "scale", "initial", "transition", "termination"]


@config
class EnvironmentConfig:
    """The synthetic environment's architecture and start."""

    kind: Kind = "mdp"
    """``mdp``: learned initial states, transitions and reward; ``bandit``: learned contexts and reward, one-step episodes;
    ``reward``: a learned reward on the real task's own dynamics."""
    reward_mode: RewardMode = "state-action"
    """Of the kind ``reward``: ``state-action`` takes the real reward's place; ``potential`` adds the discounted difference of a
    learned potential to it, which leaves the best policies as they are."""
    gamma: Share = 0.99
    """Discount of a potential; agents should discount alike, and do by default."""
    start: str | None = None
    """A file, or a shipped environment's name, whose initial states, reward network and normalisation it starts from; a learned
    reward has no initial states."""
    hidden: tuple[Positive, ...] = (32,)
    """Widths of the reward network."""
    transition_hidden: tuple[Positive, ...] = (64,)
    """Widths of the transition network."""
    termination: bool = False
    """Whether an MDP's episodes also end where a network, of widths ``hidden``, says so of the state after a step. It is fitted
    to the real task's terminations; without it, episodes end by their time limit alone."""
    activation: Literal["tanh", "relu"] = "tanh"
    """Of every network; ``relu`` steps several times as fast."""
    episode_steps: Positive = 10
    """Time limit of an MDP's episodes."""
    limit_terminates: bool = False
    """Whether an MDP's time limit is a termination, a finite horizon, instead of a truncation, beyond which agents bootstrap."""
    regret: bool = False
    """Whether a discrete action's reward is what it falls short of the best one's, so that the greedy policy is the best one
    whatever the transitions are."""
    reward_scale: PositiveReal = 1.0
    """Size of the reward at the start, in multiples of that of the file that it starts from, where there is one; the stage
    ``scale`` chooses among multiples of it. A potential has a size of its own."""
    centres: Annotated[int, Field(gt=0, le=100_000)] = 64
    """Centres of the mixture that initial states are drawn from; they start at states of the real task."""
    jitter: PositiveReal = 0.2
    """Spread around a centre at the start, in standard deviations of the real task's observations, or what ``spread`` says."""
    spread: Literal["task", "even", "policy"] = "task"
    """How initial states are spread at the start: ``task`` as the task's observations are; ``even`` with the same spread of every
    entry, in the task's units, where an agent would learn one that hardly varies late (a greedy stage starts them anew);
    ``policy`` as the task's, and after a greedy stage as the states are that its policy meets, which may lie far apart where a
    random one's do not. Bandits and MDPs alone have initial states."""
    harvest_episodes: Positive = 64
    """Episodes of the real task, by a random policy, that centres, normalisation and transitions start from."""
    exploration: Share = 0.3
    """Share of random actions where states are harvested from a greedy policy instead."""
    harvest_steps: Positive | None = None
    """Steps of a greedy policy's episodes that centres are taken from, where it soon comes to rest and most of its states would
    be alike; none for all."""


@config
class AgentsConfig:
    """The agents that the environment is meta-trained on and judged by."""

    names: tuple[str, ...] = ()
    """The kinds that it is meta-trained on, taken in turn: names of ``gtn_rl.agents``, such as ``dqn`` or ``sb3-dqn``, or a
    user's own ``module:attribute`` (docs/agents.md); none for all batched ones that fit the task's actions."""
    judges: tuple[str, ...] = ()
    """The kinds that it is validated on, which may be others, so that a stage is kept only if agents that it was not made for
    improve; none for those of ``names``."""
    sb3_steps: Positive = 10_000
    """Environment steps of the agents called ``sb3-...``, in meta-training and as judges."""
    episodes: Positive = 4
    """Real episodes of each candidate's agent."""
    validation_seeds: Positive = 6
    """Fresh agents of each kind, with their usual hyper-parameters, that a teacher is validated on."""
    validation_episodes: Positive = 10
    """Real episodes of each of these."""

    @property
    def greedy_episodes(self) -> int:
        """Real episodes that the one greedy policy is judged by."""
        return 4 * self.validation_episodes


@config
class GradientConfig:
    """The inner loop, the meta-loss and the outer step of ``meta-gradient`` and ``paper``."""

    steps: Positive = 32
    """K, inner steps of SGD with momentum. ``paper`` always takes one, and refuses this, ``momentum``, ``entropy`` and
    ``every``."""
    learners: Positive = 16
    """S, fresh learners of an outer step, all of one drawn width, whose gradients are averaged."""
    contexts: Positive = 32
    """n, contexts that a learner sees at an inner step."""
    inner_lr: PositiveReal | None = None
    """Inner learning rate at the start; that of every step is meta-learned. ``None`` takes 0.02, with which the first learners
    are still undecided (one that is certain has no score function), and 0.3 for the only step of ``paper``."""
    momentum: Annotated[float, Field(gt=0, lt=MAX_MOMENTUM)] = 0.9
    """Inner momentum at the start; that of every step is meta-learned."""
    entropy: NaturalReal = 0.0
    """Weight of the policy's entropy in the inner loss of ``meta-gradient``."""
    every: Natural = 0
    """The meta-loss is also taken after every so many inner steps; 0 for after the last one alone."""
    discount: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Gamma of the real returns in the meta-loss."""
    lr: PositiveReal = 0.03
    """Adam's outer learning rate at the start; a cosine takes it to a tenth."""
    clip: PositiveReal = 0.05
    """Largest norm of the meta-gradient; the few much longer ones would slow Adam down for long."""


@config
class StageConfig:
    """One stage of a meta-training."""

    name: StageName
    """``greedy``: evolve the reward's own greedy policy; ``distil``: evolve what small perceptrons return that are regressed on
    it; ``soften``: choose the gain (see below) at which the greedy policy does best; ``fit``: fit transitions and terminations
    to real ones; ``scale``: choose the reward's size by agents at learning rates about the usual ones; ``bilevel``: evolve what
    agents trained inside return on the real task; ``meta-gradient``: differentiate what policies trained inside return there;
    ``paper``: the same through one step of regression, as the paper's CartPole."""
    share: PositiveReal = 1.0
    """Part of the budget in minutes, beside the other stages'."""
    iterations: Natural | None = None
    """Outer steps of this stage, where no minutes are given; none for those of all."""
    estimator: str = "snes"
    """``snes`` or ``openai-es``; it and the next three are of no meaning to ``fit``, ``scale``, ``soften``, ``meta-gradient``
    and ``paper``."""
    population: Positive = 64
    """Candidates of an outer step."""
    sigma: PositiveReal = 0.1
    """Standard deviation of the candidates' noise at the start."""
    lr: PositiveReal | None = None
    """Outer learning rate. ``None`` takes 1 for ``snes``, as published, and 0.02, of Adam, for ``openai-es``."""
    shift: float = 0.0
    """What a candidate's fitness is short of for every real step, as in ARS (Mania et al., NeurIPS 2018): where a bonus is paid
    for staying alive, a search that counts it ends at standing still. The teacher is judged by the whole return."""
    gain: tuple[PositiveReal, PositiveReal] = (1.0, 1.0)
    """Range of a factor, drawn for each outer step of ``greedy`` evenly on a logarithmic scale, on what the greedy policy's
    continuous actions are the hyperbolic tangent of. Agents follow a reward less sharply than its greedy policy does. Where
    the range is wide, ``soften`` chooses among factors in the end."""
    parts: Annotated[tuple[Part, ...], Field(min_length=1)] | None = None
    """What is meta-learned; the rest stays as it is. ``None`` takes reward, its size (``scale``) and initial states, as far as
    the stage can tell them apart: a greedy policy is the same whatever the size and the initial states are."""
    validations: Positive = 8
    """How often the teacher is judged."""
    gradient: GradientConfig = GradientConfig()
    """Of ``meta-gradient`` and ``paper``."""

    @property
    def nature(self) -> StageNature:
        """What a stage of this name is."""
        return NATURES[self.name]


@config
class RLConfig:
    """The meta-training of one synthetic environment."""

    task: str = "CartPole-v1"
    """A Gymnasium id, e.g. ``CartPole-v1`` or ``my_package:MyEnv-v0``."""
    preset: str = "fast"
    """The preset that the other settings started from."""
    seed: Natural = 0
    """Root of every random stream."""
    environment: EnvironmentConfig = EnvironmentConfig()
    agents: AgentsConfig = AgentsConfig()
    stages: tuple[StageConfig, ...] = (StageConfig(name="bilevel"),)
    """One after the other, each from the best teacher of the one before."""
    minutes: PositiveReal | None = None
    """Wall-clock minutes, shared out among the stages."""
    iterations: Natural | None = None
    """Outer steps of each stage, where no minutes are given."""
    threads: Threads | None = 1
    """CPU threads; more rarely help, as the networks are small."""
    workers: Natural | None = None
    """Processes that step tasks without a batched re-implementation; ``None`` takes one for each CPU."""
    device: str = "cpu"
    """Where environments and agents are computed."""
    save_every: NaturalReal = 30.0
    """Seconds between resumable states."""

    def outer(self, stage: StageConfig) -> OuterConfig:
        """Returns the outer loop's settings in a stage."""
        total = sum(s.share for s in self.stages if s.nature.loops)
        minutes = self.minutes * stage.share / total if self.minutes is not None else None
        iterations = self.iterations if stage.iterations is None else stage.iterations
        gradient = stage.nature.differentiates
        natural = stage.estimator == "snes" and not gradient
        return OuterConfig(
            iterations=iterations if minutes is None else None,
            minutes=minutes,
            optimizer="sgd" if natural else "adam",
            lr=stage.gradient.lr if gradient else stage.lr or (1.0 if natural else 0.02),
            final_lr=1.0 if natural else 0.1,
            clip=stage.gradient.clip if gradient else None,
            validations=stage.validations,
            save_every=self.save_every,
        )


def resolve_config(task: str, preset: str, *layers: Mapping[str, Any]) -> RLConfig:
    """Builds the config of a run from a task, a preset, and what the user adds.

    Args:
        task: A Gymnasium id.
        preset: A name of ``gtn_rl.presets``.
        layers: Nested dictionaries, later ones winning. A budget (``iterations`` or ``minutes``) in one replaces the budget of
            those before.

    Raises:
        UsageError: A name, key or value is not accepted.
    """
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    told: dict[str, Any] = {}
    for layer in layers:
        environment = layer.get("environment", {})
        if not isinstance(environment, Mapping):
            raise UsageError(f"config key 'environment' should hold keys and values, got {environment!r}")
        told |= environment
    settings = PRESETS[preset].get(task.rpartition(":")[2], GENERAL)(
        told.get("kind", "mdp"), told.get("start") is not None
    )
    if told.get("reward_mode") == "potential":
        settings = {
            **settings,
            "stages": [stage for stage in settings["stages"] if not NATURES[stage["name"]].plays_greedy],
        }
    if any(
        layer.get("iterations") is not None for layer in layers
    ):  # of each stage, so also of those that have their own
        settings = {**settings, "stages": [{**stage, "iterations": None} for stage in settings["stages"]]}
    stack: list[Mapping[str, Any]] = [{"task": task, "preset": preset}, settings]
    for layer in layers:
        if "iterations" in layer or "minutes" in layer:
            stack.append({"iterations": None, "minutes": None})
        stack.append(layer)
    resolved = resolve(RLConfig, *stack)
    if (resolved.iterations is None) == (resolved.minutes is None):
        raise UsageError("give one budget: either --iterations or --minutes")
    if not resolved.stages:
        raise UsageError("a meta-training needs at least one stage")
    start = resolved.environment.start
    # A file, or the name of one that comes with the package.
    if start is not None and (file := teacher_of(Path(start))).suffix == ".safetensors":
        found = replace(resolved.environment, start=str(file.absolute()))
        resolved = replace(resolved, environment=found)
    return resolved
