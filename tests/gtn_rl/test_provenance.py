"""Provenance in an environment's header, including that of the file that it started from."""

from gtn_rl.provenance import cost_of, stages_of

FIRST = {"stages": [{"name": "greedy", "kept": True}], "metrics": {"meta_real_steps": 100, "meta_cpu_seconds": 2.0}}
SECOND = {"stages": [{"name": "bilevel"}], "metrics": {"meta_real_steps": 10, "meta_cpu_seconds": 1.5}, "start": FIRST}


def test_stages_and_cost_include_those_of_start_file():
    assert [stage["name"] for stage in stages_of({**SECOND, "start": SECOND})] == ["greedy", "bilevel", "bilevel"]
    assert cost_of(FIRST) == {"real_steps": 100, "cpu_seconds": 2.0}
    assert cost_of({**SECOND, "start": SECOND}) == {"real_steps": 120, "cpu_seconds": 5.0}


def test_unknown_stages_and_costs_are_left_out():
    assert stages_of({"stages": ["by hand"]}) == [{"name": "by hand"}]
    assert stages_of({}) == []
    assert cost_of({}) == {}
    assert cost_of({"metrics": {"meta_real_steps": "many", "meta_cpu_seconds": 2.0}}) == {"cpu_seconds": 2.0}
    assert cost_of({"metrics": ["none"]}) == {}
    assert cost_of({**SECOND, "start": {"metrics": {"meta_real_steps": 5}}}) == {"real_steps": 15}
