"""What reads the files of a soak, called in this process: what it gives must not change with a changed file.

Each reader gives everything that it computes from the files, or raises an error of segeval's or the runner's.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from segeval.deploy.contents import survey
from segeval.deploy.run_runner import trusted_runner
from segeval.deploy.ssh.unpack import unpack
from segeval.evaluate import evaluate
from segeval.evaluate.compare import compare_runs
from segeval.files.bundles import BundleFolder
from segeval.files.encoding import decode, encode
from segeval.files.experiments import ExperimentFolder
from segeval.files.set_folder import SetFolder
from segeval.files.storage import sha256
from segeval.generate.crafting.craft import Crafter
from segeval.generate.training.config import TrainConfig
from segeval.generate.training.train import train
from segeval.models import load_model
from segeval.reproduce.kang2020 import write_report
from segeval_runner.backends import Settings
from segeval_runner.progress import Progress
from segeval_runner.replay import Options, replay
from tests.soak import trees
from tests.soak.commands import NETWORK
from tests.soak.damage import Kind, Place, Reader

MOST_BYTES = 1 << 30
OTHERS = ("survival", "clean", "curves", "breakdown", "comparisons", "benchmark")
Given = object


def silent(*step: object) -> None:
    """Report no progress."""


def evaluated(place: Place) -> Given:
    """`segeval evaluate`: every file but the pages, and what they show."""
    return report_of(place, place["replay"])


def report_of(place: Place, of: Path, *benches: Path) -> Given:
    """A report with all its files."""
    out = place.fresh("report")
    evaluate(place["craft"], [of], out, progress=silent, benches=benches)
    return trees.files(out)


def with_bench(place: Place) -> Given:
    """`segeval evaluate --bench`."""
    return report_of(place, place["replay"], place["bench"])


def bundled(place: Place) -> Given:
    """What `segeval deploy` reads of a set: all images that it bundles, and the labels that it calibrates with."""
    folder = SetFolder(place["craft"])
    manifest = folder.complete_manifest()
    contents = survey(folder)
    images = {each.key: sha256(each.load().tobytes()) for each in contents.inputs()}
    truth = {id: sha256(np.ascontiguousarray(contents.ground_truth(id)).tobytes()) for id in contents.truth}
    return replace(manifest, samples_sha256=""), images, truth


def verified(place: Place) -> Given:
    """What `segeval replay`, `bench` and `deploy` do with a bundle before anything runs."""
    trusted_runner(place["deploy"], "replay")
    folder = BundleFolder(place["deploy"])
    return encode(folder.verify()), folder.keys()


def replayed(place: Place) -> Given:
    """The runner on a bundle."""
    return labels_of(place["deploy"], place.fresh("replay"))


def labels_of(bundle: Path, out: Path) -> Given:
    """Label maps of a bundle, run here."""
    replay(Options(bundle, out, "", [], 0, Settings(1, out)), Progress(True))
    found = trees.replayed(out)
    return {name: value for name, value in found.items() if name.startswith(NETWORK)}


def continued(place: Place) -> Given:
    """The runner on a replay that was interrupted."""
    return labels_of(place["deploy"], place.copy("replay-begun"))


def unpacked(place: Place) -> Given:
    """A replay that came in one file, evaluated."""
    out = place.fresh("unpacked")
    unpack(place["results.tar"], out, MOST_BYTES)
    return report_of(place, out)


def compared(place: Place) -> Given:
    """`segeval compare` with a report that is as it was."""
    found = compare_runs(place["evaluate"], place["evaluate-too"], 0, silent)
    return encode(found)


def reproduced(place: Place) -> Given:
    """The report of `segeval reproduce`, made anew."""
    out = place.copy("reproduce")
    folder = ExperimentFolder(out)
    write_report(folder, silent)
    return {name: value for name, value in trees.reproduction(out).items() if name.startswith("report/")}


def crafted_on(place: Place) -> Given:
    """`segeval craft --resume` of a set that was interrupted."""
    root = place.copy("craft-begun")
    Crafter(SetFolder(place["craft-kept"]).manifest().config, root).run(True, silent)
    return trees.files(root)


def trained_on(place: Place) -> Given:
    """`segeval train --resume` of a training that was interrupted."""
    out = place.copy("train-begun")
    config = decode((place["train-kept"] / "train.json").read_bytes(), TrainConfig, "train.json")
    return sha256(train(config, out, True, silent, silent).read_bytes())


def loaded(place: Place) -> Given:
    """Weights that were trained, for `segeval score`, `craft` and `deploy`."""
    path = place["train"] / f"{NETWORK}.safetensors"
    state = load_model(f"{NETWORK}={path}").network.state_dict()
    return {name: sha256(tensor.numpy().tobytes()) for name, tensor in state.items()}


READERS: dict[str, Reader] = {
    "evaluate": evaluated,
    "evaluate --bench": with_bench,
    "deploy": bundled,
    "verify": verified,
    "replay": replayed,
    "replay, continued": continued,
    "unpack and evaluate": unpacked,
    "compare": compared,
    "reproduce": reproduced,
    "craft --resume": crafted_on,
    "train --resume": trained_on,
    "score": loaded,
}

SET = ("evaluate", "deploy")
BUNDLE = ("verify", "replay")
KINDS = [
    Kind("set: set.json", ("craft/set.json",), SET),
    Kind("set: samples.jsonl", ("craft/samples.jsonl",), SET),
    Kind("set: PNG", ("craft/**/*.png",), SET),
    Kind("set: margins", ("craft/**/*.npy",), ("evaluate",)),
    Kind("set, interrupted", ("craft-begun/**/*",), ("craft --resume",), 0.4),
    Kind("bundle: bundle.json", ("deploy/bundle.json",), BUNDLE),
    Kind("bundle: ONNX", ("deploy/models/*.onnx",), BUNDLE),
    Kind("bundle: shards", ("deploy/inputs/*.npy",), BUNDLE),
    Kind("bundle: index.jsonl", ("deploy/inputs/index.jsonl",), BUNDLE),
    Kind("bundle: runner.pyz, run.sh", ("deploy/run*",), BUNDLE),
    Kind("replay: replay.json", ("replay/replay.json",), ("evaluate",)),
    Kind("replay: bundle.json", ("replay/bundle.json",), ("evaluate",)),
    Kind("replay: results.jsonl", ("replay/*/results.jsonl",), ("evaluate",)),
    Kind("replay: labels.bin", ("replay/*/labels.bin",), ("evaluate",)),
    Kind("replay, interrupted", ("replay-begun/**/*",), ("replay, continued",)),
    Kind("results.tar", ("results.tar",), ("unpack and evaluate",)),
    Kind("bench.json", ("bench/bench.json",), ("evaluate --bench",)),
    Kind("report: report.json", ("evaluate/report.json",), ("compare",)),
    Kind("report: samples.csv", ("evaluate/samples.csv",), ("compare",)),
    Kind("report: benchmark.json", ("evaluate/benchmark.json",), ("compare",), 0.5),
    Kind("report: other CSV", tuple(f"evaluate/{name}.csv" for name in OTHERS), ("compare",), 0.5),
    Kind("report: report.html", ("evaluate/report.html",), ("compare",), 0.5),
    Kind("report: samples.jsonl, .parquet", ("evaluate/samples.jsonl", "evaluate/*.parquet"), ("compare",), 0.5),
    Kind("reproduction: experiment.json", ("reproduce/experiment.json",), ("reproduce",), 0.4),
    Kind("reproduction: maps", ("reproduce/maps/**/*",), ("reproduce",), 0.4),
    Kind("training: train.json", ("train-begun/train.json",), ("train --resume",), 0.3),
    Kind("training: checkpoint.pt", ("train-begun/checkpoint.pt",), ("train --resume",), 0.3),
    Kind("training: cache", ("train-begun/cache*/*",), ("train --resume",), 0.3),
    Kind("training: weights", ("train/*.safetensors",), ("score",)),
]
