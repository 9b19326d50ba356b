from dataclasses import replace

import numpy as np
import pytest

from segeval.classes import (
    CAMVID,
    CITYSCAPES,
    IGNORE,
    TABLES,
    TASKS,
    AttackTask,
    ClassTable,
    class_difference,
    parse_task,
    same_classes,
    task_example,
    tasks_of,
)
from segeval.errors import ConfigurationError, UnknownNameError
from segeval.goals import source_mask


@pytest.mark.parametrize(("table", "classes"), [(CITYSCAPES, 19), (CAMVID, 11)])
def test_a_table_has_a_name_and_a_colour_of_its_own_for_each_class(table: ClassTable, classes: int) -> None:
    assert len(table) == len(table.names) == len(table.palette) == len(table.canonical) == classes
    for column in (table.names, table.palette, table.canonical):
        assert len(set(column)) == classes
    assert TABLES[table.name] is table
    colours = table.colours()
    assert colours.shape == (256, 3) and colours.dtype == np.uint8
    assert [tuple(colour) for colour in colours[:classes].tolist()] == list(table.palette)
    assert not colours[classes:].any()


def test_the_canonical_names_are_those_of_cityscapes() -> None:
    assert CITYSCAPES.canonical == CITYSCAPES.names
    assert set(CAMVID.canonical) < set(CITYSCAPES.names)


@pytest.mark.parametrize(
    ("name", "index"), [("Car", 8), ("car", 8), ("CAR", 8), ("Tree", 5), ("vegetation", 5), ("sidewalk", 4)]
)
def test_a_class_is_found_by_either_name_in_any_case(name: str, index: int) -> None:
    assert CAMVID.find(name) == index


def test_a_class_that_is_not_there_is_not_found() -> None:
    assert CAMVID.find("truck") is None
    assert CITYSCAPES.find("Pavement") is None


def test_an_own_name_comes_before_a_canonical_one() -> None:
    table = ClassTable("own", ("lane", "road"), ((0, 0, 0), (1, 1, 1)), ("road", "kerb"))
    assert table.find("road") == 1


def test_tables_agree_if_an_index_means_the_same_in_both() -> None:
    own = ClassTable("own", ("lane", "auto"), ((0, 0, 0), (1, 1, 1)), ("road", "car"))
    assert same_classes(own, ClassTable("other", ("Road", "Car"), ((9, 9, 9), (8, 8, 8)), ("road", "car")))
    assert not same_classes(own, ClassTable("own", ("lane", "auto"), own.palette, ("car", "road")))
    assert not same_classes(CITYSCAPES, CAMVID)


@pytest.mark.parametrize(
    ("names", "palette", "canonical", "message"),
    [
        ((), (), (), "has 0 classes"),
        (("x",) * 255, ((0, 0, 0),) * 255, ("x",) * 255, "has 255 classes"),
        (("x", "y"), ((0, 0, 0),), ("x", "y"), "differ in length"),
        (("x",), ((0, 0, 0),), (), "differ in length"),
        (("x",), ((0, 256, 0),), ("x",), "outside 0–255"),
        (("x",), ((0, 0, -1),), ("x",), "outside 0–255"),
    ],
)
def test_impossible_tables_are_refused(
    names: tuple[str, ...], palette: tuple[tuple[int, int, int], ...], canonical: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ClassTable("own", names, palette, canonical)


def named(task: str, table: ClassTable) -> tuple[list[str], str]:
    sources, target, kind = parse_task(task).resolve(table)
    assert kind == "class" and target is not None
    return [table.names[index] for index in sources], table.names[target]


@pytest.mark.parametrize(
    ("task", "cityscapes", "camvid"),
    [
        (
            "vru-to-vegetation",
            (["person", "rider", "motorcycle", "bicycle"], "vegetation"),
            (["Pedestrian", "Bicyclist"], "Tree"),
        ),
        ("vehicle-to-road", (["car", "truck", "bus", "train"], "road"), (["Car"], "Road")),
        ("vehicle-to-building", (["car", "truck", "bus", "train"], "building"), (["Car"], "Building")),
    ],
)
def test_the_tasks_of_the_paper_mean_the_same_in_both_tables(
    task: str, cityscapes: tuple[list[str], str], camvid: tuple[list[str], str]
) -> None:
    assert named(task, CITYSCAPES) == cityscapes
    assert named(task, CAMVID) == camvid


def test_every_task_is_found_by_its_name() -> None:
    assert all(parse_task(name) is task and task.name == name for name, task in TASKS.items())


def test_own_tasks_are_written_in_class_names() -> None:
    assert parse_task("car,truck:road") == AttackTask("car+truck-to-road", ("car", "truck"), "road")
    assert parse_task(" Traffic Light , pole : sky").sources == ("Traffic Light", "pole")
    assert named("Traffic Light, pole: SKY", CITYSCAPES) == (["traffic light", "pole"], "sky")
    assert named("car,Car,CAR:road", CAMVID) == (["Car"], "Road")


def test_the_name_of_an_own_task_is_usable_as_a_folder() -> None:
    assert parse_task("on/off lane,../x:traffic light").name == "on-off-lane+-x-to-traffic-light"


@pytest.mark.parametrize("text", ["", "car", "car:", ":road", ",:road", "car, truck", "vehicle-to-rod"])
def test_what_is_no_task_is_refused(text: str) -> None:
    with pytest.raises(UnknownNameError, match="no attack task") as caught:
        parse_task(text)
    assert "vehicle-to-road" in caught.value.hint and "car,truck:road" in caught.value.hint


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("truck,bus:road", "class table 'camvid' has none of truck, bus"),
        ("car:terrain", "class table 'camvid' has no class 'terrain'"),
        ("car:Car", "'Car' is both source and adversarial class"),
        ("car,road:Road", "is both source and adversarial class"),
        ("car,trcuk:road", "unknown class 'trcuk'"),
    ],
)
def test_tasks_that_a_table_cannot_serve_are_refused(task: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_task(task).resolve(CAMVID)


CROWD = ClassTable(
    "crowd", ("person", "pedestrian", "street", "bike"), ((0, 0, 0),) * 4, ("person", "person", "road", "bicycle")
)


@pytest.mark.parametrize(
    ("task", "sources", "target"),
    [
        ("person:road", (0, 1), 2),  # a canonical name means all that have it
        ("pedestrian:road", (1,), 2),  # an own name one class alone
        ("human,bicycle:Street", (0, 1, 3), 2),
        ("bike:person", (3,), 0),  # of several the one that is called so
        ("*:pedestrian", (0, 2, 3), 1),
        ("person:*", (0, 1), None),
    ],
)
def test_synonyms_mean_every_class_of_that_kind(task: str, sources: tuple[int, ...], target: int | None) -> None:
    assert parse_task(task).resolve(CROWD)[:2] == (sources, target)


def test_an_adversarial_class_that_is_several_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'human' is several classes of 'crowd': person, pedestrian"):
        parse_task("bike:human").resolve(CROWD)


@pytest.mark.parametrize("task", ["stret:person", "person:stret"])
def test_a_class_that_does_not_exist_brings_what_was_meant_and_what_there_is(task: str) -> None:
    with pytest.raises(ConfigurationError, match=r"(unknown|no) class 'stret'") as caught:
        parse_task(task).resolve(CROWD)
    assert caught.value.hint == "did you mean street? its classes: person, pedestrian, street, bike"
    assert CAMVID.named("cra").startswith("did you mean car? its classes: Sky, Building")


def test_a_registered_task_without_its_classes_brings_one_in_the_names_there_are() -> None:
    german = ClassTable("folder", ("auto", "fahrbahn"), ((0, 0, 0), (1, 1, 1)), ("car", "fahrbahn"))
    with pytest.raises(ConfigurationError, match="class table 'folder' has no class 'road'") as caught:
        parse_task("vehicle-to-road").resolve(german)
    own = "its classes: auto, fahrbahn; name a task of these, as in --task auto:fahrbahn, or give the one that is meant"
    assert caught.value.hint.endswith(f'{own} canonical = "road"')
    with pytest.raises(ConfigurationError, match="class table 'folder' has none of person") as caught:
        parse_task("vru-lost").resolve(german)
    assert "--task auto:fahrbahn" in caught.value.hint
    assert parse_task("auto:fahrbahn").resolve(german)[:2] == ((0,), 1)
    assert task_example(replace(german, names=("a",), palette=((0, 0, 0),), canonical=("a",))) == "a:*"


@pytest.mark.parametrize("table", [CITYSCAPES, CAMVID, CROWD], ids=lambda table: table.name)
def test_what_can_be_asked_of_a_table_is_what_it_can_serve(table: ClassTable) -> None:
    found = tasks_of(table)
    assert found == {text: parse_task(text).resolve(table) for text in found}
    for index, name in enumerate(table.names):
        assert index in found[f"{name}:*"].sources and found[f"*:{name}"].target == index
    assert ("vehicle-to-road" in found) == (table.find("car") is not None)


def test_tables_that_differ_say_where() -> None:
    assert class_difference(CAMVID, CAMVID) == ""
    assert class_difference(CAMVID, CITYSCAPES) == "class 0 is 'Sky' in camvid and 'road' in cityscapes"
    shorter = ClassTable("short", CAMVID.names[:4], CAMVID.palette[:4], CAMVID.canonical[:4])
    assert class_difference(shorter, CAMVID) == "short has 4 classes, camvid 11"


def test_a_source_mask_marks_the_source_classes_alone() -> None:
    labels = np.array([[0, 13, 14], [IGNORE, 15, 1]], np.uint8)
    assert source_mask(labels, (13, 15)).tolist() == [[False, True, False], [False, True, False]]
    assert not source_mask(labels, (18,)).any()
