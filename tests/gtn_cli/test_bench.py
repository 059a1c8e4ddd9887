"""``gtn-cli bench`` at a tiny size: the figures are complete and consistent. No time is asserted."""

import json

import pytest
from click.testing import CliRunner

from gtn_cli.commands.bench import _config
from gtn_cli.main import cli
from gtn_sl.learners.pool import has_one_shape

TINY = (
    "--task",
    "digits",
    "--learner",
    "base_fc:4,6,8",
    "--steps",
    "2",
    "--batch",
    "4",
    "--matrix",
    "16",
    "--copy-mib",
    "1",
)
"""Options of the smallest benchmark."""


def bench(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["bench", *TINY, *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_json_report_is_complete_and_consistent():
    report = json.loads(bench("--json"))
    assert {"machine", "torch", "device", "task", "preset", "learner", "steps", "batch"} <= set(report)
    assert [found["precision"] for found in report["precisions"]] == ["float32", "bfloat16"]
    for found in report["precisions"]:
        outer, plan = found["outer"], found["plan"]
        assert outer["work"]["flops"] > 0
        assert outer["flops_share"] == pytest.approx(
            outer["work"]["flops"] / outer["seconds"] / outer["ceilings"]["flops"]
        )
        assert outer["gap"] == pytest.approx(1 / max(outer["flops_share"], outer["bytes_share"]))
        assert plan["precision"] == found["precision"]
        times = [timed["seconds"] for timed in found["timed_plans"]]
        assert times == sorted(times)
        assert {(t["plan"]["layout"], t["plan"]["backend"]) for t in found["timed_plans"]} == {
            (layout, backend) for layout in ("contiguous", "channels_last") for backend in ("reverse", "forward")
        }
        methods = {method["method"]: method for method in found["methods"]}
        lean = ["ours, no graph kept"] if plan["keep_last_k"] else []
        assert list(methods) == ["ours", *lean, "autograd", "checkpoint", "higher", "torchopt"]
        assert found["ratios"]["ours"] == 1
        assert found["ratios"]["autograd"] == methods["autograd"]["seconds"] / methods["ours"]["seconds"]
        for name in ("higher", "torchopt"):
            assert methods[name]["seconds"] or methods[name]["note"] == f"not installed: pip install {name}"


def test_output_shows_chosen_plan_and_figures():
    shown = bench("--precision", "fp32")
    assert "chosen: " in shown
    assert "bf16" not in shown
    for word in ("an outer iteration", "arithmetic", "bytes", "gap", "autograd", "checkpoint"):
        assert word in shown


def test_unknown_learner_and_wrong_widths_are_rejected():
    for learner, message in (("baes_fc", "did you mean 'base_fc'"), ("base_fc:4", "takes 3 widths")):
        result = CliRunner().invoke(cli, ["bench", *TINY, "--learner", learner])
        assert message in str(result.exception)


def test_learner_with_range_of_depths_is_measured_at_one_depth():
    for learner, measured in (("mlp:4", "mlp:4,depth=2"), ("mlp:4,depth=1", "mlp:4,depth=1")):
        config = _config("digits", "fast", learner, 2, 4, "cpu")
        assert config.learner.architecture == measured
        assert has_one_shape(config.learner)
    assert json.loads(bench("--learner", "mlp:4", "--precision", "fp32", "--json"))["learner"] == "mlp:4,depth=2"


def test_learner_with_random_operations_is_refused():
    result = CliRunner().invoke(cli, ["bench", *TINY, "--learner", "sampled:8,depth=2"])
    assert "always the same function" in str(result.exception), result.output
