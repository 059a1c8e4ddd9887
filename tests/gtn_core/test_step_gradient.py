"""Outer steps on several ranks: equal to one process, stopped together, and saved when a rank is lost."""

import os
import signal
import time

import pytest
import torch
from torch import nn

from gtn_core.checkpoint import load_checkpoint
from gtn_core.distributed import LostRankError, SingleProcess
from gtn_core.errors import DivergedError
from gtn_core.estimators import ESTIMATORS, Episode, EstimatorConfig, Teacher
from gtn_core.inner_optim import SGD
from gtn_core.inner_schedule import Schedule
from gtn_core.interrupts import InterruptedRun
from gtn_core.outer_config import OuterConfig
from gtn_core.outer_job import Validation
from gtn_core.outer_loop import OuterLoop
from gtn_core.run_folder import RunFolder
from gtn_core.seeding import Streams
from gtn_core.tracking import RunTracker, StandbyTracker
from gtn_core.training_state import saved_progress

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

GOAL = torch.linspace(-1, 1, 6, dtype=torch.float64)


class Points(Teacher):
    """Teaches a point per inner step, in double precision; one parameter gets no gradient."""

    def __init__(self):
        super().__init__()
        self.mixed = nn.Parameter(torch.randn(4, 6, generator=Streams(3).torch("teacher")))
        self.unused = nn.Parameter(torch.zeros(2))
        self.inner_schedule = Schedule(3, 0.1, 0.5)
        self.double()

    def batch(self, step):
        return (torch.tanh(torch.linspace(-1, step, 4, dtype=torch.float64) @ self.mixed),)

    def schedule(self):
        return self.inner_schedule()


class Job:
    """Fresh learners that differ by episode; one diverges if ``trouble(episode)``, which may raise signals, is true.

    A validation calls ``distraction``, which may raise signals, too.
    """

    def __init__(self, teacher, folder, trouble=None, distraction=lambda: None):
        self.teacher, self.folder, self.trouble, self.distraction = teacher, folder, trouble, distraction

    def episode(self, iteration, progress):
        bad = self.trouble(iteration) if self.trouble else None
        phi = torch.randn(6, generator=Streams(0).torch("phi", iteration), dtype=torch.float64)

        def inner_loss(phi, batch):
            return ((phi.sin() - batch[0]) ** 2).sum(), ()

        def meta_loss(phi, statistics, step):
            return ((phi - GOAL) ** 2).sum() * (float("nan") if bad else 1.0)

        return Episode(inner_loss, SGD(), phi, meta_loss, {3: 1.0}, {"cost/real_steps": 1.0})

    def validate(self, before_learner):
        self.distraction()
        before_learner()
        return Validation(-float((self.teacher.batch(1)[0].detach() - GOAL).norm()))

    def save_teacher(self, validation, iteration):
        (self.folder.path / "best").write_text(f"{iteration}")


def train(
    world,
    path,
    estimator="backprop",
    trouble=None,
    resume=False,
    unwritten=None,
    distraction=lambda: None,
    **settings,
):
    """Runs an outer loop; returns theta as a list, or the kind, message and outer step of what stopped it."""
    folder = RunFolder(path)
    if world.rank == 0:
        folder.state.parent.mkdir(parents=True, exist_ok=True)
    world.gather(None)
    held = folder.lock() if world.rank == 0 else None
    after = saved_progress(folder).iteration if resume else None
    tracker = RunTracker(folder, after=after) if world.rank == 0 else StandbyTracker(folder)
    if unwritten is not None and world.rank == 0:  # dies after all know the step's values, before it writes them
        write = tracker.scalars
        tracker.scalars = lambda step, values: (
            os.kill(os.getpid(), signal.SIGKILL) if step == unwritten else write(step, values)
        )
    teacher = Points()
    how = ESTIMATORS[estimator](EstimatorConfig(population=10, sigma=0.1, seed=2))
    config = OuterConfig(**{"iterations": 12, "lr": 0.05, "save_every": 1000.0, "validations": 2, **settings})
    loop = OuterLoop(teacher, Job(teacher, folder, trouble, distraction), how, config, folder, tracker, world=world)
    try:
        if resume:
            loop.resume()
        loop.run()
    except (InterruptedRun, DivergedError, LostRankError) as error:
        return type(error).__name__, str(error), loop.progress.iteration
    finally:
        tracker.close()
        if held:
            held.close()
    return teacher.theta().tolist()


def test_two_ranks_equal_one_that_accumulates_all_episodes(in_processes, tmp_path):
    settings = {"clip": 0.3}
    one = train(SingleProcess(), tmp_path / "one", accumulate=4, **settings)
    first, second = in_processes(2, _accumulating, tmp_path / "both", settings)
    assert first == second
    torch.testing.assert_close(torch.tensor(first), torch.tensor(one), rtol=1e-10, atol=1e-10)
    rows = [list(RunFolder(tmp_path / name).metric_rows()) for name in ("one", "both")]
    for a, b in zip(*rows, strict=True):
        assert a.keys() == b.keys()
        shared = [tag for tag in a if not tag.startswith("perf/")]
        assert [a[tag] for tag in shared] == pytest.approx([b[tag] for tag in shared], rel=1e-10)
    assert rows[1][1]["cost/real_steps"] == 4


def _accumulating(world, path, settings):
    return train(world, path, accumulate=2, **settings)


@pytest.mark.parametrize("estimator", ["snes", "openai-es"])
def test_evolution_is_identical_on_one_two_and_four_ranks(in_processes, tmp_path, estimator):
    alone = train(SingleProcess(), tmp_path / "1", estimator)
    for size in (2, 4):
        assert in_processes(size, train, tmp_path / str(size), estimator) == [alone] * size
    rows = [[row.get("meta/fitness") for row in RunFolder(tmp_path / name).metric_rows()] for name in "124"]
    assert rows[0] == rows[1] == rows[2]


def _stopped(world, path):
    def trouble(episode):
        if world.rank == 1 and episode >= 8:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)  # a launcher may send its own besides the user's

    return train(world, path, trouble=trouble)


def test_interrupt_on_one_rank_stops_all_and_saves_state(in_processes, tmp_path):
    assert in_processes(2, _stopped, tmp_path / "run") == [("InterruptedRun", "", 5)] * 2
    assert saved_progress(RunFolder(tmp_path / "run")).iteration == 5


def _stopped_at_once(world, path):
    return train(world, path, distraction=lambda: world.rank == 1 and signal.raise_signal(signal.SIGINT))


def test_interrupt_on_one_rank_stops_validation_of_all(in_processes, tmp_path):
    assert in_processes(2, _stopped_at_once, tmp_path / "run") == [("InterruptedRun", "", 0)] * 2
    state = RunFolder(tmp_path / "run")
    assert (saved_progress(state).iteration, saved_progress(state).validated) == (0, 0)


def _poisoned(world, path, episodes, patience):
    return train(world, path, trouble=lambda episode: episode in episodes, patience=patience)


def test_divergence_on_one_rank_is_left_out_and_on_all_ends_run(in_processes, tmp_path):
    first, second = in_processes(2, _poisoned, tmp_path / "one", [3, 4], 1)
    assert first == second
    rows = [row for row in RunFolder(tmp_path / "one").metric_rows() if "meta/loss" in row]
    assert [row["inner/diverged"] for row in rows[:4]] == [0, 1, 1, 0]
    ended = in_processes(2, _poisoned, tmp_path / "all", [6, 7], 1)
    assert ended[0] == ended[1]
    assert ended[0][0] == "DivergedError"
    assert ended[0][1].startswith("outer step 3: the learner: the meta-loss after inner step 3 is nan")
    assert saved_progress(RunFolder(tmp_path / "all")).iteration == 3


def _killed(world, path, rank, estimator, resume):
    own_number = 10 if estimator == "backprop" else 5

    def trouble(episode):
        if world.rank == rank and episode >= own_number:
            os.kill(os.getpid(), signal.SIGKILL)

    return train(world, path, estimator, trouble=trouble, resume=resume)


@pytest.mark.parametrize(("rank", "estimator"), [(0, "backprop"), (1, "backprop"), (1, "snes")])
def test_killed_rank_ends_run_that_one_process_resumes(in_processes, tmp_path, rank, estimator):
    path, began = tmp_path / "run", time.monotonic()
    results = in_processes(2, _killed, path, rank, estimator, False)
    assert time.monotonic() - began < 60
    assert results[rank] is None
    kind, message, iteration = results[1 - rank]
    assert (kind, iteration) == ("LostRankError", 5)
    assert "another process of this run has ended" in message
    assert saved_progress(RunFolder(path)).iteration == 5  # only the step in progress is lost, whichever rank died
    if rank == 0:
        return
    resumed = train(SingleProcess(), path, estimator, resume=True)
    assert saved_progress(RunFolder(path)).iteration == 12
    if estimator == "snes":  # the result does not depend on the number of ranks
        assert resumed == train(SingleProcess(), tmp_path / "whole", estimator)


def _unwritten(world, path, step):
    return train(world, path, unwritten=step, iterations=6, validations=6)


def test_surviving_rank_writes_rows_that_rank_zero_did_not(in_processes, tmp_path):
    path, whole = tmp_path / "run", tmp_path / "whole"
    lost, left = in_processes(2, _unwritten, path, 4)
    assert lost is None
    assert left[0] == "LostRankError"
    in_processes(2, _unwritten, whole, None)
    assert saved_progress(RunFolder(path)).iteration == 4
    rows, wanted = ([clean(row) for row in RunFolder(p).metric_rows()] for p in (path, whole))
    assert rows == wanted[: len(rows)]
    assert [row["iteration"] for row in rows if "meta/loss" in row] == [1, 2, 3, 4]


def clean(row):
    return {tag: value for tag, value in row.items() if not tag.startswith("perf/")}


def test_resume_with_fewer_ranks_repeats_no_episode(in_processes, tmp_path):
    path = tmp_path / "run"
    in_processes(2, _numbered, path, 3, False)
    seen: list[int] = []
    assert _numbered(SingleProcess(), path, 6, True, seen)
    assert seen == [6, 7, 8]
    _, document = load_checkpoint(RunFolder(path).state, "training-state")
    assert document["progress"]["episodes"] == 9


def _numbered(world, path, iterations, resume, seen=None):
    return train(world, path, trouble=(seen.append if seen is not None else None), resume=resume, iterations=iterations)
