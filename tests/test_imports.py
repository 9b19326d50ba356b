"""Who may import whom, read off the sources, and held against what Python really imports."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
FOLDERS: dict[str, str] = SETUPTOOLS["package-dir"]
STAGES = ("segeval.generate", "segeval.deploy", "segeval.evaluate")
COMMAND_LINE = ("segeval.cli", "segeval.__main__", "segeval.commands")
COMPOSERS = (*COMMAND_LINE, "segeval.reproduce")
"""Who puts the stages together."""
TORCH = ("torch", "torchvision")


@dataclass(frozen=True)
class Import:
    """module imports target. lazy: inside a function.   typing: for type checkers alone."""

    module: str
    target: str
    lazy: bool
    typing: bool


def is_in(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def sources() -> dict[str, Path]:
    """Every module and its file."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found[".".join([package, *parts]).removesuffix(".__init__")] = path
    return found


def imports_of(module: str, path: Path) -> Iterator[Import]:
    yield from visit(ast.parse(path.read_text(encoding="utf-8")), module, lazy=False, typing=False)


def visit(node: ast.AST, module: str, lazy: bool, typing: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(module, alias.name, lazy, typing) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0 and node.module, f"{module} has a relative import, line {node.lineno}"
        # from segeval import deploy is an import of segeval.deploy
        yield from (Import(module, f"{node.module}.{alias.name}", lazy, typing) for alias in node.names)
    lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    typing = typing or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    for child in ast.iter_child_nodes(node):
        yield from visit(child, module, lazy, typing)


IMPORTS = [each for module, path in sources().items() for each in imports_of(module, path)]


def offences(who: tuple[str, ...], whom: tuple[str, ...], but_not: tuple[str, ...] = ()) -> list[str]:
    """Imports that `who` makes of `whom`."""
    return [
        f"{each.module} imports {each.target}"
        for each in IMPORTS
        if is_in(each.module, *who) and not is_in(each.module, *but_not) and is_in(each.target, *whom)
    ]


def test_every_package_is_looked_at() -> None:
    assert set(FOLDERS) == {"segeval", *STAGES, "segeval_runner"}
    modules = {each.module for each in IMPORTS}
    for package in (*FOLDERS, *COMMAND_LINE, "segeval.models", "segeval_runner.backends"):
        assert any(is_in(module, package) for module in modules)


def test_the_runner_stands_alone() -> None:
    third_party = {"numpy"}
    backends = {"onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "pycuda"}
    for each in (each for each in IMPORTS if is_in(each.module, "segeval_runner")):
        top = each.target.split(".")[0]
        allowed = {"segeval_runner", *third_party, *sys.stdlib_module_names}
        if is_in(each.module, "segeval_runner.backends"):
            allowed |= backends
        assert top in allowed, f"{each.module} imports {each.target}"


def test_the_core_knows_neither_the_stages_nor_the_command_line() -> None:
    assert not offences(("segeval",), (*STAGES, *COMPOSERS), but_not=(*STAGES, *COMPOSERS))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_knows_neither_another_stage_nor_the_command_line(stage: str) -> None:
    others = tuple(each for each in STAGES if each != stage)
    assert not offences((stage,), (*others, *COMPOSERS))


def test_torch_is_imported_by_models_generate_and_deploy_alone() -> None:
    users = ("segeval.models", "segeval.generate", "segeval.deploy", *COMPOSERS)
    assert not offences(("segeval", "segeval_runner"), TORCH, but_not=users)
    assert offences(users, TORCH), "the test sees imports of torch where they are allowed"


def test_the_command_line_imports_what_is_heavy_inside_its_functions() -> None:
    heavy = (
        *STAGES,
        *TORCH,
        "segeval.models",
        "onnx",
        "onnxruntime",
        "matplotlib",
        "scipy",
        "PIL",
        "segeval.files.storage",
    )
    for each in (each for each in IMPORTS if is_in(each.module, *COMMAND_LINE)):
        assert each.lazy or each.typing or not is_in(each.target, *heavy), f"{each.module} imports {each.target}"


def test_nothing_imports_a_stage_by_the_name_of_its_folder() -> None:
    assert not offences(tuple(FOLDERS), ("generate", "deploy", "evaluate", "jetson"))
    # Hugging Face owns `evaluate`. Away from this folder nothing of ours may answer to these names.
    program = "from importlib.util import find_spec; print([n for n in ('generate', 'deploy') if find_spec(n)])"
    done = subprocess.run([sys.executable, "-c", program], cwd="/", capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def loaded_after_importing(modules: list[str]) -> set[str]:
    """Top-level packages in memory after these imports, in a fresh Python."""
    program = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules)"
    command = [sys.executable, "-c", program, *modules]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_evaluation_and_the_core_really_run_without_torch_and_onnx() -> None:
    torch_users = ("segeval.models", "segeval.generate", "segeval.deploy", "segeval.reproduce", "segeval.__main__")
    modules = [module for module in sources() if is_in(module, "segeval") and not is_in(module, *torch_users)]
    assert "segeval.evaluate.report.page" in modules and "segeval.commands.craft" in modules
    assert not loaded_after_importing(modules) & {"torch", "onnx", "onnxruntime"}


def test_the_command_line_really_starts_without_what_is_heavy() -> None:
    heavy = {"torch", "onnx", "onnxruntime", "matplotlib", "scipy", "PIL", "jinja2", "safetensors"}
    assert not loaded_after_importing(["segeval.cli"]) & heavy
