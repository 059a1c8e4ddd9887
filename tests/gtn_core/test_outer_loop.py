"""The outer loop on a toy teacher that learns a point: budgets, best teacher, interrupts, divergence, resuming."""

import dataclasses
import itertools
import json
import signal
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gtn_core import outer_loop
from gtn_core.distributed import LostRankError
from gtn_core.errors import CheckpointError, DivergedError, GTNError, UsageError
from gtn_core.estimators import Backprop, Episode, EstimatorConfig, Teacher
from gtn_core.inner_optim import SGD
from gtn_core.inner_schedule import Schedule
from gtn_core.interrupts import InterruptedRun
from gtn_core.outer_config import OuterConfig
from gtn_core.outer_job import Validation
from gtn_core.outer_loop import OuterLoop
from gtn_core.run_folder import RunFolder
from gtn_core.seeding import Streams
from gtn_core.tracking import RunTracker
from gtn_core.training_state import saved_progress

GOAL = torch.tensor([1.0, -2.0])


class PointTeacher(Teacher):
    """Teaches a point: the learner's inner loss is its squared distance to it."""

    def __init__(self) -> None:
        super().__init__()
        self.point = nn.Parameter(torch.zeros(2))
        self.inner_schedule = Schedule(3, 0.1, 0.5)

    def batch(self, step):
        return (self.point,)

    def schedule(self):
        return self.inner_schedule()


class PointJob:
    """Fresh learners at random points; episode ``poison`` diverges, and episode ``interrupt`` raises SIGINT.

    Each validation judges two learners; judgement ``distract`` raises SIGINT.
    """

    def __init__(self, teacher, folder):
        self.teacher, self.folder, self.poison, self.interrupt = teacher, folder, None, None
        self.distract, self.judged = None, 0

    def episode(self, iteration, progress):
        if iteration == self.interrupt:
            signal.raise_signal(signal.SIGINT)
        phi = torch.randn(2, generator=Streams(0).torch("phi", iteration))
        bad = float("nan") if iteration == self.poison else 1.0

        def inner_loss(phi, batch):
            return ((phi - batch[0]) ** 2).sum(), ()

        def meta_loss(phi, statistics, step):
            return bad * ((phi - GOAL) ** 2).sum()

        return Episode(inner_loss, SGD(), phi, meta_loss, {3: 1.0})

    def validate(self, before_learner):
        for _ in range(2):
            before_learner()
            if self.judged == self.distract:
                signal.raise_signal(signal.SIGINT)
            self.judged += 1
        return Validation(-float((self.teacher.point.detach() - GOAL).norm()))

    def save_teacher(self, validation, iteration):
        (self.folder.path / "best").write_text(f"{iteration} {validation.score}")


class Unseen:
    """A tracker that records nothing."""

    def scalars(self, iteration, values):
        pass

    def picture(self, iteration, tag, picture):
        pass

    def flush(self, iteration):
        pass

    def close(self):
        pass


@pytest.fixture
def make(tmp_path):
    def build(name="run", tracker=None, **settings):
        folder = RunFolder(tmp_path / name)
        folder.state.parent.mkdir(parents=True, exist_ok=True)
        teacher = PointTeacher()
        job = PointJob(teacher, folder)
        config = OuterConfig(**{"iterations": 40, "lr": 0.1, "save_every": 0.0, **settings})
        return OuterLoop(teacher, job, Backprop(EstimatorConfig()), config, folder, tracker or Unseen())

    return build


def test_training_improves_score_and_saves_best_teacher(make):
    loop = make(iterations=200)
    validate, scores = loop.job.validate, []
    loop.job.validate = lambda *given: scores.append(validate(*given)) or scores[-1]
    progress = loop.run()
    assert progress.iteration == 200
    assert progress.best == max(validation.score for validation in scores)
    assert progress.best > -0.5 > PointJob(PointTeacher(), None).validate(lambda: None).score
    iteration, score = (loop.run_folder.path / "best").read_text().split()
    assert (int(iteration), float(score)) == (progress.best_iteration, progress.best)


def test_validations_are_evenly_spread_over_run(make):
    loop, seen = make(iterations=10, validations=5), []
    validate = loop.job.validate
    loop.job.validate = lambda *given: seen.append(loop.progress.iteration) or validate(*given)
    loop.run()
    assert seen == [0, 2, 4, 6, 8, 10]


def test_equal_validations_and_iterations_validate_every_step(make):
    loop = make(iterations=100, validations=100)
    validate, seen = loop.job.validate, []
    loop.job.validate = lambda *given: seen.append(loop.progress.iteration) or validate(*given)
    loop.run()
    assert seen == list(range(101))  # in floating point, 0.29 * 100 < 29 and 0.57 * 100 < 57


def test_budget_in_minutes_ends_run(make):
    loop = make(iterations=None, minutes=0.01)
    progress = loop.run()
    assert 0.6 <= progress.seconds < 10
    assert progress.iteration > 1


@pytest.mark.parametrize("budget", [{"iterations": None}, {"iterations": 3, "minutes": 1.0}])
def test_exactly_one_budget_is_required(make, budget):
    with pytest.raises(ValueError, match="either"):
        make(**budget)


@pytest.mark.parametrize("budget", [{"iterations": 4}, {"iterations": None, "minutes": 1.0}])
def test_learning_rate_follows_cosine(make, monkeypatch, budget):
    clock = itertools.count(step=15.0)  # an outer step takes 15 seconds
    monkeypatch.setattr(outer_loop, "time", SimpleNamespace(monotonic=lambda: next(clock), perf_counter=lambda: 0.0))
    loop, rates = make(final_lr=0.5, **budget), []
    loop.listener = lambda progress, share, values: rates.append(values["meta/lr"])
    loop.run()
    assert rates == pytest.approx([0.1, 0.1 * (0.75 + 0.25 * 0.5**0.5), 0.075, 0.1 * (0.75 - 0.25 * 0.5**0.5)])


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("adam", lambda parameters: torch.optim.Adam(parameters, lr=0.1, betas=(0.8, 0.9), eps=1e-3)),
        ("sgd", lambda parameters: torch.optim.SGD(parameters, lr=0.1)),
        ("rmsprop", lambda parameters: torch.optim.RMSprop(parameters, lr=0.1, alpha=0.9, eps=1e-3)),
    ],
)
def test_outer_steps_equal_torch_optim(make, name, reference):
    loop = make(iterations=3, optimizer=name, betas=(0.8, 0.9), eps=1e-3, final_lr=1.0)
    others = [nn.Parameter(parameter.detach().clone()) for parameter in loop.parameters]
    ours, theirs = loop.optimizer.step, reference(others)

    def step():
        for other, parameter in zip(others, loop.parameters, strict=True):
            other.grad = parameter.grad.clone()
        theirs.step()
        ours()

    loop.optimizer.step = step
    loop.run()
    assert loop.progress.iteration == 3
    torch.testing.assert_close(loop.parameters, others, rtol=1e-6, atol=0)


def test_parameter_groups_scale_learning_rate(make):
    loop = make(iterations=1)
    loop.teacher.parameter_groups = lambda: [(1.0, [loop.teacher.point]), (5.0, [loop.teacher.inner_schedule.log_lr])]
    loop = OuterLoop(loop.teacher, loop.job, loop.estimator, loop.settings, loop.run_folder, Unseen())
    loop.run()
    assert [group["lr"] for group in loop.optimizer.param_groups] == pytest.approx([0.1, 0.5])


@pytest.mark.parametrize("stops", [[7], [3, 11, 30]])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_interrupted_and_resumed_run_ends_bitwise_identical(make, stops, accumulate):
    whole = make("whole", accumulate=accumulate)
    whole.job.poison = 6
    whole.run()
    for stop in stops:
        part = make("parts", accumulate=accumulate)
        part.job.poison = 6
        if part.run_folder.state.is_file():
            part.resume()
        part.job.interrupt = stop * accumulate
        with pytest.raises(KeyboardInterrupt):
            part.run()
        assert saved_progress(part.run_folder).iteration == stop + 1  # the interrupted step was finished first
    last = make("parts", accumulate=accumulate)
    last.resume()
    last.run()
    for a, b in zip(whole.teacher.state_dict().values(), last.teacher.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert (whole.run_folder.path / "best").read_text() == (last.run_folder.path / "best").read_text()


@pytest.mark.parametrize("distract", [0, 2, 3, 5])
def test_interrupt_stops_validation_after_learner_and_resume_repeats_it_unless_whole(make, distract):
    settings = {"iterations": 4, "validations": 2, "save_every": 1e6}
    whole, part = make("whole", **settings), make("parts", **settings)
    whole.run()
    part.job.distract = distract
    with pytest.raises(InterruptedRun):
        part.run()
    assert part.job.judged == distract + 1
    assert saved_progress(part.run_folder).iteration == distract // 2 * 2
    last = make("parts", **settings)
    last.resume()
    last.run()
    assert last.job.judged == 6 - (distract + 1) // 2 * 2
    assert all(map(torch.equal, whole.teacher.state_dict().values(), last.teacher.state_dict().values()))
    assert (whole.run_folder.path / "best").read_text() == (last.run_folder.path / "best").read_text()


@pytest.mark.parametrize(("place", "step"), [("episode", 7), ("validate", 6)])
def test_sigterm_during_unfinished_step_saves_last_whole_step(make, place, step):
    whole, part = make("whole", iterations=8, validations=4), make("parts", iterations=8, validations=4, save_every=1e6)
    whole.run()
    work = getattr(part.job, place)

    def killed(*args):
        if part.progress.iteration == step:
            signal.raise_signal(signal.SIGTERM)
            raise SystemExit  # stands in for the SIGKILL that follows
        return work(*args)

    setattr(part.job, place, killed)
    with pytest.raises(SystemExit):
        part.run()
    assert saved_progress(part.run_folder).iteration == step
    last = make("parts", iterations=8, validations=4)
    last.resume()
    last.run()
    assert all(map(torch.equal, whole.teacher.state_dict().values(), last.teacher.state_dict().values()))
    assert last.progress.best == whole.progress.best


def test_second_interrupt_raises_immediately(make):
    loop = make()
    loop.listener = lambda progress, share, values: [signal.raise_signal(signal.SIGINT) for _ in range(2)]
    with pytest.raises(KeyboardInterrupt) as caught:
        loop.run()
    assert not isinstance(caught.value, InterruptedRun)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_sigterm_does_not_cut_short_save_after_lost_rank(make):
    loop = make()
    keeper = loop._keeper

    def end(whole=keeper.save):
        signal.raise_signal(signal.SIGTERM)  # from the launcher, which ends all processes when one has gone
        whole()

    def lose(progress, share, values):
        keeper.save = end
        raise LostRankError("connection closed")

    loop.listener = lose
    with pytest.raises(LostRankError):
        loop.run()
    assert saved_progress(loop.run_folder).iteration == 1


def test_interrupt_in_last_step_raises_after_save(make):
    loop = make(iterations=4)
    loop.job.interrupt = 3
    with pytest.raises(InterruptedRun):
        loop.run()
    assert saved_progress(loop.run_folder).iteration == 4


def test_sigterm_between_steps_saves_immediately(make):
    loop, saved = make(save_every=1000.0, validations=1), []

    def seen(progress, share, values):
        if progress.iteration == 3:
            signal.raise_signal(signal.SIGTERM)
            saved.append(saved_progress(loop.run_folder).iteration)

    loop.listener = seen
    with pytest.raises(InterruptedRun):
        loop.run()
    assert saved == [3]


def test_resume_repeats_validation_that_failed(make):
    whole, part = make("whole", iterations=4, validations=2), make("parts", iterations=4, validations=2)
    whole.run()
    validate = part.job.validate  # of which the last one fails, as if the process died there
    part.job.validate = lambda *given: validate(*given) if part.progress.iteration < 4 else 1 / 0
    with pytest.raises(ZeroDivisionError):
        part.run()
    part.save()  # the state right before that validation
    last = make("parts", iterations=4, validations=2)
    last.resume()
    last.run()
    assert last.progress.best == whole.progress.best
    assert last.progress.validated == whole.progress.validated


def test_resume_with_extended_budget_continues_validating(make):
    make(iterations=10, validations=5).run()
    longer, seen = make(iterations=40, validations=5), []
    longer.resume()
    validate = longer.job.validate
    longer.job.validate = lambda *given: seen.append(longer.progress.iteration) or validate(*given)
    longer.run()
    assert seen == [16, 24, 32, 40]


def test_zero_iterations_save_untrained_teacher(make):
    loop = make(iterations=0)
    assert loop.run().iteration == 0
    assert (loop.run_folder.path / "best").exists()


def test_divergence_error_names_step_and_keeps_last_good_state(make):
    loop = make(patience=1)
    loop.job.poison = 5
    with pytest.raises(DivergedError, match="outer step 5: the learner: the meta-loss after inner step 3 is nan"):
        loop.run()
    assert saved_progress(loop.run_folder).iteration == 5
    assert all(torch.isfinite(p).all() for p in loop.teacher.parameters())


def test_diverged_episode_is_left_out_and_counted(make):
    loop, seen = make(iterations=8), []
    loop.job.poison = 5
    loop.listener = lambda progress, share, values: seen.append((loop.teacher.point.detach().clone(), values))
    loop.run()
    assert [values["inner/diverged"] for _, values in seen] == [0, 0, 0, 0, 0, 1, 0, 0]
    assert "meta/loss" not in seen[5][1]
    assert torch.equal(seen[5][0], seen[4][0])
    assert not torch.equal(seen[6][0], seen[5][0])


def test_consecutive_divergences_end_run_across_resume(make):
    def poisoned(loop):
        whole = loop.job.episode

        def episode(iteration, progress):
            loop.job.poison = iteration if iteration >= 5 else None
            return whole(iteration, progress)

        loop.job.episode = episode
        return loop

    loop = poisoned(make(patience=3))
    with pytest.raises(DivergedError, match=r"outer step 7: the learner: .* is nan, as in the previous 2"):
        loop.run()
    assert saved_progress(loop.run_folder).iteration == 7
    again = poisoned(make(patience=5))
    again.resume()
    with pytest.raises(DivergedError, match="outer step 8"):  # the three before the resume count, too
        again.run()


def test_accumulated_gradient_is_mean_over_episodes(make):
    apart, together, seen = make("apart", iterations=4), make("together", iterations=1, accumulate=4), []
    apart.optimizer.step = lambda: seen.append(apart.teacher.point.grad.clone())
    together.optimizer.step = lambda: seen.append(together.teacher.point.grad.clone())
    apart.run(), together.run()
    torch.testing.assert_close(seen[-1], torch.stack(seen[:-1]).mean(dim=0))


def test_accumulation_leaves_out_diverged_episodes(make):
    loops, seen = [make("whole", iterations=1, accumulate=2), make("part", iterations=1, accumulate=3)], []
    loops[1].job.poison = 2
    for loop in loops:
        loop.listener = lambda progress, share, values: seen.append(values)
        loop.run()
    assert torch.equal(loops[0].teacher.point, loops[1].teacher.point)
    assert [values.pop("inner/diverged") for values in seen] == [0, 1]
    assert seen[0]["meta/loss"] == seen[1]["meta/loss"]


def test_nonfinite_gradient_raises_diverged_error(make):
    loop = make(patience=1)
    estimate = loop.estimator.estimate

    def poisoned(teacher, episode):
        result = estimate(teacher, episode)
        teacher.point.grad[0] = float("inf")
        return result

    loop.estimator.estimate = poisoned
    with pytest.raises(DivergedError, match="outer step 0: the meta-gradient or its norm is not finite"):
        loop.run()
    assert torch.equal(loop.teacher.point, torch.zeros(2))


@pytest.mark.parametrize("clip", [None, 1.0])
def test_overflowing_gradient_norm_raises_diverged_error(make, clip):
    loop = make(patience=1, clip=clip)
    estimate = loop.estimator.estimate

    def steep(teacher, episode):
        result = estimate(teacher, episode)
        teacher.point.grad.fill_(1e20)  # finite, but not its square
        return result

    loop.estimator.estimate = steep
    with pytest.raises(DivergedError, match="outer step 0: the meta-gradient or its norm is not finite"):
        loop.run()
    assert torch.equal(loop.teacher.point, torch.zeros(2))


def test_clipping_bounds_gradient_norm(make):
    seen = []
    loop = make(iterations=1, clip=1e-3)
    step = loop.optimizer.step
    loop.optimizer.step = lambda: seen.append([p.grad.clone() for p in loop.parameters]) or step()
    loop.run()
    assert torch.cat([g.flatten() for g in seen[0]]).norm() == pytest.approx(1e-3, rel=1e-3)


def test_resume_rejects_corrupt_state(make):
    loop = make()
    loop.run_folder.state.write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="truncated or not a safetensors file"):
        loop.resume()


def test_resumed_metrics_have_every_iteration_once(make, tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.state.parent.mkdir(parents=True)
    for stop in (4, None):
        after = saved_progress(folder).iteration if folder.state.is_file() else None
        tracker = RunTracker(folder, after=after)
        loop = make(tracker=tracker, iterations=8)
        if after:
            loop.resume()
        loop.job.interrupt = stop
        if stop:
            with pytest.raises(KeyboardInterrupt):
                loop.run()
            with folder.metrics.open("a") as file:  # what a killed process had logged after its last saved state
                file.write(json.dumps({"iteration": 6, "meta/loss": 0.0}) + '\n{"iteration": 7, "meta')
        else:
            loop.run()
        tracker.close()
    trained = [row["iteration"] for row in folder.metric_rows() if "meta/loss" in row]
    assert trained == list(range(1, 9))
    assert list(folder.tensorboard.glob("events.*"))


@pytest.mark.parametrize(
    "name", ["command.txt", "config.yaml", "metrics.jsonl", "report", "run.log", "stages.json", "teacher.safetensors"]
)
def test_new_run_rejects_folder_with_files_that_it_would_replace(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="choose another --out"):
        RunFolder(tmp_path).create()
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_new_run_keeps_other_files_of_folder(tmp_path):
    own, other = tmp_path / "state" / ".left.tmp", tmp_path / "another" / "state" / ".written.tmp"
    other.parent.mkdir(parents=True)
    (tmp_path / "notes.txt").write_text("mine")
    folder = RunFolder(tmp_path)
    folder.create()
    folder.remember_command("ours")
    for file in (own, other):
        file.write_text("half of it")
    folder.create()
    with folder.lock():
        folder.clear()
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (own.exists(), other.read_text()) == (False, "half of it")
    assert folder.remember_command("another") == "another"


def test_new_run_rejects_state_without_config(tmp_path):
    folder = RunFolder(tmp_path)
    folder.create()
    folder.state.write_bytes(b"something to lose")
    with pytest.raises(UsageError, match=r"already holds a run without its config\.yaml; choose another --out"):
        folder.create()


def test_run_folder_rejects_second_run_and_second_process(tmp_path):
    folder = RunFolder(tmp_path / "r")
    folder.create()
    folder.write_config(OuterConfig(iterations=1))
    folder.remember_command("the first")
    folder.create()  # allowed, since nothing was trained there
    with folder.lock():
        folder.clear()
    assert (folder.config.exists(), folder.remember_command("the second")) == (False, "the second")
    folder.write_config(OuterConfig(iterations=1))
    folder.state.write_bytes(b"something to lose")
    for begin in (folder.create, folder.clear):
        with pytest.raises(UsageError, match="already holds a run"):
            begin()
    with folder.lock(), pytest.raises(GTNError, match="another process"):
        folder.lock()
    folder.lock().close()
    with pytest.raises(UsageError, match="not a run folder"):
        RunFolder(tmp_path / "other").read_config()
    assert OuterConfig(**folder.read_config()) == dataclasses.replace(OuterConfig(iterations=1))
