"""The public interface: the packages that docs/python.md lists, their ``__all__``, and what the documentation imports."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
INTERFACE = ROOT / "docs" / "python.md"
EXAMPLES = ROOT / "examples"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(EXAMPLES.rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
OURS = ("gtn_core", "gtn_sl", "gtn_rl", "gtn_envs", "gtn_cli")
LAZY = ("gtn_core", "gtn_sl", "gtn_sl.nas", "gtn_rl")


def public_packages() -> list[str]:
    """Returns the packages in the first table of docs/python.md, the one place where they are listed."""
    listed = INTERFACE.read_text(encoding="utf-8").split("\n## ")[0]
    return [
        name for row in re.findall(r"^\| (`gtn_.*?) \|", listed, re.MULTILINE) for name in re.findall("`(.*?)`", row)
    ]


def shown_programs() -> Iterator[tuple[str, str]]:
    """Yields place and text of every Python program that users are shown."""
    for page in PAGES:
        for number, block in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")), start=1):
            yield f"{page.relative_to(ROOT)}, block {number}", block
    for example in sorted(EXAMPLES.rglob("*.py")):
        yield str(example.relative_to(ROOT)), example.read_text(encoding="utf-8")


def used_names(program: str) -> Iterator[tuple[str, str]]:
    """Yields each use of our packages in a program: the module, and the name in it or "" where only it is imported."""
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in OURS:
                    yield alias.name, ""
        elif isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in OURS:
            for alias in node.names:
                yield str(node.module), alias.name
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in OURS:
            yield ast.unparse(node.value), node.attr


def test_packages_are_listed_in_documentation():
    assert set(LAZY) | {"gtn_envs", "gtn_envs.sb3"} == set(public_packages())


@pytest.mark.parametrize("package", public_packages())
def test_every_public_name_exists_and_is_documented(package):
    module, page = importlib.import_module(package), INTERFACE.read_text(encoding="utf-8")
    assert len(module.__all__) == len(set(module.__all__))
    missing = [name for name in module.__all__ if not hasattr(module, name) or name not in dir(module)]
    assert missing == []
    assert [name for name in module.__all__ if not re.search(rf"\b{name}\b", page)] == []


@pytest.mark.parametrize("package", LAZY)
def test_lazy_names_are_those_of_all(package):
    module = importlib.import_module(package)
    assert set(module.__all__) == set(module._HOMES)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = module.no_such_name


def test_programs_shown_to_users_use_public_names_only():
    public, private = public_packages(), []
    for place, program in shown_programs():
        for module, name in used_names(program):
            exported = module in public and (not name or name in importlib.import_module(module).__all__)
            if not exported and f"{module}.{name}" not in public:
                private.append(f"{place}: {module} {name}".rstrip())
    assert private == []


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("import gtn_sl, numpy\ngtn_sl.load_task('digits').test", [("gtn_sl", ""), ("gtn_sl", "load_task")]),
        ("from gtn_rl.training import meta_train as train", [("gtn_rl.training", "meta_train")]),
        ("def f():\n    import gtn_sl.nas", [("gtn_sl.nas", "")]),
    ],
)
def test_used_names_are_found(program, expected):
    assert list(used_names(program)) == expected


def test_importing_packages_does_not_import_torch():
    names = ", ".join(LAZY)
    program = f"import sys, {names}, gtn_sl.shipped; sys.exit('torch was imported' if 'torch' in sys.modules else 0)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
