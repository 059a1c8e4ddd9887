"""The wheel: it holds exactly the files of the source tree, with the documented metadata."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
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
SHIPPED = {".py", ".typed", ".yaml", ".json", ".safetensors"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # Built from a copy: setuptools leaves build/ in the checkout, and stale files there would get into the next wheel.
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    for folder in PACKAGES.values():
        shutil.copytree(folder, source / folder.relative_to(ROOT), ignore=shutil.ignore_patterns("__pycache__"))
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(target)]
    run = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, str(source)], cwd=source, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return next(target.glob("*.whl"))


def metadata(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(next(n for n in archive.namelist() if n.endswith(f".dist-info/{name}"))).decode()


def test_wheel_holds_exactly_files_of_source_tree(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    tree = {
        f"{package}/{path.relative_to(folder).as_posix()}"
        for package, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.suffix in SHIPPED
    }
    assert shipped == tree, f"missing: {sorted(tree - shipped)}; too many: {sorted(shipped - tree)}"


def test_wheel_metadata_has_name_extras_and_console_script(wheel: Path) -> None:
    message: Message = Parser().parsestr(metadata(wheel, "METADATA"))
    assert (message["Name"], message["Version"]) == ("generative-teaching-networks", "0.1.0")
    assert message["Requires-Python"] == ">=3.10"
    assert {"dev", "docs", "box2d", "mujoco", "bench", "horovod", "mpi"} == set(message.get_all("Provides-Extra", []))
    scripts = configparser.ConfigParser()
    scripts.read_string(metadata(wheel, "entry_points.txt"))
    assert dict(scripts["console_scripts"]) == {"gtn-cli": "gtn_cli.main:main"}


def test_setup_cfg_lists_every_package() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = config["options"]["packages"].split()
    present = {
        ".".join([package, *init.parent.relative_to(folder).parts])
        for package, folder in PACKAGES.items()
        for init in folder.rglob("__init__.py")
    }
    assert len(listed) == len(set(listed))
    assert set(listed) == present, (
        f"in setup.cfg under [options] packages, add {sorted(present - set(listed))}, "
        f"remove {sorted(set(listed) - present)}"
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_of_modules_is_a_package(package: str) -> None:
    folder = PACKAGES[package]
    assert (folder / "py.typed").is_file()
    bare = {
        str(path.parent.relative_to(ROOT))
        for path in folder.rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    }
    assert not bare, f"no __init__.py, so left out of the wheel: {sorted(bare)}"
