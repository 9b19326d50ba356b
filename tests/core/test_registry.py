from pathlib import Path

import pytest

from segeval.errors import UnknownNameError, nearest
from segeval.registry import ATTACKS, DATASETS, MODELS, TARGETS, Registry


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on sys.path."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def install(folder: Path, name: str, module: str, entry_points: str) -> None:
    """What pip leaves behind for a distribution of one module."""
    (folder / f"{name}.py").write_text(module)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


@pytest.mark.parametrize("registry", [MODELS, DATASETS, ATTACKS, TARGETS], ids=lambda registry: registry.kind)
def test_everything_that_is_built_in_can_be_loaded(registry: Registry) -> None:
    names = list(registry)
    assert names
    assert all(registry.load(name) is not None for name in names)


def test_a_name_that_is_nearly_right_is_suggested() -> None:
    with pytest.raises(UnknownNameError, match="no dataset 'camvit'") as caught:
        DATASETS.load("camvit")
    assert caught.value.hint.startswith("did you mean camvid?")
    assert "package.module:attribute" in caught.value.hint


def test_for_a_name_like_no_other_all_are_listed() -> None:
    with pytest.raises(UnknownNameError) as caught:
        DATASETS.load("zzz")
    assert "Known: camvid, cityscapes, folder, synthetic." in caught.value.hint


def test_of_very_many_names_the_first_are_listed() -> None:
    assert nearest("zzz", (f"image-{number}" for number in range(1000))).endswith("image-29 and 970 more.")
    assert nearest("image-1000", (f"image-{number}" for number in range(1000))).startswith("did you mean image-100")


def test_ones_own_is_named_by_module_and_attribute(plugins: Path) -> None:
    package = plugins / "segeval_test_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "data.py").write_text("def pictures():\n    return 'mine'\n")
    assert DATASETS.load("segeval_test_package.data:pictures")() == "mine"


@pytest.mark.parametrize("name", ["no_such_module:x", "json.no_such:x"])
def test_ones_own_that_cannot_be_loaded_is_named_with_the_reason(name: str) -> None:
    with pytest.raises(UnknownNameError, match=f"cannot load dataset '{name}': .*no_such") as caught:
        DATASETS.load(name)
    assert "PYTHONPATH" in caught.value.hint


def test_an_attribute_that_is_not_there_is_followed_by_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'json' has no attribute 'laods'") as caught:
        DATASETS.load("json:laods")
    assert caught.value.hint == "did you mean loads or load?"


@pytest.mark.parametrize("name", ["", ":x", "json:", ".json:x", "a b:x", "data/C:x"])
def test_what_cannot_be_a_module_is_an_unknown_name(name: str) -> None:
    with pytest.raises(UnknownNameError, match="no dataset"):
        DATASETS.load(name)


def test_an_error_inside_ones_own_module_is_named_with_its_line(plugins: Path) -> None:
    (plugins / "segeval_test_failing.py").write_text("\nraise ValueError('mine')\n")
    with pytest.raises(UnknownNameError, match=r"segeval_test_failing\.py:2: ValueError: mine"):
        DATASETS.load("segeval_test_failing:x")


def test_installed_distributions_add_names_but_replace_none(plugins: Path) -> None:
    group = "[segeval.datasets]\ntiny = segeval_test_tiny:open_tiny\ncamvid = segeval_test_tiny:open_tiny\n"
    install(plugins, "segeval_test_tiny", "def open_tiny():\n    return 7\n", group)
    assert "tiny" in list(DATASETS)
    assert DATASETS.load("tiny")() == 7
    assert DATASETS.load("camvid").__module__ == "segeval.datasets.camvid"
    assert "tiny" not in list(MODELS)


def test_an_installed_name_that_cannot_be_loaded_is_named(plugins: Path) -> None:
    install(plugins, "segeval_test_broken", "import no_such_module\n", "[segeval.models]\nmine = segeval_test_broken:x")
    with pytest.raises(UnknownNameError, match="cannot load model 'mine': No module named 'no_such_module'"):
        MODELS.load("mine")


@pytest.mark.parametrize(
    ("place", "error"), [("no_such_module:x", ModuleNotFoundError), ("json:no_such_attribute", AttributeError)]
)
def test_a_built_in_thing_that_fails_to_import_is_not_called_unknown(place: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="no_such"):
        Registry("thing", {"own": place}).load("own")
