"""Who may import whom, read off the sources, and held against what Python really imports."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
FOLDERS: dict[str, str] = SETUPTOOLS["package-dir"]
PACKAGES: list[str] = SETUPTOOLS["packages"]
CORE = ("segeval", "segeval.files")
"""What everything else rests on: the files at the root of segeval/, and what is written and read."""
ROOMS = {
    "segeval.fetching": CORE,
    "segeval.datasets": (*CORE, "segeval.fetching"),
    "segeval.models": (*CORE, "segeval.fetching"),
    "segeval.graphs.given": (*CORE, "segeval.models", "segeval.graphs.differentiable"),
    "segeval.graphs": (*CORE, "segeval.models"),
    "segeval.generate.attacks": (*CORE, "segeval.models"),
    "segeval.generate.crafting": (
        *CORE,
        "segeval.models",
        "segeval.datasets",
        "segeval.graphs",
        "segeval.generate.attacks",
    ),
    "segeval.generate.auditing": (
        *CORE,
        "segeval.models",
        "segeval.datasets",
        "segeval.generate.attacks",
        "segeval.generate.crafting",
    ),
    "segeval.generate.patterns": (
        *CORE,
        "segeval.models",
        "segeval.datasets",
        "segeval.generate.attacks",
        "segeval.generate.crafting",
    ),
    "segeval.generate.training": (*CORE, "segeval.models", "segeval.datasets"),
    "segeval.deploy.ssh": (*CORE, "segeval.deploy"),
    "segeval.deploy": (*CORE, "segeval.models", "segeval.datasets", "segeval.graphs"),
    "segeval.evaluate.measure": CORE,
    "segeval.evaluate.report": (*CORE, "segeval.evaluate.measure", "segeval.evaluate.device"),
    "segeval.evaluate.device": (*CORE, "segeval.evaluate.measure", "segeval.evaluate.report"),
    "segeval.evaluate.compare": (*CORE, "segeval.evaluate.measure", "segeval.evaluate.report"),
    "segeval.evaluate.gates": (
        *CORE,
        "segeval.evaluate.measure",
        "segeval.evaluate.report",
        "segeval.evaluate.compare",
    ),
    "segeval.evaluate.index": (*CORE, "segeval.evaluate.measure", "segeval.evaluate.report"),
    "segeval.evaluate.formats": (
        *CORE,
        "segeval.evaluate.measure",
        "segeval.evaluate.report",
        "segeval.evaluate.device",
        "segeval.evaluate.compare",
    ),
}
"""Which rooms each room may import, besides itself, what it lies in, and segeval_runner: docs/architecture.md."""
STAGES = ("segeval.generate", "segeval.deploy", "segeval.evaluate")
COMMAND_LINE = ("segeval.cli", "segeval.__main__", "segeval.commands")
COMPOSERS = (*COMMAND_LINE, "segeval.api", "segeval.reproduce")
"""Who puts the stages together."""
TORCH = ("torch", "torchvision")


@dataclass(frozen=True)
class Import:
    """module imports target.

    lazy: inside a function.   typing: for type checkers alone.   relative: it is written with dots.
    """

    module: str
    target: str
    lazy: bool
    typing: bool
    relative: bool = False


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
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    yield from visit(ast.parse(path.read_text(encoding="utf-8")), module, package, lazy=False, typing=False)


def visit(node: ast.AST, module: str, package: str, lazy: bool, typing: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(module, alias.name, lazy, typing) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        whole = ".".join([*above, *([node.module] if node.module else [])])
        # from segeval import deploy is an import of segeval.deploy
        yield from (Import(module, f"{whole}.{alias.name}", lazy, typing, node.level > 0) for alias in node.names)
    lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    typing = typing or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    for child in ast.iter_child_nodes(node):
        yield from visit(child, module, package, lazy, typing)


MODULES = sources()
IMPORTS = [each for module, path in MODULES.items() for each in imports_of(module, path)]


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


def module_of(target: str) -> str:
    """The module that an import reads: its target, or what holds that name."""
    return target if target in MODULES else target.rpartition(".")[0]


def room_of(module: str) -> str:
    """The innermost package of a module; what the root of segeval and of a stage holds belongs to these."""
    return module if module in PACKAGES else module.rpartition(".")[0]


def test_imports_are_relative_inside_a_stage_and_absolute_elsewhere() -> None:
    """So that editors follow them from the folders alone: `generate/` is no package of its own."""
    for each in IMPORTS:
        stage = next((stage for stage in STAGES if is_in(each.module, stage)), None)
        inside = stage is not None and is_in(each.target, stage)
        assert each.relative == inside, f"{each.module} imports {each.target}"


def test_a_room_imports_what_it_may() -> None:
    offending = []
    for each in IMPORTS:
        room, target = room_of(each.module), room_of(module_of(each.target))
        if is_in(target, "segeval") and is_in(room, *ROOMS) and not (is_in(target, room) or is_in(room, target)):
            allowed = ROOMS[next(name for name in ROOMS if is_in(room, name))]
            if target not in allowed and not is_in(target, *(name for name in allowed if name in ROOMS)):
                offending.append(f"{each.module} imports {each.target}")
    assert not offending


def test_the_page_about_the_architecture_says_the_same() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(segeval\.[a-z.]+)` \| .* \| (.*) ?\|$", page, re.MULTILINE)
    # The core stands in the text above the table.
    told = {room: set(re.findall(r"`(segeval\.[a-z.]+)`", allowed)) for room, allowed in rows}
    assert told == {
        room: {each for each in allowed if each not in (*CORE, "segeval.deploy")} for room, allowed in ROOMS.items()
    }
    files = re.findall(r"`((?:segeval|generate|deploy|evaluate|jetson)/[\w/.]+)`", page)
    assert len(files) > 20 and [file for file in files if not (ROOT / file).exists() and "NAME" not in file] == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Counting what functions import and what only type checkers see, too."""
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for each in IMPORTS:
        graph[each.module] |= {module_of(each.target)} & (MODULES.keys() - {each.module})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None


def test_nobody_reaches_into_the_synthetic_scenes() -> None:
    scenes = "segeval.datasets.synthetic"
    reaching = [each for each in IMPORTS if is_in(each.module, "segeval") and not is_in(each.module, scenes)]
    assert not [each for each in reaching if module_of(each.target) != scenes and is_in(each.target, scenes)]


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


def test_torch_is_imported_by_models_graphs_generate_and_deploy_alone() -> None:
    users = ("segeval.models", "segeval.graphs", "segeval.generate", "segeval.deploy", *COMPOSERS)
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
    torch_users = (
        "segeval.models",
        "segeval.graphs",
        "segeval.generate",
        "segeval.deploy",
        "segeval.reproduce",
        "segeval.__main__",
    )
    modules = [module for module in sources() if is_in(module, "segeval") and not is_in(module, *torch_users)]
    assert "segeval.evaluate.report.page" in modules and "segeval.commands.craft" in modules
    assert not loaded_after_importing(modules) & {"torch", "onnx", "onnxruntime"}


def test_the_command_line_really_starts_without_what_is_heavy() -> None:
    heavy = {"torch", "onnx", "onnxruntime", "matplotlib", "scipy", "PIL", "jinja2", "safetensors"}
    assert not loaded_after_importing(["segeval.cli"]) & heavy
