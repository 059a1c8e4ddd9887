"""The meta-gradient benchmark at a tiny size: its report and errors; methods agree in float64. No time is asserted."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "meta_gradient.py"
ALWAYS = {"ours k=0 reverse", "ours k=0 forward", "ours k=T", "autograd", "checkpoint"}
PEERS = {"higher", "torchopt"}
TINY = ("--layout", "channels_last", "--learners", "narrow", "--batch", "4", "--repeats", "1", "--seconds", "0")


def benchmark(*arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=timeout, env=os.environ
    )


@pytest.mark.slow
@pytest.mark.parametrize(("form", "steps", "precision"), [("plain", "1,2", "fp32"), ("folded", "2", "bf16")])
def test_benchmark_reports_and_methods_agree_in_float64(form: str, steps: str, precision: str, tmp_path: Path) -> None:
    report_file = tmp_path / "report.json"
    options = ("--learner-form", form, "--steps", steps, "--precision", precision, "--json", str(report_file))
    run = benchmark(*TINY, *options)
    assert run.returncode == 0, run.stderr
    report = json.loads(report_file.read_text())
    assert set(report) == {"machine", "settings", "agreement", "results", "goals"}
    assert {"cpu", "cores", "bf16_units", "torch", "threads", *PEERS} <= set(report["machine"])

    present = {peer for peer in PEERS if importlib.util.find_spec(peer)}
    for peer in PEERS - present:
        assert f"{peer}: not installed: pip install .[bench]" in run.stdout
    assert set(report["agreement"]) == ALWAYS | present
    for method, parts in report["agreement"].items():
        assert set(parts) == {"x", "y", "lr", "momentum", "phi"}
        assert max(parts.values()) < 1e-10, f"{method} differs from plain autograd: {parts}"

    assert len(report["results"]) == len(steps.split(",")) * len(ALWAYS | present)
    for result in report["results"]:
        assert not result["error"], result
        assert result["seconds"] > 0
        assert result["seconds_per_step"] == result["seconds"] / result["steps"]
        assert result["peak_mb"] >= 0
    assert all({"text", "bound", "figures", "verdict"} <= set(goal) for goal in report["goals"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("--steps", "0"), "positive numbers"), (("--learners", "tiny"), "'tiny' not among narrow, wide")],
)
def test_invalid_options_are_rejected(arguments: tuple[str, ...], message: str) -> None:
    run = benchmark(*arguments)
    assert run.returncode == 2
    assert message in run.stderr
