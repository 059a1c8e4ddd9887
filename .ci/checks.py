"""Checks of `.ci/run` that no test can make: how the command line starts, and that the data tests really ran."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

IMPORT_LIMIT = 0.5  # seconds
REPEATS = 5  # the best of them counts: the machine may be busy with other work
SKIP_REASON = "needs data"

TIMED_IMPORT = """
import sys, time
start = time.perf_counter()
import gtn_cli.main
print(time.perf_counter() - start)
sys.exit("importing gtn_cli.main imported torch" if "torch" in sys.modules else 0)
"""


def check_start() -> list[str]:
    """Returns what is wrong with ``gtn-cli --help`` and with the import behind it."""
    runs = [
        subprocess.run([sys.executable, "-c", TIMED_IMPORT], capture_output=True, text=True) for _ in range(REPEATS)
    ]
    broken = next((run for run in runs if run.returncode), None)
    if broken is not None:
        return [broken.stderr.strip()]
    best = min(float(run.stdout) for run in runs)
    print(f"import gtn_cli.main: {best:.3f} s (best of {REPEATS}, limit {IMPORT_LIMIT} s)")
    problems = [] if best < IMPORT_LIMIT else [f"importing gtn_cli.main took {best:.3f} s, limit {IMPORT_LIMIT} s"]

    script = Path(sys.executable).with_name("gtn-cli")
    command = [sys.executable, "-X", "importtime", str(script), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True)
    if shown.returncode or not shown.stdout.strip():
        problems.append(f"gtn-cli --help exited with {shown.returncode}: {shown.stderr.strip()[-500:]}")
    # A line of importtime reads `import time: self | cumulative | name`.
    if any(line.rpartition("|")[2].strip() == "torch" for line in shown.stderr.splitlines()):
        problems.append("gtn-cli --help imported torch")
    return problems


def check_data(junit: Path) -> list[str]:
    """Returns what is wrong with the tests marked ``needs_data``, as reported in a junit file.

    Args:
        junit: The report of a run of every test with GTN_DATA_DIR set.
    """
    if not junit.is_file():
        return [f"{junit} is missing: the tests did not finish"]
    cases = {(case.get("classname"), case.get("name")): case for case in ElementTree.parse(junit).iter("testcase")}
    wanted = _data_tests()
    not_passed = {key: _outcome(cases.get(key)) for key in wanted if _outcome(cases.get(key)) != "passed"}
    problems = [f"{where}::{name} {outcome}" for (where, name), outcome in not_passed.items()]
    for (where, name), case in cases.items():
        skipped = case.find("skipped")
        reason = "" if skipped is None else skipped.get("message", "")
        if SKIP_REASON in reason.lower() and (where, name) not in not_passed:
            problems.append(f"{where}::{name} was skipped: {reason}")
    if len(wanted) == len(not_passed):
        problems.append("no test marked needs_data passed")
    print(f"{len(wanted) - len(not_passed)} of {len(wanted)} tests marked needs_data passed")
    return problems


def _data_tests() -> list[tuple[str, str]]:
    """Returns the junit (classname, name) of every test marked needs_data; junit itself holds no markers."""
    # -qq would print counts alone; one -q prints one node id a line.
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "needs_data", "-p", "no:cacheprovider"]
    listing = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    nodes = [
        line for line in listing.stdout.splitlines() if ".py::" in line and not line.startswith(("ERROR", "FAILED"))
    ]
    return [_junit_key(node) for node in nodes]


def _junit_key(node: str) -> tuple[str, str]:
    """Returns what junit makes of ``tests/a/test_b.py::TestC::test_d[x]``: (tests.a.test_b.TestC, test_d[x])."""
    path, bracket, parameters = node.partition("[")
    file, *names = path.split("::")
    return ".".join([file.removesuffix(".py").replace("/", "."), *names[:-1]]), names[-1] + bracket + parameters


def _outcome(case: ElementTree.Element | None) -> str:
    if case is None:
        return "did not run"
    found = next((tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None), None)
    return {None: "passed", "failure": "failed", "error": "failed", "skipped": "was skipped"}[found]


def main() -> int:
    """Runs one check; returns 1, with one line per problem on stderr, when something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    checks = parser.add_subparsers(dest="check", required=True)
    checks.add_parser("start", help="gtn-cli --help is quick and does without torch")
    checks.add_parser("data", help="no data test was skipped").add_argument("junit", type=Path)
    options = parser.parse_args()
    problems = check_start() if options.check == "start" else check_data(options.junit)
    for problem in problems:
        print(problem, file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
