"""The Python programs of the documentation run: each in an interpreter of its own, in its page's temporary folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = ("README.md", "docs/environments.md", "docs/python.md", "docs/train-agent.md")
NOT_RUN = {
    "docs/agents.md": "a protocol, and an example that tests/gtn_rl/test_agents_named.py runs",
    "docs/data-streams.md": "needs MNIST, a window, and minutes of training",
    "docs/own-images.md": "dots in place of arrays",
    "docs/reproducing.md": "minutes of meta-training; tests/contracts/test_claims.py re-tests every claim",
    "docs/using-teachers.md": "an example that tests/gtn_sl/test_dataset.py runs, and Lightning, which is no dependency",
    "examples/thermostat/README.md": "needs a run; tests/test_own_task.py does the same",
}
AT_ONCE = ", ".join(  # no trials of plans, no start at real images, few steps, one judge
    (
        '"compute": {"plan": {"keep_last_k": 2}}, "teacher": {"warm_start": 0}, "inner": {"steps": 4}',
        '"validation": {"learners": 1, "architectures": ["base_fc:8,8,16"]}',
    )
)
SHORTER = (
    ("learn(10_000)", "learn(600)"),
    ("steps=10_000", "steps=600"),
    ("steps=3_000", "steps=600"),
    ("steps=(1000, 3000)", "steps=(100, 200)"),
    ("num_envs=4096", "num_envs=64"),
    ('["base_fc"], count=3', '["base_fc:8,8,16"], count=1'),
    ('"iterations": 20, "validations": 2}', f'"iterations": 2, "validations": 1}}, {AT_ONCE}'),
    ("iterations=30", "iterations=3"),
)
"""What a program shows, and what it is run with, so that it takes seconds."""
BEFORE = {
    "docs/environments.md": ("export-dataset digits --out mine.safetensors",),
    "docs/train-agent.md": (
        "train-agent --steps 600 --no-eval --env GTN-CartPole-v0 --save agent.zip",
        "train-agent --steps 600 --no-eval --env GTN-MountainCarBandit-v0 --config tuned --save car.zip",
    ),
}
"""Commands that write what the programs of a page read."""


def run(folder, arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{arguments[-1]}\n{done.stderr}"


def shown(page):
    """Returns the programs of a page."""
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


def shortened(program):
    for long, short in SHORTER:
        program = program.replace(long, short)
    return program


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_programs_of_page_run_in_order(page, tmp_path):
    for command in BEFORE.get(page, ()):
        run(tmp_path, ["-m", "gtn_cli.main", *command.split()])
    for program in shown(page):
        run(tmp_path, ["-c", shortened(program)])


def test_every_page_with_programs_is_run_or_listed():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")]
    with_programs = {str(page.relative_to(ROOT)) for page in pages if shown(page)}
    assert with_programs == {*PAGES, *NOT_RUN}


def test_every_abbreviation_applies_to_a_program():
    programs = "\n".join(program for page in PAGES for program in shown(page))
    assert [long for long, _ in SHORTER if long not in programs] == []
