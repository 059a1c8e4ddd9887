"""The environment benchmark at a tiny size: its report, errors and rules. No time is asserted."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from gtn_envs import save_environment

ROOT = Path(__file__).resolve().parents[2]
SHAPES = ("--shape", "relu//8", "--shape", "tanh/4,4/8/2")
TINY = (*SHAPES, "--size", "1", "--size", "3", "--windows", "2", "--seconds", "0.001")
SOLVE = ("--solve", "--algo", "dqn", "--algo", "a2c", "--seeds", "2", "--episodes", "2", "--limit", "270")


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"loaded_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


sys.path.insert(0, str(ROOT / "benchmarks"))
benchmark = load(ROOT / "benchmarks" / "env_throughput.py")
solving = sys.modules["_solving"]
environment = load(ROOT / "tests" / "gtn_envs" / "random_environments.py").environment


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "random.safetensors"
    save_environment(path, *environment(seed=3))
    return path


def test_report_has_ratios_consistent_with_rates_and_runs(file: Path, tmp_path: Path) -> None:
    report_file = tmp_path / "build" / "report.json"
    arguments = ["--env", str(file), "--torch", *TINY, *SOLVE, "--json", str(report_file)]
    run = CliRunner().invoke(benchmark.main, arguments, catch_exceptions=False)
    assert run.exit_code == 0, run.output
    assert "beside CartPole-v1" in run.output
    assert "real (CartPoleVectorEnv)" in run.output

    report = json.loads(report_file.read_text())
    assert report["task"] == "CartPole-v1"
    groups = report["throughput"]
    compared = [(group["kind"], group["num_envs"]) for group in groups]
    assert compared == [("gym.make", 1), ("make_vec", 1), ("make_vec", 3)]
    for group in groups:
        native = {"synthetic", "synthetic (torch)", "relu//8", "tanh/4,4/8/2"}
        assert set(group["ratios"]) == ({"synthetic"} if group["kind"] == "gym.make" else native)
        for name, ratio in group["ratios"].items():
            for which in ("best", "median"):
                assert ratio[which] == group["rates"][name][which] / group["rates"]["real"][which] > 0
        assert all(len(rate["windows"]) == 2 for rate in group["rates"].values())

    solve = report["solve"]
    for runs in solve["runs"].values():
        assert list(runs) == ["dqn", "a2c"]
        for agent in (agent for found in runs.values() for agent in found):
            assert agent["wall"] > 0
            assert agent["cpu"] > 0
            assert 270 <= agent["steps"] < 280
            assert agent["solved"] is False
    assert solve["solved"] == {"synthetic": False, "real": False}
    for key, ratio in solve["ratios"].items():
        assert ratio == solve["medians"]["real"][key] / solve["medians"]["synthetic"][key]
    assert set(solve["ratios"]) == {"wall", "cpu", "steps"}
    assert set(solve["by_algorithm"]) == {"dqn", "a2c"}
    assert solve["by_algorithm"][solve["fastest"]["real"]] > 0
    assert [goal["bound"] for goal in report["goals"]] == [0.5, 1.0, 5.0]
    for goal in report["goals"]:
        assert goal["verdict"] in ("met", "missed")
        assert f"{goal['figure']:.2f} (goal" in run.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--env", "CartPole-v1"], "not a synthetic environment"),
        (["--env", "nowhere.safetensors"], "environment file nowhere.safetensors does not exist"),
        (["--shape", "relu/16"], "'relu/16' is not activation/widths/widths"),
        (["--shape", "relu/wide/16"], "'relu/wide/16' is not activation/widths/widths"),
        (["--shape", "gelu/16/16"], "'gelu/16/16' is not activation/widths/widths"),
    ],
)
def test_invalid_options_are_rejected(arguments: list[str], message: str) -> None:
    run = CliRunner().invoke(benchmark.main, [*arguments, "--windows", "1", "--seconds", "0"])
    assert run.exit_code != 0
    assert message in run.output


def runs(*seconds: float, solved: int) -> list[dict[str, float]]:
    return [{"wall": wall, "solved": i < solved} for i, wall in enumerate(seconds)]


def test_fastest_algorithm_that_solves_task_represents_side() -> None:
    found = {"slow": runs(5, 6, 9, solved=3), "lucky": runs(1, 2, 2, solved=1), "fast": runs(4, 5, 8, solved=2)}
    assert solving.fastest_of(found) == "fast"
    assert solving.longest_of_fastest(found) == 8
    unsolved = {name: found[name] for name in ("lucky",)}
    assert solving.fastest_of(unsolved) == "lucky"
    assert solving.longest_of_fastest(unsolved) == solving.longest_of_fastest({}) == float("inf")


def test_numbers_of_steps_grow_geometrically_up_to_limit() -> None:
    stops = solving.numbers_of_steps(1000)
    assert stops == [250, 312, 390, 487, 608, 760, 950, 1000]
    assert solving.numbers_of_steps(100) == [100]
