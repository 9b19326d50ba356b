"""Crafting in several processes: the same bytes, and nothing lost when one of them ends badly."""

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from segeval.commands.options import worker_count
from segeval.errors import DataError, EngineError, IntegrityError
from segeval.files.encoding import encode
from segeval.files.set_folder import SetFolder
from segeval.generate.crafting.craft import Crafter
from segeval.generate.numerics import one_thread
from segeval.processes import Processes
from segeval.progress import silent
from segeval_runner.environment import usable_cores

OPTIONS = {
    "attacks": ("tanh", "fgsm"),
    "match": ("fgsm=tanh",),
    "scopes": ("full", "local"),
    "within": (1.0,),
    "steps": 3,
}


@pytest.fixture
def config(world: Any) -> Any:
    return replace(world.config, **OPTIONS)


def test_their_number_changes_no_byte(world: Any, config: Any, tree: Any, tmp_path: Path) -> None:
    alone = world.craft(tmp_path / "alone", **OPTIONS)
    said: dict[str, list[tuple[int, int]]] = {}

    def tick(stage: str, done: int, total: int) -> None:
        said.setdefault(stage, []).append((done, total))

    Crafter(config, tmp_path / "two").run(False, tick, workers=2)
    assert tree(SetFolder(tmp_path / "two")) == tree(alone)
    counts = [stage.rpartition(" (")[2] for stage in said if stage != "clean predictions"]
    assert counts == [f"{place} of {len(counts)})" for place in range(1, len(counts) + 1)], "a count for each attack"
    for ticks in said.values():
        assert ticks == sorted(ticks) and ticks[-1][0] == ticks[-1][1]
    assert not multiprocessing.active_children(), "they have ended"


@pytest.mark.long
def test_a_set_begun_by_several_is_finished_by_one(
    world: Any, config: Any, tree: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = world.craft(tmp_path / "whole", **OPTIONS)
    result = Processes.result
    kept = 0

    def killing(self: Any, future: Any) -> Any:
        nonlocal kept
        kept += 1
        if kept == 4:
            for child in multiprocessing.active_children():
                os.kill(child.pid or 0, signal.SIGKILL)
            for child in multiprocessing.active_children():
                child.join()
        return result(self, future)

    monkeypatch.setattr(Processes, "result", killing)
    with pytest.raises(EngineError, match="a crafting process was killed") as caught:
        for _ in range(9):  # what was done before the kill is still handed over
            Crafter(config, tmp_path / "cut").run(kept > 0, silent, workers=2)
    assert "--resume" in caught.value.hint
    assert 3 <= len(list(SetFolder(tmp_path / "cut").samples())) < len(list(whole.samples()))
    assert tree(world.craft(tmp_path / "cut", resume=True, **OPTIONS)) == tree(whole)


def test_what_a_process_raises_arrives(world: Any, config: Any, tmp_path: Path) -> None:
    crafter = Crafter(config, tmp_path / "set")

    def remove(stage: str, done: int, total: int) -> None:
        if stage == "clean predictions" and done == total:
            next((tmp_path / "set" / "clean").iterdir()).unlink()

    with pytest.raises(DataError) as caught:
        crafter.run(False, remove, workers=2)
    assert "clean" in caught.value.what
    assert not multiprocessing.active_children()


def test_weights_that_were_changed_meanwhile_are_noticed(config: Any, world: Any, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(Path(config.models[0].partition("=")[2]).read_bytes())
    own = replace(config, models=(f"espnet-synthetic={weights}",))

    def change(stage: str, done: int, total: int) -> None:
        if stage == "clean predictions" and done == total:
            save_file({key: value + 0.01 for key, value in load_file(weights).items()}, weights)

    with pytest.raises(IntegrityError, match="weights of espnet-synthetic were changed while crafting"):
        Crafter(own, tmp_path / "set").run(False, change, workers=2)
    assert not multiprocessing.active_children()


def test_every_name_of_the_cpu_means_one_thread() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    for name in ("cpu", "cpu:0"):
        with one_thread(name):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_errors_keep_their_advice_between_processes() -> None:
    error = pickle.loads(pickle.dumps(EngineError("what was wrong", "what to do")))
    assert error.__notes__ == ["what to do: what to do"], "a traceback in a notebook tells it, once"
    assert (type(error), error.what, error.hint) == (EngineError, "what was wrong", "what to do")


def test_they_end_without_a_word(tmp_path: Path) -> None:
    """As pip's script starts the command: what it imports first is what Python takes apart first in the end."""
    script = "import sys\nfrom segeval.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n"
    (tmp_path / "segeval.py").write_text(script)
    network = ("--dataset", "synthetic", "--model", "fast-scnn-synthetic", "--attack", "fgsm")
    words = ("craft", "--out", str(tmp_path / "set"), *network, "--limit", "1", "--steps", "1", "--workers", "2")
    command = [sys.executable, "-P", str(tmp_path / "segeval.py"), *words, "--quiet"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Exception ignored" not in ended.stderr


@pytest.mark.long
def test_they_do_not_outlive_a_parent_that_is_killed(config: Any, tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import multiprocessing, os, signal, sys
        from pathlib import Path
        from segeval.generate.crafting.craft import Crafter
        from segeval.files.encoding import decode
        from segeval.files.sets import CraftConfig

        def tick(stage, done, total):
            if stage != "clean predictions" and done:
                print(*(child.pid for child in multiprocessing.active_children()), flush=True)
                os.kill(os.getpid(), signal.SIGKILL)

        if __name__ == "__main__":
            config = decode(Path(sys.argv[1]).read_bytes(), CraftConfig, "config")
            Crafter(config, Path(sys.argv[2])).run(False, tick, workers=2)
        """
    )
    (tmp_path / "script.py").write_text(script)
    (tmp_path / "config.json").write_bytes(encode(config))
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "config.json"), str(tmp_path / "set")]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    children = [int(word) for word in ended.stdout.split()]
    assert len(children) == 2
    until = time.monotonic() + 30
    while time.monotonic() < until and any(map(running, children)):
        time.sleep(0.1)
    assert not any(map(running, children))


def running(process: int) -> bool:
    """Whether it lives; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_cores_are_used_and_a_gpu_by_one_process_unless_told_otherwise() -> None:
    assert worker_count(None, "cpu") == worker_count(None, "cpu:0") == usable_cores()
    assert worker_count(None, "cuda") == worker_count(None, "cuda:1") == 1
    assert worker_count(3, "cpu") == worker_count(3, "cuda") == 3
