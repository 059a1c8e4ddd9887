"""Settings of the meta-training of a synthetic environment, each documented by its docstring."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from gtn_core.config import (
    Decay,
    Natural,
    NaturalReal,
    Positive,
    PositiveReal,
    Real,
    Share,
    Threads,
    config,
    resolve,
)
from gtn_core.errors import UsageError, unknown_name
from gtn_core.inner_schedule import MAX_MOMENTUM
from gtn_core.outer_config import OuterConfig
from gtn_core.run_folder import teacher_of
from gtn_rl.natures import NATURES, StageName, StageNature
from gtn_rl.presets import PRESETS, preset_of

log = logging.getLogger(__name__)

Kind = Literal["mdp", "bandit", "reward"]
RewardMode = Literal["state-action", "potential", "fitted"]
Part = Literal["reward", "scale", "initial", "transition", "termination"]


@config
class EnvironmentConfig:
    """The synthetic environment's architecture and initialisation."""

    kind: Kind = "mdp"
    """``mdp``: learned initial states, transitions and reward; ``bandit``: learned contexts and reward, one-step episodes;
    ``reward``: a learned reward on the real task's own dynamics."""
    reward_mode: RewardMode = "state-action"
    """``state-action``: meta-learned, in place of the real reward. ``potential``, for the kind ``reward``: the discounted
    difference of a learned potential is added to the real reward, which leaves the optimal policies unchanged.
    ``fitted``, for the kind ``mdp``: the stage ``fit`` fits the real reward, too, so that the MDP is a model of the real
    task, in which agents learn what they would learn there."""
    gamma: Share = 0.99
    """Discount factor of a potential; agents should use the same one, and do by default."""
    start: str | None = None
    """A file or a shipped environment to start from; its initial states, reward network and normalisation are taken
    over. A learned reward has no initial states."""
    hidden: tuple[Positive, ...] = (32,)
    """Hidden widths of the reward network."""
    transition_hidden: tuple[Positive, ...] = (64,)
    """Hidden widths of the transition network."""
    termination: bool = False
    """Whether a network, with the widths in ``hidden``, also ends an MDP's episodes, judging by the state after each
    step. It is fitted to the real task's terminations; without it, only the time limit ends episodes."""
    activation: Literal["tanh", "relu"] = "tanh"
    """Activation of every network; with ``relu``, steps are several times as fast."""
    episode_steps: Positive = 10
    """Time limit of an MDP's episodes, in steps."""
    limit_terminates: bool = False
    """Whether an MDP's time limit is a termination (a finite horizon) instead of a truncation, beyond which agents
    bootstrap."""
    regret: bool = False
    """Whether a discrete action's reward is relative to the best action's, which then pays 0. This makes the greedy
    policy optimal whatever the transitions are."""
    reward_scale: PositiveReal = 1.0
    """Size of the reward at the start, as a multiple of that in the file it starts from, if any, or of the real reward
    if that is fitted; the stage ``scale`` chooses among multiples of it. A potential's size is set by the returns of a
    random policy instead."""
    centres: Annotated[Positive, Field(le=100_000)] = 64
    """Number of centres of the mixture that initial states are drawn from; they start at states of the real task."""
    jitter: PositiveReal = 0.2
    """Spread around each centre at the start, in standard deviations of the real task's observations, or as ``spread``
    says."""
    spread: Literal["task", "even", "policy"] = "task"
    """How initial states are spread at the start. ``task``: in proportion to the task's observations. ``even``: equally
    in every entry, in the task's units, for tasks where agents would be slow to learn from an entry that hardly varies
    (a stage ``greedy`` replaces the centres). ``policy``: like ``task`` and, after a stage ``greedy``, in proportion to
    the states that its policy visits, which may lie far apart where a random policy's do not. Only bandits and MDPs
    have initial states."""
    harvest_episodes: Positive = 64
    """Episodes of the real task, played by a random policy, that give the first centres, the normalisation and the
    steps to fit transitions to."""
    exploration: Share = 0.3
    """Share of random actions when states are harvested from a greedy policy instead."""
    harvest_steps: Positive | None = None
    """How many of the first steps of a greedy policy's episodes centres are taken from, for policies that soon come to
    rest and would leave mostly similar states; if the reward is fitted, of a random policy's episodes, which may leave
    what matters. ``None`` takes all steps."""


@config
class AgentsConfig:
    """The agents that the environment is meta-trained on and judged by."""

    names: tuple[str, ...] = ()
    """Kinds of agents to meta-train on, in turn: names of ``gtn_rl.agents``, such as ``dqn`` or ``sb3-dqn``, or your
    own as ``module:attribute`` (docs/agents.md); empty for all batched ones that fit the task's actions."""
    judges: tuple[str, ...] = ()
    """Kinds of agents to validate on; empty for those in ``names``. With other kinds, a stage is kept only if agents
    that the environment was not made for improve."""
    sb3_steps: Positive = 10_000
    """Environment steps of the ``sb3-...`` agents, in meta-training and as judges."""
    episodes: Positive = 4
    """Real episodes that each candidate's agent, or each learner of a meta-gradient, is evaluated on."""
    validation_seeds: Positive = 6
    """Fresh agents of each kind, with their usual hyper-parameters, in a validation."""
    validation_episodes: Positive = 10
    """Real episodes of each agent in a validation."""

    @property
    def greedy_episodes(self) -> int:
        """Real episodes that the one greedy policy is evaluated on."""
        return 4 * self.validation_episodes


@config
class GradientConfig:
    """The inner loop, the meta-loss and the outer step of the stages ``meta-gradient`` and ``paper``."""

    steps: Positive = 32
    """K, the number of inner steps of SGD with momentum. ``paper`` always takes one step, and refuses this setting,
    ``momentum``, ``entropy`` and ``every``."""
    learners: Positive = 16
    """S, the number of fresh learners in an outer step, all of one randomly drawn architecture; their gradients are
    averaged."""
    contexts: Positive = 32
    """n, the number of contexts that a learner sees in an inner step."""
    inner_lr: PositiveReal | None = None
    """Initial inner learning rate; each step's rate is meta-learned. ``None`` means 0.02 for ``meta-gradient``, with
    which the first learners are still undecided (a policy that is certain has no score function), and 0.3 for the only
    step of ``paper``."""
    momentum: Annotated[Real, Field(gt=0, lt=MAX_MOMENTUM)] = 0.9
    """Initial inner momentum; each step's momentum is meta-learned."""
    entropy: NaturalReal = 0.0
    """Weight of the policy's entropy in the inner loss of ``meta-gradient``."""
    every: Natural = 0
    """Interval, in inner steps, at which the meta-loss is also taken; 0 takes it after the last step only."""
    discount: Decay = 0.99
    """Discount factor of the real returns in the meta-loss."""
    lr: PositiveReal = 0.03
    """Initial outer learning rate of Adam; a cosine schedule decays it to a tenth."""
    clip: PositiveReal = 0.05
    """Maximum norm of the meta-gradient; the few that are much longer would slow Adam down for a long time."""


@config
class StageConfig:
    """One stage of a meta-training."""

    name: StageName
    """``greedy``: evolve the reward's own greedy policy; ``distil``: evolve the real return of small perceptrons
    regressed on the reward; ``soften``: choose the gain (see below) at which the greedy policy does best; ``fit``: fit
    transitions and terminations to real ones, and with ``environment.reward_mode=fitted`` rewards, too; ``judge``:
    validate the environment as it is; ``scale``: choose the reward's size by agents at and around their usual learning
    rates; ``bilevel``: evolve the real return of agents trained inside; ``meta-gradient``: differentiate the real
    return of policies trained inside; ``paper``: the same through one step of regression, as in the paper's CartPole."""
    share: PositiveReal = 1.0
    """Share of a budget in minutes, relative to the other stages'."""
    iterations: Natural | None = None
    """Outer steps of this stage when the budget is not in minutes; ``None`` takes the run's ``iterations``."""
    estimator: str = "snes"
    """``snes`` or ``openai-es``. This setting and the next three do not apply to ``fit``, ``judge``, ``scale``,
    ``soften``, ``meta-gradient`` and ``paper``."""
    population: Positive = 64
    """Candidates in an outer step."""
    sigma: PositiveReal = 0.1
    """Initial standard deviation of the candidates' noise."""
    lr: PositiveReal | None = None
    """Outer learning rate. ``None`` means 1 for ``snes``, as published, and 0.02, of Adam, for ``openai-es``."""
    shift: Real = 0.0
    """Subtracted from the reward of each real step in a candidate's fitness, as in ARS (Mania et al., NeurIPS 2018):
    where staying alive pays a bonus, a search that counts it ends up standing still. The teacher is judged by the full
    return."""
    gain: tuple[PositiveReal, PositiveReal] = (1.0, 1.0)
    """Range of a factor on the greedy policy's continuous actions before the hyperbolic tangent, drawn log-uniformly
    for each outer step of ``greedy``. Agents follow a reward less sharply than its greedy policy does. After a wide
    range, the stage ``soften`` chooses the final factor."""
    parts: Annotated[tuple[Part, ...], Field(min_length=1)] | None = None
    """What is meta-learned; the rest stays as it is. ``None`` means the reward, its size (``scale``) and the initial
    states, except those that do not affect the stage's fitness: a greedy policy is the same whatever the size and the
    initial states are."""
    validations: Positive = 8
    """How often the teacher is validated."""
    gradient: GradientConfig = GradientConfig()
    """Settings of ``meta-gradient`` and ``paper``."""

    @property
    def nature(self) -> StageNature:
        """Properties of a stage of this name."""
        return NATURES[self.name]


@config
class RLConfig:
    """The meta-training of one synthetic environment."""

    task: str = "CartPole-v1"
    """A Gymnasium id, e.g. ``CartPole-v1`` or ``my_package:MyEnv-v0``."""
    preset: str = "fast"
    """The preset that the other settings are based on."""
    seed: Natural = 0
    """Root seed of all random streams."""
    environment: EnvironmentConfig = EnvironmentConfig()
    agents: AgentsConfig = AgentsConfig()
    stages: tuple[StageConfig, ...] = (StageConfig(name="bilevel"),)
    """Run in order, each from the best teacher of the stage before."""
    minutes: PositiveReal | None = None
    """Wall-clock minutes, divided among the stages."""
    iterations: Natural | None = None
    """Outer steps of each stage when the budget is not in minutes."""
    threads: Threads | None = 1
    """CPU threads; more than one rarely helps, as the networks are small."""
    workers: Natural | None = None
    """Processes that step tasks without a batched re-implementation; ``None`` means one per CPU."""
    device: str = "cpu"
    """Device on which environments and agents are computed."""
    save_every: NaturalReal = 30.0
    """Seconds between checkpoints from which a run can be resumed."""

    def outer(self, stage: StageConfig) -> OuterConfig:
        """Returns the settings of the outer loop in a stage."""
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


def resolve_config(task: str, preset: str = "fast", *layers: Mapping[str, Any]) -> RLConfig:
    """Builds the config of a run from a task, a preset and the user's settings.

    Args:
        task: A Gymnasium id with its version.
        preset: A name of ``gtn_rl.presets``.
        layers: Nested dictionaries, each overriding those before it. A budget (``iterations`` or ``minutes``) in one
            replaces the budget of those before.

    Raises:
        UsageError: A name, key or value is not accepted, there are no stages, or there is not exactly one budget.
    """
    if preset not in PRESETS:
        raise unknown_name("preset", preset, PRESETS)
    told: dict[str, Any] = {}
    for layer in layers:
        environment = layer.get("environment", {})
        if not isinstance(environment, Mapping):
            raise UsageError(f"config key 'environment' must be a mapping, got {environment!r}")
        told |= environment
    settings = preset_of(preset, task, told)
    if any(
        layer.get("iterations") is not None for layer in layers
    ):  # applies to every stage, including those with their own
        settings = {**settings, "stages": [{**stage, "iterations": None} for stage in settings["stages"]]}
    stack: list[Mapping[str, Any]] = [{"task": task, "preset": preset}, settings]
    for layer in layers:
        if "iterations" in layer or "minutes" in layer:
            stack.append({"iterations": None, "minutes": None})
        stack.append(layer)
    resolved = resolve(RLConfig, *stack)
    if (resolved.iterations is None) == (resolved.minutes is None):
        raise UsageError("give one budget: either iterations or minutes")
    if not resolved.stages:
        raise UsageError("a meta-training needs at least one stage")
    budgets = [key for layer in layers for key in ("minutes", "iterations") if layer.get(key) is not None]
    if budgets and not any(stage.nature.loops for stage in resolved.stages):
        names = ", ".join(stage.name for stage in resolved.stages)
        log.warning(
            "%s=%s has no effect: none of the stages %s is an outer loop",
            budgets[-1],
            getattr(resolved, budgets[-1]),
            names,
        )
    start = resolved.environment.start
    # A file, or the name of a shipped environment.
    if start is not None and (file := teacher_of(Path(start))).suffix == ".safetensors":
        found = replace(resolved.environment, start=str(file.absolute()))
        resolved = replace(resolved, environment=found)
    return resolved
