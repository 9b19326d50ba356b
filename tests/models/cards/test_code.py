"""Networks of PyTorch by a card: factories, TorchScript, torch.export. What a user may get wrong is said."""

import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from segeval.errors import ConfigurationError, WeightsError
from segeval.graphs.export import export_fp32
from segeval.graphs.session import DeployedModel
from segeval.models import Segmenter, load_model
from segeval.models.soundness import predict
from tests.graphs.given.networks import image_of

CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, stride=8, body=None):
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 8, 7, stride, 3), nn.Conv2d(8, classes, 1)
        nn.init.normal_(self.head.weight, std=3)
        self.body = body or nn.Identity()

    def forward(self, x):
        return {"out": self.head(torch.relu(self.body(self.first(x)))), "aux": x}

class Plain(Net):
    def forward(self, x):
        return super().forward(x)["out"]

class Lone(Plain):
    def forward(self, x):
        return (super().forward(x),)

class Named(Plain):
    def forward(self, x):
        return {"out": super().forward(x)}

class Late(Plain):
    def forward(self, x):
        import nothing_of_mine

class Turned(Net):
    def forward(self, x):
        return x.mean(), super().forward(x.permute(0, 3, 1, 2))["out"].permute(0, 2, 3, 1).softmax(-1)

class Needing(Net):
    def __init__(self, classes, body):
        super().__init__(classes, 8, body)

class Single(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Conv2d(3, 1, 3, 4, 1)
        nn.init.normal_(self.head.weight, std=3)

    def forward(self, x):
        return self.head(x)

def wide():
    return 3
"""
CARD = """
[source]
{source}
[input]
layout = "{layout}"
colour = "BGR"
range = 255
mean = [100, 110, 120]
std = [50, 60, 70]
[output]
kind = "{kind}"
{output}
[classes]
names = [{names}]
"""
MEAN = torch.tensor([100.0, 110, 120]).view(1, 3, 1, 1)
STD = torch.tensor([50.0, 60, 70]).view(1, 3, 1, 1)


def card(
    folder: Path,
    source: str,
    output: str = 'name = "out"',
    kind: str = "logits",
    layout: str = "NCHW",
    classes: int = 3,
) -> str:
    (folder / "code_of_mine.py").write_text(CODE)
    names = ", ".join(f'"c{number}"' for number in range(classes))
    path = folder / "net.toml"
    path.write_text(CARD.format(source=source, output=output, kind=kind, layout=layout, names=names))
    return str(path)


NET = 'factory = "./code_of_mine.py:Net"\narguments = { classes = 3 }'


def classes_in_code(folder: Path) -> dict[str, type[nn.Module]]:
    """What the code defines, by running it here."""
    space: dict[str, type[nn.Module]] = {}
    exec(CODE, space)
    return space


def agree(segmenter: Segmenter, wanted: Tensor, size: tuple[int, int]) -> None:
    """Logits are those of the network run plainly, and the deployed file gives their labels."""
    image = image_of(0, *size)
    given = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    assert torch.allclose(segmenter(given).softmax(1), wanted.softmax(1), atol=1e-4)
    labels = predict(segmenter, image)
    assert len(set(labels.ravel().tolist())) > 1
    assert (DeployedModel(export_fp32(segmenter, *size)).predict(image) == labels).mean() > 0.999


def prepared(size: tuple[int, int]) -> Tensor:
    image = torch.from_numpy(image_of(0, *size)).permute(2, 0, 1)[None].float()
    return (image.flip(1) - MEAN) / STD


def test_a_dict_of_an_eighth_of_the_size_at_a_size_that_is_no_multiple(tmp_path: Path) -> None:
    segmenter = load_model(card(tmp_path, NET))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = classes_in_code(tmp_path)["Net"](3).eval()
    size = (40, 56)
    with torch.no_grad():
        small = network(prepared(size))["out"]
    agree(segmenter, nn.functional.interpolate(small, size, mode="bilinear"), size)
    assert segmenter.record.card is not None and segmenter.record.card.code == "./code_of_mine.py:Net"
    assert load_model(card(tmp_path, NET)).record == segmenter.record  # what it draws at random is the same again


@pytest.mark.parametrize("name", ["Lone", "Named"])
def test_the_only_part_of_an_answer_needs_no_name(name: str, tmp_path: Path) -> None:
    plain, packed = (load_model(card(tmp_path, NET.replace("Net", each), "")) for each in ("Plain", name))
    images = torch.from_numpy(image_of(0)).permute(2, 0, 1)[None] / 255
    assert torch.equal(plain(images), packed(images))


def test_channels_last_a_tuple_and_probabilities(tmp_path: Path) -> None:
    source = 'factory = "./code_of_mine.py:Turned"\narguments = { classes = 3, stride = 1 }'
    segmenter = load_model(card(tmp_path, source, 'name = "1"', "probabilities", "NHWC"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = classes_in_code(tmp_path)["Turned"](3, 1).eval()
    with torch.no_grad():
        shares = network(prepared((32, 48)).permute(0, 2, 3, 1))[1].permute(0, 3, 1, 2)
    agree(segmenter, shares.clamp(min=1e-6).log(), (32, 48))


def test_a_single_channel(tmp_path: Path) -> None:
    segmenter = load_model(card(tmp_path, 'factory = "./code_of_mine.py:Single"', "", classes=2))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = classes_in_code(tmp_path)["Single"]().eval()
    with torch.no_grad():
        logit = nn.functional.interpolate(network(prepared((32, 48))), (32, 48), mode="bilinear")
    agree(segmenter, torch.cat([torch.zeros_like(logit), logit], 1), (32, 48))


def test_weights_of_a_file(tmp_path: Path) -> None:
    torch.manual_seed(2)
    network = classes_in_code(tmp_path)["Net"](3)
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    segmenter = load_model(card(tmp_path, NET + '\nweights = "w.safetensors"'))
    assert segmenter.record.card is not None
    assert [file.path for file in segmenter.record.card.files] == ["code_of_mine.py", "w.safetensors"]
    with torch.no_grad():
        small = network.eval()(prepared((32, 48)))["out"]
    agree(segmenter, nn.functional.interpolate(small, (32, 48), mode="bilinear"), (32, 48))
    with pytest.raises(WeightsError, match=r"is \(3,.*expected \(4,"):
        load_model(card(tmp_path, NET.replace("3", "4") + '\nweights = "w.safetensors"'))
    state = network.state_dict()
    state["head.weight"][0] = torch.nan
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"head\.weight holds values that are not finite"):
        load_model(card(tmp_path, NET + '\nweights = "w.safetensors"'))


@pytest.mark.long
def test_torchscript_and_torch_export(tmp_path: Path) -> None:
    torch.manual_seed(2)
    plain, network = (classes_in_code(tmp_path)[name](3).eval() for name in ("Plain", "Net"))
    network.load_state_dict(plain.state_dict())
    example = torch.zeros(1, 3, 32, 48)
    with torch.no_grad():
        wanted = nn.functional.interpolate(plain(prepared((32, 48))), (32, 48), mode="bilinear")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(plain, example), tmp_path / "net.ts")  # type: ignore[no-untyped-call]
        torch.export.save(torch.export.export(network, (example,)), tmp_path / "net.pt2")
    for kind, file, output in (("torchscript", "net.ts", ""), ("exported", "net.pt2", 'name = "out"')):
        segmenter = load_model(card(tmp_path, f'{kind} = "{file}"', output))
        agree(segmenter, wanted, (32, 48))
        images = torch.stack([torch.from_numpy(image_of(seed)).permute(2, 0, 1) / 255 for seed in range(2)])
        assert torch.allclose(segmenter(images)[1:], segmenter(images[1:]), atol=1e-4)
        other = "net.pt2" if file == "net.ts" else "net.ts"
        with pytest.raises(WeightsError, match=r"net.* is a .*, not a ") as caught:
            load_model(card(tmp_path, f'{kind} = "{other}"', ""))
        assert f'= "{other}" into [source]' in caught.value.hint


class Joined(nn.Module):
    """Normalization of what is concatenated: PyTorch compiles it for a gradient, and keeps its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.norm = nn.Conv2d(3, 1, 1), nn.Conv2d(3, 2, 1), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        joined: Tensor = self.norm(torch.cat([self.one(x), self.other(x)], 1))
        return joined


def test_torchscript_has_a_gradient_before_and_after_it_was_only_asked(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(Joined().eval(), torch.zeros(1, 3, 32, 48))  # type: ignore[no-untyped-call]
        torch.jit.save(traced, tmp_path / "net.ts")
    segmenter = load_model(card(tmp_path, 'torchscript = "net.ts"', ""))
    for _ in range(2):
        images = torch.rand(1, 3, 32, 48, requires_grad=True)
        segmenter(images).sum().backward()
        predict(segmenter, image_of(0))


def test_a_network_that_is_there_already(tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text(CODE + "\nmade = Net(3)\n")
    made = load_model(card(tmp_path, 'factory = "./made.py:made"'))
    assert predict(made, image_of(0)).shape == (32, 48)
    with pytest.raises(ConfigurationError, match="is not a function") as caught:
        load_model(card(tmp_path, 'factory = "./made.py:made"\narguments = { classes = 3 }'))
    assert "leave [source.arguments] out" in caught.value.hint


def test_arguments_that_are_built_and_that_are_none(tmp_path: Path) -> None:
    built = 'arguments = { classes = 3, stride = 8, body = { factory = "torch.nn:AvgPool2d", kernel_size = 2 } }'
    segmenter = load_model(card(tmp_path, f'factory = "./code_of_mine.py:Net"\n{built}'))
    assert any(isinstance(module, nn.AvgPool2d) for module in segmenter.modules())
    load_model(card(tmp_path, NET.replace(":Net", ":Needing") + '\nnone = ["body"]'))


def test_a_module_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = card(tmp_path, 'factory = "code_of_mine:Single"', "", classes=2)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = (tmp_path / "net.toml").rename(elsewhere / "net.toml")
    with pytest.raises(ConfigurationError, match="no module 'code_of_mine'") as caught:
        load_model(str(moved))
    assert "./FILE.py:Single" in caught.value.hint
    monkeypatch.chdir(tmp_path)
    assert load_model(str(moved)).spec.name == Path(path).stem


def test_modules_of_one_name_beside_two_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one is a package, imports what lies beside it, late, or lies in the current folder."""
    for number, name in enumerate(("a", "b")):
        for place in (tmp_path / name, tmp_path / name / "package_of_mine"):
            place.mkdir()
            (place / "net_of_mine.py").write_text(
                "def build():\n    from help_of_mine import WIDTH\n    from torch import nn\n"
                "    return nn.Conv2d(3, 3, WIDTH, padding='same')\n"
            )
            (place / "__init__.py").touch()
        (tmp_path / name / "help_of_mine.py").write_text(f"WIDTH = {2 * number + 1}\n")
    monkeypatch.chdir(tmp_path / "a")
    for module, file in {
        "net_of_mine": "net_of_mine.py",
        "package_of_mine.net_of_mine": "package_of_mine/net_of_mine.py",
    }.items():
        for number, name in enumerate(("a", "b")):
            segmenter = load_model(card(tmp_path / name, f'factory = "{module}:build"', ""))
            (convolution,) = (each for each in segmenter.modules() if isinstance(each, nn.Conv2d))
            assert convolution.kernel_size == (2 * number + 1,) * 2
            assert segmenter.record.card is not None
            assert {each.path for each in segmenter.record.card.files} - {"package_of_mine/__init__.py"} == {
                file,
                "help_of_mine.py",
            }
    (tmp_path / "b/string").mkdir()
    (tmp_path / "b/string/__init__.py").touch()
    with pytest.raises(ConfigurationError, match=r"string is .*string\.py, not .*b/string/__init__\.py"):
        load_model(card(tmp_path / "b", 'factory = "string:Template"', ""))


def test_files_of_libraries_are_not_recorded_those_of_the_current_folder_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "venv/site-packages").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "venv/site-packages")
    (tmp_path / "venv/site-packages/library_of_test.py").write_text(CODE)
    (tmp_path / "here_of_mine.py").write_text(CODE)
    (tmp_path / "cards").mkdir()
    monkeypatch.chdir(tmp_path)
    for module, files in {"library_of_test": [], "here_of_mine": ["../here_of_mine.py"]}.items():
        segmenter = load_model(card(tmp_path / "cards", f'factory = "{module}:Single"', "", classes=2))
        assert segmenter.record.card is not None and [each.path for each in segmenter.record.card.files] == files


@pytest.mark.parametrize(
    ("source", "output", "what", "hint"),
    [
        (NET, "", "answers with a dict of out, aux", "write [output] name"),
        (NET, 'name = "uot"', "output.name is 'uot'", "did you mean out?"),
        (
            NET.replace("classes", "clases"),
            "",
            "unexpected keyword argument 'clases'",
            "it takes (classes, stride=8, body=None)",
        ),
        (NET.replace("Net", "Nte"), "", "has no 'Nte'", "did you mean Net?"),
        (NET.replace("code_of_mine", "code_of_yours"), "", "no file", "from the card's folder"),
        ('factory = "./code_of_mine.py:wide"', "", "gives a int, not a torch.nn.Module", ""),
        (NET.replace("3", "4"), 'name = "out"', "answers float32 (1, 4, 4, 6) as NCHW, the card names 3", "[classes]"),
        (NET.replace("3 ", "-3 "), "", "fails: ", "[source.arguments]"),
        (NET.replace("Net", "Late"), "", "images of 32x48: ModuleNotFoundError: No module named 'nothing_of_mine'", ""),
        ('torchscript = "gone.ts"', "", "no file", ""),
    ],
)
def test_what_goes_wrong_is_said(tmp_path: Path, source: str, output: str, what: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        predict(load_model(card(tmp_path, source, output)), image_of(0))
    assert what in caught.value.what and hint in caught.value.hint, caught.value.what
