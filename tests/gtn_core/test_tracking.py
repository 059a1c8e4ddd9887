"""Curves of a run with stages: one metrics file with consecutive outer steps, and one TensorBoard run per stage."""

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gtn_core.run_folder import RunFolder
from gtn_core.tracking import RunTracker, Stage

FIRST, SECOND = Stage("1-greedy", 0), Stage("2-bilevel", 2)


def track(folder, stage, iterations, value, after=None):
    tracker = RunTracker(folder, after=after, stage=stage)
    for iteration in iterations:
        tracker.scalars(iteration, {"meta/fitness": value})
    tracker.close()


def test_stages_continue_step_count_and_drop_only_own_rows(tmp_path):
    folder = RunFolder(tmp_path)
    track(folder, FIRST, (1, 2), 1.0)
    track(folder, SECOND, (0, 1, 2), 2.0)
    track(folder, SECOND, (2, 3), 3.0, after=1)  # resumed after its first step
    rows = [(row["iteration"], row["stage"], row["meta/fitness"]) for row in folder.metric_rows()]
    assert rows == [
        *((1, "1-greedy", 1.0), (2, "1-greedy", 1.0)),
        *((2, "2-bilevel", 2.0), (3, "2-bilevel", 2.0), (4, "2-bilevel", 3.0), (5, "2-bilevel", 3.0)),
    ]
    track(folder, SECOND, (0,), 4.0)  # starts over
    assert [row["iteration"] for row in folder.metric_rows()] == [1, 2, 2]


def test_each_stage_is_a_tensorboard_run(tmp_path):
    folder = RunFolder(tmp_path)
    for stage in (FIRST, SECOND):
        track(folder, stage, (1, 2), 1.0)
    assert {path.name for path in folder.tensorboard.iterdir()} == {"1-greedy", "2-bilevel"}
    events = EventAccumulator(str(folder.tensorboard / "2-bilevel"))
    events.Reload()
    assert [event.step for event in events.Scalars("meta/fitness")] == [3, 4]
