"""What a person is told before anything is crafted."""

import pytest

from segeval.files.sets import Scope, TaskRecord
from segeval.generate.crafting.setup import told_of_scopes

EVERY = TaskRecord("untargeted", (0, 1, 2), None, "wrong")
SOME = TaskRecord("0:2", (0,), 2)


@pytest.mark.parametrize(
    ("scopes", "tasks", "told"),
    [
        (("local", "full"), [EVERY, SOME], ["untargeted"]),
        (("full",), [EVERY], []),
        (("local", "full"), [SOME], []),
    ],
)
def test_two_scopes_that_are_nearly_one_are_named(
    scopes: tuple[Scope, ...], tasks: list[TaskRecord], told: list[str]
) -> None:
    assert [line.split()[0] for line in told_of_scopes(scopes, tasks, 3)] == told
