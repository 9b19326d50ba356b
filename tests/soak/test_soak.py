"""The soak itself, on few and small things: it accepts what is right, and notices each way of being wrong."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from segeval.errors import IntegrityError
from tests.soak import kills, page, processes, trees
from tests.soak.commands import COMMANDS, Command
from tests.soak.damage import Bench, Kind, Place, Reader, planned, shared
from tests.soak.findings import Finding, slug
from tests.soak.kills import Disturbed, Round, undisturbed
from tests.soak.serving import PICTURES, recorded, serving
from tests.soak.world import World, words

BROKEN = Path(__file__).with_name("broken.py")


def command(mode: str) -> Command:
    return Command(mode, lambda world, out: words(BROKEN, mode, out), trees.files)


def rounds(world: World, each: Command, signals: int) -> list[Round]:
    """As many rounds as give so many signals."""
    duration, found = undisturbed(world, each), list[Round]()
    while sum(one.signals for one in found) < signals:
        one = Disturbed(world, each, len(found), duration)
        found.append(one.through(kills.planned(each.name, len(found))))
    return found


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the broken command leaves running would run for long."""
    monkeypatch.setattr(processes, "GRACE", 0.5)
    monkeypatch.setattr(processes, "PATIENCE", 20.0)


def test_a_command_that_does_it_right_is_equal_in_the_end(tmp_path: Path) -> None:
    found = rounds(World(tmp_path, ""), command("right"), 6)
    assert [str(finding) for one in found for finding in one.findings] == []
    assert all(one.equal for one in found)
    assert sum(one.restarts for one in found) >= 3


@pytest.mark.parametrize(
    ("mode", "what"),
    [
        ("half", "differs from the undisturbed run: "),
        ("code", "exit code 7"),
        ("traceback", "a traceback"),
        ("litter", "left behind: out/"),
    ],
)
def test_a_command_that_does_it_wrong_is_found(tmp_path: Path, mode: str, what: str) -> None:
    world, each = World(tmp_path, ""), command(mode)
    duration, findings = undisturbed(world, each), list[Finding]()
    for seed in range(100):  # a round or two are enough, most often
        findings += Disturbed(world, each, seed, duration).through(kills.planned(mode, seed)).findings
        if any(what in finding.what for finding in findings):
            break
    assert any(what in finding.what for finding in findings), findings
    assert f"--only {mode} --seed {findings[0].seed}" in str(findings[0])


def test_a_process_that_is_left_running_is_found_and_ended(tmp_path: Path) -> None:
    world, each = World(tmp_path, ""), command("child")
    with pytest.raises(RuntimeError, match=r"child fails without any signal.*still running: \['.*time\.sleep"):
        undisturbed(world, each)
    assert not processes.survivors(world.marker)


def test_a_real_command_with_a_few_kills(tmp_path: Path) -> None:
    with serving() as base:
        world = World(tmp_path, base)
        world.files.write_text(json.dumps([recorded(name, data) for name, data in PICTURES.items()]))
        found = rounds(world, COMMANDS["fetch"], 3)
    assert [str(finding) for one in found for finding in one.findings] == []


def unchecked(place: Place) -> object:
    return place["kept.json"].read_bytes()


def checked(place: Place) -> object:
    data = place["kept.json"].read_bytes()
    if hashlib.sha256(data).hexdigest() != place["hash"].read_text():
        raise IntegrityError("kept.json was changed")
    return data


def tripping(place: Place) -> object:
    raise KeyError(place["kept.json"].name)


def heedless(place: Place) -> object:
    return 1


GIVEN = b'{"number": 12345, "text": "abc"}\n'


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "kept.json").write_bytes(GIVEN)
    (tmp_path / "hash").write_text(hashlib.sha256(GIVEN).hexdigest())
    readers: dict[str, Reader] = {
        "unchecked": unchecked,
        "checked": checked,
        "heedless": heedless,
        "tripping": tripping,
    }
    found = Bench(Place(tmp_path), readers)
    found.undamaged["tripping"] = None
    yield found
    assert (tmp_path / "kept.json").read_bytes() == GIVEN, "what was damaged is put back"


@pytest.mark.parametrize(
    ("reader", "refused", "wrong"),
    [("checked", 20, ""), ("heedless", 0, ""), ("unchecked", 0, "other results"), ("tripping", 0, "KeyError")],
)
def test_twenty_flips(bench: Bench, reader: str, refused: int, wrong: str) -> None:
    kind = Kind("some: kind", ("*.json",), (reader,))
    outcomes = [bench.outcome(kind, seed) for seed in range(20)]
    assert sum(outcome.refused for outcome in outcomes) == refused
    assert all(bool(outcome.findings) == bool(wrong) for outcome in outcomes)
    assert all(wrong in finding.what for outcome in outcomes for finding in outcome.findings)


def test_flips_are_of_one_bit_or_one_digit_and_the_same_for_the_same_seed(bench: Bench) -> None:
    kind = Kind("some: kind", ("*.json",), ("checked",))
    flips = [planned(kind, seed, bench.place.root) for seed in range(100)]
    assert flips == [planned(kind, seed, bench.place.root) for seed in range(100)]
    digits = [flip for flip in flips if chr(flip.before).isdigit() and chr(flip.after).isdigit()]
    others = [flip for flip in flips if flip not in digits]
    assert len(digits) >= 40 and all((flip.before ^ flip.after).bit_count() == 1 for flip in others)
    assert all(flip.before != flip.after for flip in flips)


def test_every_kind_has_its_share() -> None:
    kinds = [Kind("a", (), ()), Kind("b", (), (), 0.5)]
    counts = dict.fromkeys("ab", 0)
    for kind, seeds in shared(kinds, 75):
        counts[kind.name] += len(seeds)
    assert counts == {"a": 50, "b": 25}
    assert slug("bundle: runner.pyz, run.sh") == "bundle-runner-pyz-run-sh"


def test_the_page_has_its_place_for_the_tables() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert text.count(page.BEGIN) == text.count(page.END) == 1
