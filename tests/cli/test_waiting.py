"""How long PyTorch's threads keep a core busy while they wait."""

import os
import subprocess
import sys

import pytest

CODE = """
import os, sys
from segeval.cli import main
sys.argv = ["segeval", "ls", "tasks"]
try:
    main()
finally:
    print(os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("variables", "found"),
    [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_a_command_shortens_it_before_torch_is_there_unless_the_user_says(
    variables: dict[str, str], found: str
) -> None:
    own = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run([sys.executable, "-c", CODE], env=own | variables, capture_output=True, text=True, check=True)
    assert done.stderr.split() == [found, "False"]
