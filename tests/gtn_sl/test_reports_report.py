"""Tables and plots of evaluations with one or several learners."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from gtn_sl.evaluation import Evaluation
from gtn_sl.reports.report import accuracy_matrix, evaluation_table, result_table, write_evaluation_report


def evaluation(name, learner, final):
    return Evaluation(name, learner, np.array(final), [], np.array([[] for _ in final]), 0)


RESULTS = [
    evaluation("teacher", "lenet", [0.97, 0.99]),
    evaluation("real data", "lenet", [0.8, 0.8]),
    evaluation("teacher", "mlp", [0.5, 1.0]),
    dataclasses.replace(evaluation("real data", "mlp", [0.1, 0.7]), diverged=1, failure="nan"),
]


def test_accuracy_matrix_has_row_per_learner_column_per_stream():
    lenet, mlp, mean = accuracy_matrix(RESULTS)
    assert lenet == {"learner": "lenet", "teacher": "98.00±1.41", "minimum": "97.00", "real data": "80.00±0.00"}
    assert mlp == {
        "learner": "mlp",
        "teacher": "75.00±35.36",
        "minimum": "50.00",
        "real data": "40.00±42.43 (1 diverged)",
    }
    assert mean == {"learner": "mean of all", "teacher": "86.50", "minimum": "50.00", "real data": "60.00"}


def test_result_table_has_row_per_stream_for_one_learner():
    assert [row["trained on"] for row in result_table(RESULTS[:2])] == ["teacher", "real data"]
    assert [row["n"] for row in evaluation_table(RESULTS[2:])] == ["2", "2 (1 diverged)"]
    assert result_table(RESULTS) == accuracy_matrix(RESULTS)


@pytest.mark.parametrize("learners", [2, 16])
def test_report_plot_height_grows_with_learners(tmp_path, learners):
    chance = np.random.default_rng(0)
    results = [
        evaluation(stream, f"learner{i}:32,64,128", np.clip(centre + 0.02 * chance.standard_normal(20), 0, 1))
        for i in range(learners)
        for stream, centre in (("teacher", 0.97), ("untrained teacher", 0.1), ("random subset of 100 real images", 0.8))
    ]
    write_evaluation_report(tmp_path, results, "Digits", {"seed": 0})
    with Image.open(tmp_path / "learners.png") as picture:
        width, height = picture.size
    assert width < 1300
    assert 40 * learners < height < 60 * learners + 400
    assert not list(tmp_path.glob("accuracy-*.png"))  # no curves were taken
    assert "| learner | teacher | minimum |" in (tmp_path / "evaluation.md").read_text()


@pytest.mark.parametrize("earlier", [None, "{", "[]", '{"results": 3}', '{"results": [1]}', '{"results": [{}]}'])
def test_report_removes_no_picture_but_those_of_the_evaluation_it_replaces(tmp_path, earlier):
    curves = {"curve_steps": [1, 2], "curves": np.full((2, 2), 0.5), "curve_images": 10}
    results = [dataclasses.replace(result, **curves) for result in RESULTS]
    write_evaluation_report(tmp_path, results, "Digits", {})
    (tmp_path / "accuracy-of-mine.png").write_bytes(b"mine")
    if earlier is not None:
        (tmp_path / "evaluation.json").write_text(earlier)
    write_evaluation_report(tmp_path, results[2:], "Digits", {})
    left = {path.name for path in tmp_path.glob("*.png")}
    stale = set() if earlier is None else {"accuracy-lenet.png", "learners.png"}
    assert left == {"accuracy-mlp.png", "accuracy-of-mine.png", *stale}
