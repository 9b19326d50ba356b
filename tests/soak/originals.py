"""What the files to be damaged are taken from: the results of undisturbed commands, and some that were interrupted."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from segeval.files.encoding import decode
from segeval.files.set_folder import SetFolder
from segeval.generate.training.config import TrainConfig
from segeval.generate.training.train import EpochReport, train
from segeval_runner.pack import pack
from tests.soak.commands import COMMANDS
from tests.soak.world import World


def originals(world: World, root: Path) -> Path:
    """Write them below `root`; the results of all commands must be there."""
    for name in COMMANDS:
        shutil.copytree(world.result(name), root / name)
    shutil.copytree(root / "evaluate", root / "evaluate-too")
    pack(root / "replay", root / "results.tar")
    begun_set(root)
    begun_replay(root)
    begun_training(root)
    return root


def begun_set(root: Path) -> None:
    """A set of which the second half was not crafted yet."""
    shutil.copytree(root / "craft", root / "craft-begun")
    keep(root / "craft", root / "craft-kept", "set.json")
    folder = SetFolder(root / "craft-begun")
    folder.write_manifest(replace(folder.manifest(), complete=False, sample_count=0, samples_sha256="", skipped=()))
    lines = folder.samples_path.read_bytes().splitlines(keepends=True)
    folder.samples_path.write_bytes(b"".join(lines[: len(lines) // 2]))


def begun_replay(root: Path) -> None:
    """A replay whose second engine has half of its results, and whose third was not begun."""
    shutil.copytree(root / "replay", root / "replay-begun")
    path = root / "replay-begun" / "replay.json"
    record = json.loads(path.read_bytes())
    first, second, third = record["engines"]
    record["engines"] = [first, {**second, "complete": False}]
    record.pop("digest", None)
    path.write_text(json.dumps(record, indent=2) + "\n")
    shutil.rmtree(root / "replay-begun" / third["folder"])
    results = root / "replay-begun" / second["folder"] / "results.jsonl"
    lines = results.read_bytes().splitlines(keepends=True)
    results.write_bytes(b"".join(lines[: len(lines) // 2]))


def begun_training(root: Path) -> None:
    """A training of which all epochs but the last two are done."""
    keep(root / "train", root / "train-kept", "train.json")
    config = decode((root / "train" / "train.json").read_bytes(), TrainConfig, "train.json")
    try:
        train(config, root / "train-begun", False, lambda *step: None, stopping(config.epochs - 2))
    except KeyboardInterrupt:
        return


def stopping(epoch: int) -> Callable[[EpochReport], None]:
    """Ctrl-C after an epoch."""

    def heard(report: EpochReport) -> None:
        if report.epoch == epoch:
            raise KeyboardInterrupt

    return heard


def keep(folder: Path, into: Path, name: str) -> None:
    """A copy of one file that nobody damages."""
    into.mkdir()
    shutil.copy(folder / name, into / name)
