"""What a header says of how it was made, the file that it started from included."""

from gtn_rl.provenance import cost_of, stages_of

FIRST = {"stages": [{"name": "greedy", "kept": True}], "metrics": {"meta_real_steps": 100, "meta_cpu_seconds": 2.0}}
SECOND = {"stages": [{"name": "bilevel"}], "metrics": {"meta_real_steps": 10, "meta_cpu_seconds": 1.5}, "start": FIRST}


def test_what_came_before_counts():
    assert [stage["name"] for stage in stages_of({**SECOND, "start": SECOND})] == ["greedy", "bilevel", "bilevel"]
    assert cost_of(FIRST) == {"real_steps": 100, "cpu_seconds": 2.0}
    assert cost_of({**SECOND, "start": SECOND}) == {"real_steps": 120, "cpu_seconds": 5.0}


def test_what_is_not_known_is_absent():
    assert stages_of({"stages": ["by hand"]}) == [{"name": "by hand"}]
    assert stages_of({}) == []
    assert cost_of({}) == {}
    assert cost_of({"metrics": {"meta_real_steps": "many", "meta_cpu_seconds": 2.0}}) == {"cpu_seconds": 2.0}
    assert cost_of({"metrics": ["none"]}) == {}
    assert cost_of({**SECOND, "start": {"metrics": {"meta_real_steps": 5}}}) == {"real_steps": 15}
