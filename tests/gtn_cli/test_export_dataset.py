"""``gtn-cli export-dataset``, and other commands on the data stream that it writes."""

import numpy as np
import pytest

from gtn_cli.commands.export_dataset import FORMATS
from gtn_envs import load_stream


def test_formats_match_registry():
    from gtn_sl.export import EXPORTERS

    assert set(EXPORTERS) == set(FORMATS)


@pytest.fixture(scope="module")
def stream_file(trained, tmp_path_factory):
    """Data stream of the small run."""
    from gtn_cli.main import main

    path = tmp_path_factory.mktemp("streams") / "small.safetensors"
    with pytest.raises(SystemExit) as caught:
        main(["export-dataset", str(trained), "--out", str(path), "--quiet"])
    assert caught.value.code == 0
    return path


def test_stream_is_exported_by_default(call, trained, tmp_path):
    outcome = call("export-dataset", trained, "--out", tmp_path / "d.safetensors")
    assert outcome.code == 0, outcome.err
    assert "80 images of digits in 4 batches of 20" in outcome.out
    assert "written as an environment; for the images and labels alone: --format safetensors" in outcome.out
    assert "next: gtn-cli train-agent --env" in outcome.out
    assert len(load_stream(tmp_path / "d.safetensors")) == 80
    chosen = call("export-dataset", trained, "--format", "stream", "--out", tmp_path / "d.safetensors")
    assert "written as" not in chosen.out


def test_export_takes_other_numbers_of_steps(call, trained, tmp_path):
    outcome = call("export-dataset", trained, "--steps", 6, "--out", tmp_path / "d.safetensors", "--json")
    assert (outcome.json["steps"], outcome.json["images"]) == (6, 120)
    images = load_stream(tmp_path / "d.safetensors").images
    np.testing.assert_array_equal(images[4:], images[:2])  # the table starts over


def test_npz_format_is_inferred_from_suffix(call, trained, tmp_path):
    assert call("export-dataset", trained, "--out", tmp_path / "d.npz", "--json").json["format"] == "npz"
    with np.load(tmp_path / "d.npz") as arrays:
        assert arrays["images"].shape == (80, 8, 8, 1)


@pytest.mark.parametrize("format", [format for format in FORMATS if format != "stream"])
def test_other_formats_are_exported(call, trained, tmp_path, format):
    out = tmp_path / "new" / {"png": "d"}.get(format, f"d.{format}")
    outcome = call("export-dataset", trained / "teacher.safetensors", "--format", format, "--out", out, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json == {
        **{"file": str(out), "format": format, "task": "digits"},
        **{"images": 80, "steps": 4, "batch_size": 20, "seed": 0},
    }
    assert out.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["absent.safetensors", "--out", "d.safetensors"], 1, "file absent.safetensors does not exist"),
        (["RUN", "--out", "d.zip"], 2, "format stream must be a file named <name>.safetensors, not d.zip"),
        (["RUN", "--format", "npz", "--out", "d.safetensors"], 2, "format npz must be a file named <name>.npz"),
        (["RUN", "--format", "png", "--out", "RUN"], 2, "a folder of images must be new or empty"),
        (["RUN", "--format", "jpeg", "--out", "d"], 2, "'jpeg' is not one of"),
        (["RUN", "--out", "/dev/null/d.safetensors"], 2, "cannot write /dev/null/d.safetensors"),
        (["STREAM", "--out", "d.safetensors"], 1, "holds a stream, not a 'teacher'"),
    ],
)
def test_wrong_usage_is_rejected_and_writes_nothing(
    call, trained, stream_file, tmp_path, monkeypatch, arguments, code, words
):
    monkeypatch.chdir(tmp_path)
    named = {"RUN": trained, "STREAM": stream_file}
    outcome = call("export-dataset", *(named.get(argument, argument) for argument in arguments))
    assert (outcome.code, "Traceback" in outcome.err) == (code, False)
    assert words in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_agent_trains_in_stream_and_is_tested_on_real_images(call, stream_file, tmp_path):
    command = ["train-agent", "--env", stream_file, "--config", "tuned", "--steps", 64, "--set", "n_epochs=1"]
    command += ["--set", "n_steps=1", "--set", "batch_size=64", "--video", tmp_path / "a.gif"]
    outcome = call(*command, "--save", tmp_path / "a", "--json")
    assert outcome.code == 0, outcome.err
    result = outcome.json
    assert (result["real_task"], result["measure"], result["images"]) == ("GTN-Digits-Real-v0", "accuracy", 597)
    assert 0 <= result["deterministic"]["mean"] <= 1
    assert (result["threshold"], result["solved"], result["steps"]) == (None, None, 64)

    from PIL import Image
    from stable_baselines3 import PPO

    with Image.open(tmp_path / "a.gif") as film:
        assert film.n_frames > 30
    assert PPO.load(tmp_path / "a.zip").gamma == 0.0
    outcome = call(*command[:-2])
    assert "real accuracy of ppo on GTN-Digits-Real-v0, 597 test images" in " ".join(outcome.out.split())
    assert "%" in outcome.out


def test_inspect_describes_stream_and_draws_batches(call, stream_file, tmp_path):
    outcome = call("inspect", stream_file, "--out", tmp_path, "--json")
    assert (outcome.json["images"], outcome.json["order"], outcome.json["image"]) == (80, "given", [8, 8, 1])
    assert (tmp_path / "batches.png").is_file()
    shipped = call("inspect", "GTN-Digits-v0")
    assert shipped.code == 0
    assert "picture" not in shipped.out
    assert "latent" in shipped.out
    assert call("inspect", "GTN-Absent-v0").err.startswith("error: unknown shipped environment 'GTN-Absent-v0'")


def test_evaluate_rejects_data_stream(call, stream_file):
    outcome = call("evaluate", stream_file)
    assert outcome.code == 1
    assert "holds a stream, not a 'teacher'; train agents in it with" in outcome.err
