"""From a user's ONNX file and a folder of images to a report, by typing alone; and what code may come with a set."""

import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from segeval.api import deploy
from segeval.classes import CITYSCAPES
from segeval.commands.model import Pictures, how_to_attack
from segeval.deploy.cards.trials import UNLABELLED
from segeval.errors import ConfigurationError
from segeval.files.set_folder import SetFolder
from tests.graphs.given.networks import CASES, NCHW, Ending, Small, export, image_of, large, plain_labels, same

Call = Callable[..., Any]
CLASSES = ("road", "car", "sky", "pole", "bus")
CODE = "import torch\nfrom torch import nn\n\ndef net():\n    return nn.Conv2d(3, 5, 3, 1, 1)\n"
ROUNDED = """
class Rounded(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = net()

    def forward(self, x):
        return self.network((x * 255).round() / 255)

class Detached(Rounded):
    def forward(self, x):
        return self.network(x.detach())
"""
PLAIN = '[input]\nlayout = "NCHW"\ncolour = "RGB"\nrange = 1\n[output]\nkind = "logits"\n[classes]\n'
PLAIN += f"names = {list(CLASSES)}\n".replace("'", '"')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: net.onnx, and images with the labels that it gives when it is run as it was trained."""
    root = tmp_path_factory.mktemp("user")
    export(root / "net.onnx", Ending(Small(5), same, large), NCHW)
    for seed in range(4):
        image = image_of(seed)
        labels = plain_labels(CASES["plain"], root / "net.onnx", image).astype(np.uint8)
        for kind, pixels in (("images", image), ("masks", labels)):
            path = root / "data" / kind / f"{seed}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    (root / "data/classes.txt").write_text("\n".join(CLASSES))
    return root


def test_from_a_file_and_a_folder_to_a_report(
    folder: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "user")
    monkeypatch.chdir(tmp_path / "user")
    ended = call("model", "init", "net.onnx", "--data-root", "data")
    assert (ended.code, ended.out.strip()) == (0, "net.toml"), ended.err
    assert "mIoU 100.0 % with RGB, ImageNet's mean and std" in ended.err
    text = Path("net.toml").read_text()
    assert re.search(r"^range = 1  # best of 10 tried: mIoU 100.0 %; next: \w+, .*, \d+\.\d %$", text, re.M), text
    for key in ("mean", "std"):
        guess = "  # unsure: the best of ten common ones; write those of your training"
        assert re.search(rf"^{key} = \[.*\]{guess}$", text, re.M) and f"unsure: input.{key}: " in ended.err
    assert 'names = ["road", "car", "sky", "pole", "bus"]' in text and "size = [32, 48]" in text
    ended = call("model", "check", "net.toml", "--data-root", "data")
    assert ended.code == 0 and "clean mIoU on 4 images: 100.0 %" in ended.out, ended.out + ended.err
    assert "warning" not in ended.out and ended.out.count("ok: ") == 6
    assert "--dataset folder --data-root data --model net.toml --size 32x48 --attack quick" in ended.err
    crafting = ("--dataset", "folder", "--data-root", "data", "--model", "net.toml", "--task", "untargeted")
    ended = call(
        "craft", "--out", "set", *crafting, "--scope", "local", "--steps", "3", "--limit", "2", "--workers", "1"
    )
    assert ended.code == 0 and "next: segeval deploy set --out bundle\n" in ended.err, ended.err
    ended = call("deploy", "set", "--out", "bundle", "--precision", "fp32,int8", "--quiet")
    assert ended.code == 0, ended.err
    ended = call("replay", "bundle", "--out", "replay", "--quiet")
    assert ended.code == 0, ended.err
    ended = call("evaluate", "set", "replay", "--out", "report", "--quiet")
    assert ended.code == 0 and (tmp_path / "user/report/report.html").is_file(), ended.err
    assert re.search(r"into\s+a\s+wrong\s+class\s+on\s+the\s+desktop", ended.out + ended.err)


def test_a_card_that_is_not_sure_says_so(folder: Path, tmp_path: Path, call: Call) -> None:
    shutil.copy(folder / "net.onnx", tmp_path)
    ended = call("model", "init", tmp_path / "net.onnx")
    assert ended.code == 0 and "unsure: input.colour" in ended.err and "unsure: classes" in ended.err
    text = (tmp_path / "net.toml").read_text()
    assert re.search(r"^colour = .*# unsure: ", text, re.M) and '"class-4"' in text
    ended = call("model", "init", tmp_path / "net.onnx")
    assert ended.code == 2 and "already exists" in ended.err
    ended = call("model", "init", tmp_path / "other.onnx")
    assert ended.code == 2 and "no file" in ended.err
    (tmp_path / "other.pt2").touch()
    ended = call("model", "init", tmp_path / "other.pt2")
    assert ended.code == 2 and "docs/own-network.md" in ended.err
    ended = call("model", "init", tmp_path / "net.onnx", "--image", folder / "data/images/0.png")
    assert ended.code == 2 and "need each other" in ended.err


def test_a_folder_without_labels_and_class_list_gets_numbered_classes(
    folder: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(folder / "net.onnx", tmp_path)
    shutil.copytree(folder / "data/images", "pictures")
    ended = call("model", "init", "net.onnx", "--data-root", "pictures")
    assert ended.code == 0, ended.err
    (told,) = [line for line in ended.err.splitlines() if line.startswith("unsure: classes:")]
    assert "replace class-0 to class-4 by their names" in told and "[classes] of the card" in told
    assert ended.err.endswith("next: segeval model check net.toml --data-root pictures\n")
    assert 'names = ["class-0", "class-1", "class-2", "class-3", "class-4"]' in Path("net.toml").read_text()
    ended = call("model", "check", "net.toml", "--data-root", "pictures")
    assert ended.code == 0 and "describes net: 5 classes of its own, from source.onnx" in ended.out, ended.err
    assert "warning: no image has labels" in ended.out
    assert "a task of yours is --task class-0:class-4, more: segeval ls tasks --model net.toml\n" in ended.err
    words = "--dataset folder --data-root pictures --model net.toml --task untargeted --size 32x48 --attack quick"
    assert ended.err.endswith(f"next: segeval craft --out runs/set {words}\n")
    shutil.copytree(folder / "data", "labelled")
    Path("labelled/classes.txt").unlink()
    Path("net.toml").unlink()
    ended = call("model", "init", "net.onnx", "--data-root", "labelled")
    assert ended.code == 2 and "has masks, but no class list" in ended.err and not Path("net.toml").exists()


def test_a_folder_that_has_no_split_of_the_usual_name_is_read_by_another(
    folder: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(folder / "net.onnx", tmp_path)
    for split in ("train", "val"):
        shutil.copytree(folder / "data/images", Path("pictures", split, "images"))
    ended = call("model", "init", "net.onnx", "--data-root", "pictures")
    assert ended.code == 2 and "has no split 'test'" in ended.err and "train, val" in ended.err
    here = ("--data-root", "pictures", "--split", "val")
    ended = call("model", "init", "net.onnx", *here)
    assert ended.err.endswith(f"next: segeval model check net.toml {' '.join(here)}\n"), ended.err
    ended = call("model", "check", "net.toml", *here)
    assert ended.code == 0, ended.err
    assert f"next: segeval craft --out runs/set --dataset folder {' '.join(here)} --model net.toml" in ended.err


def test_a_value_of_masks_that_never_counts_is_ignored_here_too(
    folder: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(folder / "net.onnx", tmp_path)
    shutil.copytree(folder / "data", "pictures")
    for path in Path("pictures/masks").iterdir():
        labels = np.array(Image.open(path))
        labels[:8] = 99
        Image.fromarray(labels).save(path)
    here = ("--data-root", "pictures", "--ignore", "99")
    ended = call("model", "init", "net.onnx", *here[:2])
    assert ended.code == 2 and "99" in ended.err
    ended = call("model", "init", "net.onnx", *here)
    assert ended.code == 0, ended.err
    assert ended.err.endswith(f"next: segeval model check net.toml {' '.join(here)}\n")
    ended = call("model", "check", "net.toml", *here)
    assert ended.code == 0 and "mIoU" in ended.out, ended.err


def test_the_next_command_has_a_task_that_the_classes_allow_and_no_placeholder() -> None:
    card, size, here = Path("net.toml"), (32, 64), Pictures(None, Path("pictures"), "", ())
    numbered = replace(CITYSCAPES, names=("class-0",), palette=((0, 0, 0),), canonical=("class-0",))
    words = "next: segeval craft --out runs/set --dataset folder --data-root pictures --model net.toml"
    assert how_to_attack(card, CITYSCAPES, here, size) == f"{words} --size 32x64 --attack quick"
    assert how_to_attack(card, numbered, here, size) == f"{words} --task untargeted --size 32x64 --attack quick"
    assert "next:" not in how_to_attack(card, CITYSCAPES, replace(here, root=None), size)
    named = replace(here, root=None, dataset="camvid")
    assert "--dataset camvid --model" in how_to_attack(card, CITYSCAPES, named, size)


def test_a_card_that_is_wrong_is_doubted(folder: Path, tmp_path: Path, call: Call) -> None:
    shutil.copy(folder / "net.onnx", tmp_path)
    image, mask = (folder / "data" / kind / "0.png" for kind in ("images", "masks"))
    ended = call("model", "init", tmp_path / "net.onnx", "--image", image, "--mask", mask, "--out", tmp_path / "a.toml")
    assert ended.code == 0, ended.err
    card = (tmp_path / "a.toml").read_text()
    wrong = re.sub(r"names = .*", 'names = ["bus", "pole", "road", "car", "sky"]', card)
    right_order = re.sub(r"names = .*", f"names = {list(CLASSES)!r}".replace("'", '"'), card)
    exchanged = right_order.replace('"RGB"', '"BGR"').replace("std = [0.229", "std = [2.29")
    (tmp_path / "a.toml").write_text(wrong)
    ended = call("model", "check", tmp_path / "a.toml", "--data-root", folder / "data")
    assert ended.code == 2 and "class 0 is 'bus'" in ended.err
    (tmp_path / "a.toml").write_text(exchanged)
    ended = call("model", "check", tmp_path / "a.toml", "--data-root", folder / "data")
    assert ended.code == 0 and re.search(r"^warning: clean mIoU on 4 images: 1\d\.\d %$", ended.out, re.M)
    assert "warning: a gets " in ended.out and "next:" not in ended.err
    flat = re.sub(r"std = .*", "std = [1e6, 1e6, 1e6]", right_order)
    (tmp_path / "a.toml").write_text(flat)
    ended = call("model", "check", tmp_path / "a.toml", "--data-root", folder / "data")
    assert ended.code == 0 and "warning: it gives one class everywhere" in ended.out, ended.out


def test_what_an_attack_cannot_follow_is_found(tmp_path: Path, call: Call) -> None:
    (tmp_path / "mine.py").write_text(CODE + ROUNDED)
    for name, said in {"Rounded": "has no gradient", "Detached": "has no gradient"}.items():
        (tmp_path / "net.toml").write_text(f'[source]\nfactory = "./mine.py:{name}"\n' + PLAIN)
        ended = call("model", "check", tmp_path / "net.toml", "--size", "32x48")
        assert ended.code == 2 and said in ended.err, ended.err


def test_a_dataset_needs_no_folder_and_few_images_without_labels_are_looked_at(
    folder: Path, tmp_path: Path, call: Call
) -> None:
    ended = call("model", "init", folder / "net.onnx", "--dataset", "synthetic", "--out", tmp_path / "a.toml")
    assert ended.code == 2 and "the network has 5 outputs, the dataset" in ended.err, ended.err
    (tmp_path / "net.toml").write_text(f'[source]\nonnx = "{folder / "net.onnx"}"\n' + PLAIN)
    ended = call("model", "check", tmp_path / "net.toml", "--dataset", "synthetic")
    assert ended.code == 2 and "have different classes" in ended.err, ended.err
    (tmp_path / "images").mkdir()
    for number in range(UNLABELLED):
        shutil.copy(folder / "data/images/0.png", tmp_path / f"images/{number:03}.png")
    (tmp_path / "images/999.png").write_bytes(b"not looked at")
    ended = call("model", "check", tmp_path / "net.toml", "--data-root", tmp_path)
    assert ended.code == 0 and "its classes are those of the network" in ended.err, ended.err
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES))
    (tmp_path / "labels").mkdir()
    ended = call("model", "check", tmp_path / "net.toml", "--data-root", tmp_path)
    assert "not in labels/ that is there. Rename it to masks" in ended.err
    assert "warning: no image has labels, so the clean mIoU is unknown" in ended.out, ended.err


def crafted(folder: Path, here: Path, call: Call, card: str) -> Any:
    options = ("--dataset", "folder", "--data-root", folder / "data", "--task", "untargeted", "--scope", "local")
    return call(
        "craft", "--out", here / "set", *options, "--model", card, "--steps", "1", "--limit", "1", "--workers", "1"
    )


def test_code_of_a_card_is_not_run_when_a_set_names_it(folder: Path, tmp_path: Path, call: Call) -> None:
    (tmp_path / "mine.py").write_text("import help_of_test\n" + CODE)
    (tmp_path / "help_of_test.py").write_text("WIDTH = 3\n")
    card = tmp_path / "mine.toml"
    card.write_text(f'[source]\nfactory = "./mine.py:net"\n{PLAIN}')
    ended = crafted(folder, tmp_path, call, str(card))
    assert ended.code == 0 and "--allow ./mine.py:net" in ended.err, ended.err
    ran = tmp_path / "ran"
    (tmp_path / "mine.py").write_text(f"open({str(ran)!r}, 'w')\n" + CODE)
    deploying = ("deploy", tmp_path / "set", "--out", tmp_path / "bundle", "--precision", "fp32", "--quiet")
    ended = call(*deploying)
    assert ended.code == 2 and "--allow ./mine.py:net" in ended.err and not ran.exists()
    ended = call(*deploying, "--allow", "./mine.py:net")
    assert ended.code == 2 and "mine.py" in ended.err and "is another file now" in ended.err and not ran.exists()
    (tmp_path / "mine.py").write_text("import help_of_test\n" + CODE)
    (tmp_path / "help_of_test.py").write_text(f"open({str(ran)!r}, 'w')\n")
    ended = call(*deploying, "--allow", "./mine.py:net")
    assert ended.code == 2 and "help_of_test.py" in ended.err and "is another file now" in ended.err
    assert not ran.exists(), "what the code imports from beside the card is proved as well"
    (tmp_path / "help_of_test.py").write_text("WIDTH = 3\n")
    assert call(*deploying, "--allow", "./mine.py:net").code == 0


def test_code_of_a_card_runs_from_python_only_where_it_is_allowed(folder: Path, tmp_path: Path, call: Call) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    card = tmp_path / "mine.toml"
    card.write_text(f'[source]\nfactory = "./mine.py:net"\n{PLAIN}')
    ended = crafted(folder, tmp_path, call, str(card))
    assert ended.code == 0, ended.err
    for allow in ((), ("./other.py:net",)):
        with pytest.raises(ConfigurationError, match=r"mine\.py:net"):
            deploy(tmp_path / "set", tmp_path / "bundle", precisions=["fp32"], allow=allow)
        assert not (tmp_path / "bundle").exists()
    with pytest.raises(ConfigurationError, match="allow is one text"):
        deploy(tmp_path / "set", tmp_path / "bundle", precisions=["fp32"], allow="./mine.py:net")
    bundle = deploy(tmp_path / "set", tmp_path / "bundle", precisions=["fp32"], allow=["./mine.py:net"])
    assert [engine.name for engine in bundle.manifest.engines] == ["mine.fp32"]


def test_a_card_or_file_that_is_another_by_now_is_refused(folder: Path, tmp_path: Path, call: Call) -> None:
    shutil.copy(folder / "net.onnx", tmp_path)
    call("model", "init", tmp_path / "net.onnx", "--data-root", folder / "data")
    ended = crafted(folder, tmp_path, call, f"mine={tmp_path / 'net.toml'}")
    assert ended.code == 0, ended.err
    (record,) = SetFolder(tmp_path / "set").manifest().models
    assert record.name == "mine" and record.card is not None and not record.card.code
    deploying = ("deploy", tmp_path / "set", "--out", tmp_path / "bundle", "--precision", "fp32", "--quiet")
    whole = (tmp_path / "net.toml").read_text()
    (tmp_path / "net.toml").write_text(whole + "\n")
    ended = call(*deploying)
    assert ended.code == 2 and "not it: net.toml" in ended.err and "--model mine=CARD" in ended.err
    elsewhere = tmp_path / "elsewhere/net.toml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(whole)
    (tmp_path / "net.onnx").rename(tmp_path / "net.away")
    ended = call(*deploying, "--model", f"mine={elsewhere}")
    assert ended.code == 2 and "is not here" in ended.err
    model = onnx.load(tmp_path / "net.away")
    model.producer_name = "somebody else"
    onnx.save(model, elsewhere.with_name("net.onnx"))
    ended = call(*deploying, "--model", f"mine={elsewhere}")
    assert ended.code == 2 and "is another file now" in ended.err
    (tmp_path / "net.away").rename(tmp_path / "renamed.onnx")
    elsewhere.rename(tmp_path / "renamed.toml")
    assert call(*deploying).code == 0, "both are found beside the set, by what they hold"


def test_what_is_no_card_is_followed_by_the_way_to_one(
    folder: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mynet_of_test.py").write_text(CODE)
    (tmp_path / "broken_of_test.py").write_text("raise ValueError('not today')")
    shutil.copy(folder / "net.onnx", tmp_path)
    with zipfile.ZipFile("net.ts", "w") as archive:  # what torch.jit.save writes among others
        archive.writestr("net/data.pkl", b"")
        archive.writestr("net/code/__torch__.py", "")
    for model, said in {
        "net.onnx": "segeval model init net.onnx",
        "net.pt2": "docs/own-network.md",
        "label=net.ts": "docs/own-network.md",
        "mynet_of_test:net": 'factory = "mynet_of_test:net"',
        "./mynet_of_test.py:net": 'factory = "./mynet_of_test.py:net"',
        "mynet_of_test:nte": "did you mean net?",
        "broken_of_test:net": "ValueError: not today",
        "mynet_of_test.py": 'factory = "mynet_of_test.py:FUNCTION"',
        "net.pth": "--model NAME=net.pth",
        "espnet-cityscapes=net.onnx": 'onnx = "net.onnx"',
        "espnet-cityscapes=net.ts": 'torchscript = "net.ts"',
        "nowhere.toml": "segeval model init",
    }.items():
        ended = crafted(folder, tmp_path, call, model)
        assert ended.code == 2 and said in ended.err and "Traceback" not in ended.err, (model, ended.err)
        assert "weights_only" not in ended.err
    ended = call("model", "check", "net.onnx")
    assert ended.code == 2 and "segeval model init net.onnx" in ended.err


def test_tasks_of_a_card(tmp_path: Path, call: Call) -> None:
    card = tmp_path / "net.toml"
    card.write_text('[source]\nonnx = "net.onnx"\n' + CASES["plain"].card)
    ended = call("ls", "tasks", "--model", card)
    assert ended.code == 0 and "car:*" in ended.out and "vehicle-to-road" in ended.out
    assert "vru-lost" not in ended.out
    ended = call("ls", "models", "--model", card)
    assert ended.code == 2 and "ls tasks --model" in ended.err
