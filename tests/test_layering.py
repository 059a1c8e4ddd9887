"""Which package may import which (CONTRIBUTING.md, "Layers"), read from the source and not from what gets loaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "gtn_core": ROOT / "gtn_core",
    "gtn_sl": ROOT / "gtn_sl",
    "gtn_rl": ROOT / "gtn_rl",
    "gtn_envs": ROOT / "envs" / "gtn_envs",
    "gtn_cli": ROOT / "cli" / "gtn_cli",
}
MAY_IMPORT = {
    "gtn_envs": set(),
    "gtn_core": set(),
    "gtn_sl": {"gtn_core", "gtn_envs"},
    "gtn_rl": {"gtn_core", "gtn_envs"},
    "gtn_cli": {"gtn_core", "gtn_sl", "gtn_rl", "gtn_envs"},
}
ENVS_TOP_LEVEL = {"numpy", "gymnasium", "safetensors"}
ENVS_IN_FUNCTIONS = ENVS_TOP_LEVEL | {"torch", "pygame"}
# May import Stable-Baselines3 at top level, to define a subclass; no other file of gtn_envs imports this one.
SB3_ADAPTER = "envs/gtn_envs/sb3.py"
VAGUE_NAMES = {"utils.py", "helpers.py", "common.py", "misc.py"}


def imports(tree: ast.AST, package: str, in_function: bool = False) -> Iterator[tuple[str, int, bool]]:
    """Yields (top-level module, line, inside a function?) of every import that runs, not those `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0], node.lineno, in_function
        elif isinstance(node, ast.ImportFrom):
            yield (package if node.level else str(node.module).split(".")[0]), node.lineno, in_function
        elif isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for branch in node.orelse:
                yield from imports(ast.Module([branch], []), package, in_function)
        else:
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, package, in_function or function)


def imports_of(package: str) -> Iterator[tuple[str, str, bool]]:
    for path in sorted(PACKAGES[package].rglob("*.py")):
        for module, line, in_function in imports(ast.parse(path.read_text(encoding="utf-8")), package):
            yield module, f"{path.relative_to(ROOT)}:{line}", in_function


@pytest.mark.parametrize("package", PACKAGES)
def test_package_imports_only_layers_below(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    wrong = [
        f"{place} imports {module}" for module, place, _ in imports_of(package) if module in set(PACKAGES) - allowed
    ]
    assert not wrong, f"{package} may import only {sorted(allowed)}: {wrong}"


def test_gtn_envs_imports_only_allowed_dependencies() -> None:
    wrong = []
    for module, place, in_function in imports_of("gtn_envs"):
        allowed = ENVS_IN_FUNCTIONS if in_function else ENVS_TOP_LEVEL
        if place.startswith(f"{SB3_ADAPTER}:"):
            allowed = allowed | {"stable_baselines3"}
        if module != "gtn_envs" and module not in sys.stdlib_module_names and module not in allowed:
            wrong.append(f"{place} imports {module}")
    assert not wrong, f"gtn_envs may import {sorted(ENVS_TOP_LEVEL)}, and torch and pygame inside functions: {wrong}"


def test_no_file_has_vague_name() -> None:
    roots = [*PACKAGES.values(), *(ROOT / name for name in ("tests", "benchmarks", "examples", ".ci"))]
    vague = [str(path.relative_to(ROOT)) for root in roots for path in root.rglob("*.py") if path.name in VAGUE_NAMES]
    assert not vague, f"a function lives with the idea that it serves: {vague}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch.nn as nn", [("torch", False)]),
        ("from gtn_core.errors import GTNError", [("gtn_core", False)]),
        ("from . import vector", [("gtn_envs", False)]),
        ("def f():\n    import torch", [("torch", True)]),
        ("class C:\n    import torch", [("torch", False)]),
        ("try:\n    import torch\nexcept ImportError:\n    pass", [("torch", False)]),
        ("if TYPE_CHECKING:\n    import torch\nelse:\n    import numpy", [("numpy", False)]),
    ],
)
def test_import_scan_finds_modules_and_their_scope(source: str, expected: list[tuple[str, bool]]) -> None:
    assert [(module, inside) for module, _, inside in imports(ast.parse(source), "gtn_envs")] == expected


def test_command_line_starts_without_importing_torch() -> None:
    program = "import sys, gtn_cli.main; sys.exit('torch was imported' if 'torch' in sys.modules else 0)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
