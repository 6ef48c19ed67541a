"""The bundled models and the type marker are found in an editable install and in an installed wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

LIST_BUNDLED = (
    "import sys; sys.argv = ['samdistill']\n"  # the package then does not load torch
    "import modeling_samdistill; from modeling_samdistill.bundled_models import _root, bundled_names\n"
    "assert _root().is_dir(), _root()\n"
    "print(modeling_samdistill.__file__, *bundled_names())"
)


def model_folders() -> list[str]:
    return sorted(path.parent.name for path in (REPOSITORY / "model_cards").glob("*/config.json"))


def listed(path: str | None, cwd: Path) -> list[str]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"PYTHONPATH": path} if path else {}
    done = subprocess.run(
        [sys.executable, "-c", LIST_BUNDLED], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_editable_install_finds_the_bundled_models(tmp_path):
    place, *names = listed(None, cwd=tmp_path)
    if not Path(place).is_relative_to(REPOSITORY):
        pytest.skip("this checkout is not the one that is installed")
    assert names == model_folders()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, so that no build folder appears in the checkout and none that is there gets in."""
    source = tmp_path_factory.mktemp("source")
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=REPOSITORY, capture_output=True, check=False
    )
    if tracked.returncode:
        pytest.skip("not a git checkout")
    for name in filter(None, tracked.stdout.decode().split("\0")):
        if (REPOSITORY / name).is_file() and not name.startswith(("tests/", "docs/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, source / name)
    target = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", target, source)
    return next(target.glob("samdistill-*.whl"))


def pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_wheel_holds_the_package_the_bundled_models_and_the_type_marker(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "modeling_samdistill/py.typed" in names
    assert "modeling_samdistill/bundled/__init__.py" in names
    assert "modeling_samdistill/commands/restore.py" in names
    assert {name.split("/")[2] for name in names if name.endswith("config.json") and "/bundled/" in name} == set(
        model_folders()
    )
    for folder in model_folders():
        assert f"modeling_samdistill/bundled/{folder}/model.safetensors" in names
    assert not [name for name in names if name.startswith(("tests/", "model_cards/", "recipes/"))]
    assert wheel.stat().st_size < 60e6


def test_an_installed_wheel_finds_the_bundled_models(wheel, tmp_path):
    pip("install", "--no-deps", "--target", tmp_path / "site", wheel)
    place, *names = listed(str(tmp_path / "site"), cwd=tmp_path)
    assert Path(place).is_relative_to(tmp_path)
    assert names == model_folders()
