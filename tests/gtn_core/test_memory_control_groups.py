"""Memory that Linux control groups leave, read from imitated cgroup file trees."""

import pytest

from gtn_core.memory.control_groups import bytes_left


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"memory.{name}").write_text(f"{content}\n")


@pytest.fixture
def own(tmp_path):
    def named(text):
        (tmp_path / "own").write_text(text)
        return tmp_path / "own"

    return named


def test_cgroup_v2_reads_own_and_ancestor_limits(tmp_path, own):
    write(tmp_path / "a", max=1000, current=700, stat="anon 400\ninactive_file 100")
    write(tmp_path / "a" / "b", max="max", current=600, stat="anon 500")
    write(tmp_path / "a" / "b" / "c", max=800, current=600, stat="anon 600")
    assert bytes_left(tmp_path, own("0::/a/b/c\n")) == [200, 400]


def test_cgroup_v1_limit_is_read(tmp_path, own):
    limits = {"limit_in_bytes": 500, "usage_in_bytes": 300, "stat": "cache 90\ntotal_inactive_file 50"}
    write(tmp_path / "memory" / "job", **limits)
    assert bytes_left(tmp_path, own("5:cpu,cpuacct:/job\n4:memory:/job\n0::/\n")) == [250]


def test_container_limit_is_read_at_cgroup_root(tmp_path, own):
    write(tmp_path / "memory", limit_in_bytes=500, usage_in_bytes=100, stat="cache 0")
    assert bytes_left(tmp_path, own("4:memory:/docker/1234\n")) == [400]
    write(tmp_path, max=50, current=20, stat="anon 20")
    assert bytes_left(tmp_path, tmp_path / "missing") == [30]
