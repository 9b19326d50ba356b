from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from segeval_runner.telemetry.rapl import Counter, find_packages

Write = Callable[[str, object], Path]
MOST = 262_143_328_850


def test_power_is_the_energy_used_since_the_call_before(write: Write) -> None:
    times: Iterator[float] = iter((10.0, 10.5, 12.5))
    file = write("energy_uj", 1_000_000)
    counter = Counter(file, MOST, lambda: next(times))
    assert counter() is None
    write("energy_uj", 6_000_000)
    assert counter() == pytest.approx(10_000)  # 5 J in 0.5 s
    write("energy_uj", 8_000_000)
    assert counter() == pytest.approx(1_000)  # 2 J in 2 s


def test_a_counter_that_began_again_is_followed(write: Write) -> None:
    times: Iterator[float] = iter((0.0, 2.0))
    counter = Counter(write("energy_uj", MOST - 3_000_000), MOST, lambda: next(times))
    assert counter() is None
    write("energy_uj", 1_000_000)
    assert counter() == pytest.approx(2_000)  # 3 J to the end and 1 J from 0, in 2 s


def test_a_gap_is_not_bridged(write: Write) -> None:
    times: Iterator[float] = iter((0.0, 1.0, 2.0, 3.0))
    file = write("energy_uj", 0)
    counter = Counter(file, MOST, lambda: next(times))
    counter()
    file.unlink()
    assert counter() is None
    write("energy_uj", 9_000_000)
    assert counter() is None, "there is nothing to subtract from"
    write("energy_uj", 10_000_000)
    assert counter() == pytest.approx(1_000)


def test_packages_and_nothing_that_holds_them_or_is_part_of_them(tmp_path: Path, write: Write) -> None:
    zones = {
        "intel-rapl:0": "package-0",
        "intel-rapl:0:0": "core",
        "intel-rapl:1": "package-1",
        "intel-rapl:2": "psys",
        "intel-rapl-mmio:0": "package-0",
    }
    for zone, name in zones.items():
        write(f"sys/class/powercap/{zone}/name", name)
        write(f"sys/class/powercap/{zone}/max_energy_range_uj", MOST)
        write(f"sys/class/powercap/{zone}/energy_uj", 5)
    assert list(find_packages(tmp_path)) == ["package-0", "package-1"]
    file = tmp_path / "sys/class/powercap/intel-rapl:1/energy_uj"
    file.unlink()
    file.mkdir()  # unreadable, even for root
    assert list(find_packages(tmp_path)) == ["package-0"]
