"""Imports follow the arrows of the design: each part of the package may use the parts named here and no other."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import modeling_samdistill

PACKAGE = Path(modeling_samdistill.__file__).parent

#: Single files beside the parts, such as `errors.py`: every part but `models` may use them, they use none.
ROOT = {"", *(path.stem for path in PACKAGE.glob("*.py"))}
MAY_USE = {
    "models": set(),
    "restoration": {"models"},
    "evaluation": {"models", "restoration"},
    "teachers": {"models"},
    "data": {"models", "teachers"},
    "distillation": {"models", "teachers"},
    "training": {"models", "restoration", "evaluation", "teachers", "data", "distillation"},
    "hub": {"models", "restoration", "evaluation"},
}
MAY_USE_ALL = {"commands", "web"}
INFERENCE = {"models", "restoration"}
NOT_AT_INFERENCE = {"accelerate", "datasets", "evaluate", "gradio", "timm"}
HEAVY = {"torch", "torchvision", "transformers", "accelerate", "datasets", "evaluate", "gradio", "timm"}
MODELS_MAY_IMPORT = {"torch", "transformers", "numpy", "PIL"} | sys.stdlib_module_names


def files(part: str) -> list[Path]:
    return sorted((PACKAGE / part).rglob("*.py"))


def parts() -> set[str]:
    return {path.name for path in PACKAGE.iterdir() if path.is_dir() and list(path.glob("*.py"))}


def absolute(path: Path, module: str | None, level: int) -> str:
    """The full name of what `from <level dots><module> import` means in the file `path` of the package."""
    if level == 0:
        return module or ""
    folder = ["modeling_samdistill", *path.relative_to(PACKAGE).parent.parts]
    return ".".join(folder[: len(folder) - level + 1] + ([module] if module else []))


def imports(path: Path, only_at_import: bool = False) -> set[str]:
    """Full names of the modules that a file imports, in functions too unless `only_at_import`, not for type checks."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if only_at_import and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = absolute(path, node.module, node.level)
            found.add(base)
            if base == "modeling_samdistill":
                found.update(f"{base}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def own_part(module: str) -> str | None:
    """The part of the package that a module belongs to, None for other packages."""
    names = module.split(".")
    if names[0] != "modeling_samdistill":
        return None
    return names[1] if len(names) > 1 else ""


def test_every_part_of_the_package_has_its_arrows_stated():
    assert parts() <= MAY_USE.keys() | MAY_USE_ALL | {"bundled"}


def test_single_files_import_no_part():
    wrong = {
        (path.name, module)
        for path in PACKAGE.glob("*.py")
        for module in imports(path)
        if own_part(module) in parts() and path.name != "__init__.py"
    }
    assert not wrong


@pytest.mark.parametrize("part", MAY_USE)
def test_imports_follow_the_arrows(part):
    allowed = MAY_USE[part] | {part} | (ROOT if part != "models" else set())
    wrong = {
        (str(path.relative_to(PACKAGE)), module)
        for path in files(part)
        for module in imports(path)
        if own_part(module) is not None and own_part(module) not in allowed
    }
    assert not wrong


@pytest.mark.parametrize("part", sorted(INFERENCE))
def test_the_inference_path_imports_nothing_of_training(part):
    wrong = {
        (path.name, module)
        for path in files(part)
        for module in imports(path)
        if module.partition(".")[0] in NOT_AT_INFERENCE or own_part(module) == "teachers"
    }
    assert not wrong


def test_models_are_flat_files_that_import_only_what_remote_code_may():
    """transformers copies these files to the Hub and follows only `from .file import name`."""
    assert not [path for path in (PACKAGE / "models").iterdir() if path.is_dir() and path.name != "__pycache__"]
    for path in files("models"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        relative = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
        assert all(node.level == 1 and node.module and "." not in node.module for node in relative), path
        outside = {module.partition(".")[0] for module in imports(path)} - {"modeling_samdistill"}
        assert outside <= MODELS_MAY_IMPORT, (path.name, outside - MODELS_MAY_IMPORT)


@pytest.mark.parametrize("part", sorted(MAY_USE_ALL))
def test_commands_and_web_import_the_package_inside_their_functions(part):
    light = ROOT | {part}
    wrong = {
        (path.name, module)
        for path in files(part)
        for module in imports(path, only_at_import=True)
        if module.partition(".")[0] in HEAVY or (own_part(module) is not None and own_part(module) not in light)
    }
    assert not wrong


def test_a_wrong_import_is_found(tmp_path, monkeypatch):
    package = tmp_path / "modeling_samdistill"
    (package / "models").mkdir(parents=True)
    (package / "models" / "a.py").write_text(
        "def f():\n    from ..teachers.sam import SamTeacher\nimport timm.models\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", package)
    assert imports(package / "models" / "a.py") == {"modeling_samdistill.teachers.sam", "timm.models"}
    with pytest.raises(AssertionError):
        test_imports_follow_the_arrows("models")
    with pytest.raises(AssertionError):
        test_the_inference_path_imports_nothing_of_training("models")
    with pytest.raises(AssertionError):
        test_models_are_flat_files_that_import_only_what_remote_code_may()
