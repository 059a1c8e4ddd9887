"""The scale-up benchmark at a tiny size: its JSON report and its plot. No time is asserted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "scale_up.py"


@pytest.mark.slow
def test_benchmark_writes_curves_and_plot(tmp_path: Path) -> None:
    axes = {"learners": "1,2", "side-by-side": "1,2", "steps": "1,2", "widths": "2,4", "population": "2,4"}
    options = [word for axis, values in axes.items() for word in (f"--{axis}", values)]
    files = ["--json", str(tmp_path / "curves.json"), "--png", str(tmp_path / "curves.png")]
    run = subprocess.run([sys.executable, str(SCRIPT), *options, *files], capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stderr
    curves = json.loads((tmp_path / "curves.json").read_text())
    assert [(curve["axis"], ",".join(curve["values"])) for curve in curves] == [
        ("learners", "1,2"),
        ("side by side", "1,2"),
        ("T", "1,2"),
        ("width", "2,4"),
        ("population", "2,4"),
    ]
    for curve in curves:
        first, last = (seconds / unit for seconds, unit in zip(curve["seconds"], curve["units"], strict=True))
        assert curve["growth"] == pytest.approx(last / first)
    widths = curves[3]
    assert widths["units"][0] < widths["units"][1]  # arithmetic, most of it the teacher's at such widths
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_non_numeric_option_is_rejected() -> None:
    run = subprocess.run([sys.executable, str(SCRIPT), "--steps", "1,x"], capture_output=True, text=True)
    assert run.returncode == 2
    assert "positive numbers such as 4,8,16, got '1,x'" in run.stderr
