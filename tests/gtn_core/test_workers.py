"""Jobs on worker processes: their results, named failures, and redirected output."""

import pytest

from gtn_core.errors import GTNError
from gtn_core.workers import run_jobs


def test_results_are_passed_on_with_their_jobs():
    found = {}
    run_jobs(abs, [-1, 2, -3], 2, found.__setitem__)
    assert found == {-1: 1, 2: 2, -3: 3}


def test_unpicklable_result_raises_error_that_says_so():
    with pytest.raises(GTNError, match=r"^job \d: its result cannot be sent back: TypeError: cannot pickle"):
        run_jobs(memoryview, [b"1", b"2"], 2, lambda job, result: None, lambda job: f"job {int(job)}")


@pytest.mark.parametrize("workers", [1, 2])
def test_failed_job_is_named_in_error(workers):
    with pytest.raises(GTNError, match=r"^job no number: ValueError: invalid literal"):
        run_jobs(int, ["3", "no number"], workers, lambda job, result: None, lambda job: f"job {job}")


def test_output_of_jobs_goes_to_stderr(capfd):
    run_jobs(print, ["one\n", "two\n"], 2, lambda job, result: None)
    told = capfd.readouterr()
    assert told.out == ""
    assert set(told.err.split()) == {"one", "two"}
