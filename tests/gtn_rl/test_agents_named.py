"""Names of inner agents: registered ones, a user's own, and errors for invalid ones."""

from pathlib import Path

import pytest
import torch

from gtn_core.config import parse_assignments
from gtn_core.errors import UsageError
from gtn_core.seeding import Streams
from gtn_rl.agents import AGENTS
from gtn_rl.agents.named import families
from gtn_rl.agents.sb3 import SB3Family
from gtn_rl.config import resolve_config
from gtn_rl.fitness import Greedy
from gtn_rl.job import EvolutionJob
from gtn_rl.judge import Judge, judges, learners
from gtn_rl.tasks import make_task

MODULE = """
from gtn_rl.agents.sb3 import SB3Family

short = SB3Family("dqn", steps=7)

class Family:
    def __init__(self, rounds=3):
        self.rounds = rounds
    def draw(self, spec, random): return self
    def usual(self, spec): return self
    def fits(self, spec): return spec.discrete
    def train(self, model, generator): raise NotImplementedError

class Lacking:
    def draw(self, spec, random): return self

class Demanding(Family):
    def __init__(self, rounds): ...

class Idle(Family):
    def usual(self, spec): return object()

number = 3
"""


@pytest.fixture
def examples(monkeypatch):
    """The folder of examples, added to the import path."""
    folder = Path(__file__).resolve().parents[2] / "examples"
    monkeypatch.syspath_prepend(folder)
    return folder


@pytest.fixture
def spec():
    return make_task("CartPole-v1").spec


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The name of a user's importable module, different for each test so that no import is cached."""
    name = f"my_agents_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / f"{name}_broken.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_no_names_selects_all_fitting_batched_families(spec):
    assert [name for name, _ in families((), spec, 5)] == ["a2c", "dqn", "ppo"]
    assert [name for name, _ in families((), make_task("Pendulum-v1").spec, 5)] == ["a2c", "ppo", "td3"]


def test_registered_sb3_and_own_families_can_be_mixed(spec, mine):
    names = ("dqn", "sb3-ppo", f"{mine}:Family", f"{mine}:short", "dqn")
    found = families(names, spec, 1234)
    assert tuple(name for name, _ in found) == names
    assert found[0][1] is AGENTS["dqn"]
    assert found[1][1] == SB3Family("ppo", 1234)
    assert found[2][1].rounds == 3  # a class is instantiated
    assert found[3][1] == SB3Family("dqn", 7)  # sb3_steps only applies to registered families


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dqm", "unknown inner agent 'dqm'; did you mean 'dqn'"),
        ("td3", "'td3' does not support the actions of CartPole-v1, Discrete"),
        ("sb3-sac", "'sb3-sac' does not support the actions of CartPole-v1, Discrete"),
        ("sb3-ppo_lstm", "unknown inner agent 'sb3-ppo_lstm'; did you mean"),
        ("no_such_module:X", "cannot import .* ModuleNotFoundError: No module named 'no_such_module'; .* PYTHONPATH"),
        ("{mine}_broken:X", "cannot import .* ZeroDivisionError: division by zero$"),
        ("{mine}:Famly", "unknown attribute of the module '{mine}': 'Famly'; did you mean 'Family'"),
        ("{mine}:", "unknown attribute of the module"),
        (":Family", "cannot import the inner agent ':Family'"),
        ("{mine}:Lacking", "'{mine}:Lacking' is not a family of agents: it lacks usual, fits"),
        ("{mine}:number", "is not a family of agents: it lacks draw, usual, fits"),
        ("{mine}:Demanding", "is a class that needs arguments: .*'rounds'"),
        ("{mine}:Idle", "makes a object, which has no train method"),
    ],
)
def test_invalid_agent_names_are_rejected(name, message, spec, mine):
    with pytest.raises(UsageError, match=message.format(mine=mine)):
        families((name.format(mine=mine),), spec, 5)


def test_own_family_that_does_not_fit_is_rejected(mine):
    with pytest.raises(UsageError, match="does not support the actions of Pendulum-v1"):
        families((f"{mine}:Family",), make_task("Pendulum-v1").spec, 5)


def config(*settings, task="CartPole-v1"):
    few = ["iterations=1", "environment.kind=bandit", "agents.validation_episodes=2"]
    return resolve_config(task, "fast", parse_assignments([*few, *settings]))


def test_judges_default_to_learners_and_can_be_set_apart(spec):
    assert judges(config("agents.names=[dqn, ppo]"), spec) == learners(config("agents.names=[dqn, ppo]"), spec)
    told = config("agents.names=[dqn]", "agents.judges=[sb3-ppo, a2c]", "agents.sb3_steps=9")
    assert learners(told, spec) == (("dqn", AGENTS["dqn"]),)
    assert judges(told, spec) == (("sb3-ppo", SB3Family("ppo", 9)), ("a2c", AGENTS["a2c"]))


def test_learner_named_twice_takes_two_turns_and_judges_once(spec):
    told = config("agents.names=[dqn, ppo, dqn]")
    assert [name for name, _ in learners(told, spec)] == ["dqn", "ppo", "dqn"]
    assert [name for name, _ in judges(told, spec)] == ["dqn", "ppo"]


@pytest.mark.parametrize(("judge", "steps"), [("sb3-a2c", 100), ("cross_entropy:CrossEntropyFamily", 5)])
def test_validation_agents_of_one_kind_differ(judge, steps, make_teacher, examples):
    task = make_task("Pendulum-v1")
    few = [f"agents.judges=['{judge}']", f"agents.sb3_steps={steps}", "agents.validation_seeds=3"]
    told = config("agents.names=[td3]", *few, task="Pendulum-v1")
    validation = Judge(told, task, Streams(0))(make_teacher(task, "bandit").model)
    lengths = {"inner/episode_length"}
    judged = {f"real/{judge}", f"real/{judge}_minimum", "cost/real_steps", "perf/cpu_seconds"}
    assert set(validation.metrics) == judged | lengths
    assert validation.score == validation.metrics[f"real/{judge}"] > validation.metrics[f"real/{judge}_minimum"]


def test_generations_alternate_between_agent_families(make_teacher, mine):
    task = make_task("CartPole-v1")
    told = config(f"agents.names=[dqn, '{mine}:Family']", "agents.judges=[dqn]")
    streams = Streams(0)
    teacher, judge = make_teacher(task, "bandit"), Judge(told, task, streams)
    job = EvolutionJob(told, task, teacher, streams, judge, lambda *_: None, told.stages[0])
    kinds = [type(job.episode(iteration, 0.0).agent).__name__ for iteration in range(4)]
    assert kinds == ["DQN", "Family", "DQN", "Family"]


@pytest.mark.parametrize("id", ["CartPole-v1", "Pendulum-v1"])
def test_cross_entropy_example_learns_greedy_policy(id, make_teacher, examples):
    task = make_task(id)
    ((_, family),) = families(("cross_entropy:CrossEntropyFamily",), task.spec, 5)
    teacher = make_teacher(task, "bandit")
    model = teacher.variants(torch.stack([teacher.theta(), teacher.theta() + 0.5]))
    seen = model.observe(model.initial(500, torch.Generator().manual_seed(1)))
    best = Greedy().train(model, torch.Generator()).act(seen)
    acted = family.usual(task.spec).train(model, torch.Generator().manual_seed(0)).act(seen)
    if task.spec.discrete:
        assert ((acted == best).float().mean(dim=1) > 0.8).all()
    else:
        assert ((acted - best).abs().mean(dim=(1, 2)) < 0.3 * best.abs().mean(dim=(1, 2))).all()


def test_agents_page_quotes_cross_entropy_example_verbatim(examples):
    code = (examples / "cross_entropy.py").read_text()
    assert f"```python\n{code}```" in (examples.parent / "docs" / "agents.md").read_text()
