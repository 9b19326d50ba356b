"""What the processes of a group tell each other; here they are threads around a store in memory."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from torch._C._distributed_c10d import HashStore

from segeval.errors import EngineError
from segeval.generate import group as groups
from segeval.generate.group import ALONE, Group

T = TypeVar("T")


def in_each(size: int, work: Callable[[Group], T]) -> list[T]:
    """What `work` gives in every process of a group."""
    store = HashStore()
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work, [Group(rank, size, store) for rank in range(size)]))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_what_all_have_done_comes_together_in_order(size: int) -> None:
    def work(group: Group) -> tuple[list[int], list[int], int]:
        own = [number * number for number in group.share(range(7))]
        return group.gathered(own), group.each(group.rank), group.told(lambda: group.rank + 5)

    expected = ([number * number for number in range(7)], list(range(size)), 5)
    assert in_each(size, work) == [expected] * size
    assert ALONE.gathered(list(ALONE.share(range(3)))) == [0, 1, 2]


def test_every_number_is_taken_once() -> None:
    taken = in_each(3, lambda group: [group.take() for _ in range(20)])
    assert sorted(number for own in taken for number in own) == list(range(60))


def test_long_messages_arrive_and_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "PIECE", 10)
    store = HashStore()
    group = Group(0, 2, store)
    group.post("long", list(range(100)))
    assert group.posted("long") and group.received("long") == list(range(100))
    group.forget("long")
    assert not group.posted("long") and not store.check(["long/0"])


def test_a_process_that_falls_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "BEAT_S", 0.0)
    monkeypatch.setattr(groups, "SILENCE_S", 0.1)
    with pytest.raises(EngineError, match="process 0 of 2 has not been heard of") as caught:
        Group(1, 2, HashStore()).awaited("what never comes")
    assert "--resume" in caught.value.hint


def test_a_process_ends_well_while_it_gives_signs_of_life() -> None:
    script = "import time; from segeval.generate import group; group.BEAT_S = 0.0; group.joined(); time.sleep(0.05)"
    torchrun = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "0"}
    environment = {**os.environ, **torchrun, "TORCHELASTIC_RUN_ID": "alone"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_processes_that_start_again_meet_under_a_new_name() -> None:
    store = HashStore()  # torchrun's, which outlives them

    def names() -> list[str]:
        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(lambda rank: groups.agreed(store, rank, 3, 10.0), range(3)))

    first, again = names(), names()
    assert len(set(first)) == len(set(again)) == 1 and first != again
    with pytest.raises(EngineError, match="process 0 of 2 has waited 0 s for the others to start"):
        groups.agreed(HashStore(), 0, 2, 0.1)
