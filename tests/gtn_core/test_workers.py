"""Jobs on several processes: their results come back, and what fails says what it is."""

import pytest

from gtn_core.errors import GTNError
from gtn_core.workers import run_jobs


def test_results_come_with_their_jobs():
    found = {}
    run_jobs(abs, [-1, 2, -3], 2, found.__setitem__)
    assert found == {-1: 1, 2: 2, -3: 3}


def test_a_result_that_cannot_be_pickled_is_told_as_that():
    with pytest.raises(GTNError, match=r"^job \d: its result cannot be sent back: TypeError: cannot pickle"):
        run_jobs(memoryview, [b"1", b"2"], 2, lambda job, result: None, lambda job: f"job {int(job)}")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_that_fails_is_named(workers):
    with pytest.raises(GTNError, match=r"^job no number: ValueError: invalid literal"):
        run_jobs(int, ["3", "no number"], workers, lambda job, result: None, lambda job: f"job {job}")


def test_what_a_job_prints_is_kept_from_standard_output(capfd):
    run_jobs(print, ["one\n", "two\n"], 2, lambda job, result: None)
    told = capfd.readouterr()
    assert told.out == ""
    assert set(told.err.split()) == {"one", "two"}
