"""The switches between versions, on modules that have the symbols of each, and nothing else switching anywhere."""

import ast
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from segeval_runner.backends import BACKENDS, load_backend
from segeval_runner.backends.tensorrt import versions
from segeval_runner.errors import BackendError

ROOT = Path(__file__).parents[3]
SOURCES = sorted((ROOT / "jetson/segeval_runner/backends/tensorrt").glob("*.py"))
STUBS = [ROOT / f"tests/typings/{name}/__init__.pyi" for name in ("tensorrt", "tensorrt_rtx")]


def module(version: str, flags: dict[str, int], precisions: dict[str, int], **more: Any) -> Any:
    context = SimpleNamespace(execute_async_v3=None)
    network, builder = SimpleNamespace(**flags), SimpleNamespace(TF32=7, **precisions)
    names = {"NetworkDefinitionCreationFlag": network, "BuilderFlag": builder, "IExecutionContext": context}
    return SimpleNamespace(__version__=version, **names, **more)


EIGHT = module("8.5.2", {"EXPLICIT_BATCH": 0}, {"FP16": 0, "INT8": 1})
TEN = module("10.3.0", {"EXPLICIT_BATCH": 0, "STRONGLY_TYPED": 1}, {"FP16": 0, "INT8": 1}, IProgressMonitor=object)
ELEVEN = module("11.4.0", {"STRONGLY_TYPED": 0}, {}, IProgressMonitor=object)
RTX = module("1.7.1.116", {"STRONGLY_TYPED": 1}, {}, IProgressMonitor=object, IRuntimeCache=object)


def test_the_file_decides_the_types_wherever_it_can() -> None:
    assert [versions.typing_mode(each, dla=False) for each in (EIGHT, TEN, ELEVEN)] == ["weak", "strong", "strong"]
    assert [versions.typing_mode(each, dla=True) for each in (EIGHT, TEN, ELEVEN)] == ["weak", "weak", "strong"]


def test_networks_are_made_with_the_flag_of_that_name() -> None:
    assert versions.network_flags(EIGHT, "weak") == 1 << 0
    assert versions.network_flags(TEN, "strong") == 1 << 1
    assert versions.network_flags(TEN, "weak") == 1 << 0
    assert versions.network_flags(ELEVEN, "strong") == 0


def test_only_weak_typing_asks_for_precisions() -> None:
    for each in (TEN, ELEVEN):
        assert versions.precision_flags(each, "strong", "int8") == []
    expected = {"fp32": [], "fp16": [0], "int8": [1], "int8-fp16": [1, 0]}
    assert {name: versions.precision_flags(EIGHT, "weak", name) for name in expected} == expected
    with pytest.raises(BackendError, match="'fp8'"):
        versions.precision_flags(EIGHT, "weak", "fp8")


def test_tensorrt_for_rtx_measures_nothing() -> None:
    assert [versions.has_timings(each) for each in (EIGHT, TEN, ELEVEN, RTX)] == [True, True, True, False]
    assert (versions.typing_mode(RTX, dla=False), versions.network_flags(RTX, "strong")) == ("strong", 0)


def test_progress_begins_with_10() -> None:
    assert [versions.has_progress(each) for each in (EIGHT, TEN, ELEVEN)] == [False, True, True]


def test_what_is_too_old_is_refused() -> None:
    versions.require_supported(EIGHT)
    old = SimpleNamespace(__version__="8.4.1", IExecutionContext=object)
    with pytest.raises(BackendError, match=r"8\.4\.1") as caught:
        versions.require_supported(old)
    assert "JetPack 5.1" in caught.value.hint


def test_a_machine_without_tensorrt_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert "tensorrt" in BACKENDS
    with pytest.raises(BackendError) as caught:
        load_backend("tensorrt").version()
    assert "nvidia-jetpack" in caught.value.hint and "pip install tensorrt" in caught.value.hint


def members() -> set[str]:
    """Every "Class.member" of the stubs, and their classes."""
    parts = [part for stub in STUBS for part in ast.parse(stub.read_text(encoding="utf-8")).body]
    classes = [node for node in parts if isinstance(node, ast.ClassDef)]
    found = {node.name for node in classes}
    for node in classes:
        targets = [child.target for child in node.body if isinstance(child, ast.AnnAssign)]
        found |= {f"{node.name}.{target.id}" for target in targets if isinstance(target, ast.Name)}
        found |= {f"{node.name}.{child.name}" for child in node.body if isinstance(child, ast.FunctionDef)}
    return found


def test_the_table_of_versions_names_what_the_stub_declares() -> None:
    assert versions.PARTIAL.keys() <= members()
    for first, last, _ in versions.PARTIAL.values():
        assert 8 <= first <= last <= versions.NEWEST and (first, last) != (8, versions.NEWEST)


def test_no_other_file_asks_what_a_version_has() -> None:
    asked: dict[str, set[str]] = {}
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("hasattr", "getattr")
            ):
                name = node.args[1]
                asked.setdefault(source.name, set()).add(name.value if isinstance(name, ast.Constant) else "?")  # type: ignore[arg-type]
            # A comparison of version numbers would be a switch as well.
            assert not (isinstance(node, ast.Compare) and "__version__" in ast.unparse(node)), source.name
    assert asked.keys() == {"versions.py"}
    flags = {name for names in versions.PRECISION_FLAGS.values() for name in names}
    parts = {name.rpartition(".")[2] for name in members()}
    assert (asked["versions.py"] - {"?"}) | flags <= parts
