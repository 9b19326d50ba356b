"""Weight files: every form that loads, and every one that is refused with a message that says why."""

import pickle
import random
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from segeval.deploy.given import Given, load_victim
from segeval.errors import IntegrityError, UnknownNameError, WeightsError
from segeval.files.storage import sha256_file
from segeval.models import Segmenter, WeightsFile, load_model
from segeval.models.loading import build_network, find_weights, load_spec, read_state, weights_status
from segeval.models.safe import to_safetensors
from segeval.registry import MODELS

Random = Callable[[str], Segmenter]
State = dict[str, Tensor]
ESPNET, ESPNETV2, FAST_SCNN = "espnet-synthetic", "espnetv2-cityscapes", "fast-scnn-synthetic"


@pytest.fixture(scope="session")
def states(random_model: Random) -> dict[str, State]:
    return {name: dict(random_model(name).network.state_dict()) for name in (ESPNET, ESPNETV2, FAST_SCNN)}


@pytest.fixture
def keep(tmp_path: Path) -> Callable[..., Path]:
    """Save anything as a weight file of this name."""

    def save(content: Any, name: str = "weights.pth", **options: Any) -> Path:
        path = tmp_path / name
        if name.endswith(".safetensors"):
            save_file(content, path)
        else:
            torch.save(content, path, **options)
        return path

    return save


def require_same(name: str, path: Path, state: State) -> None:
    """The file gives a network with exactly these parameters."""
    segmenter = load_model(f"{name}={path}")
    found = segmenter.network.state_dict()
    assert all(torch.equal(found[key], value) for key, value in state.items() if not key.startswith("auxlayer."))
    assert segmenter.record.weights == str(path)
    assert segmenter.record.weights_sha256 == sha256_file(path)


def message(name: str, path: Path) -> str:
    """What a user is told who gives this file."""
    with pytest.raises(WeightsError) as caught:
        load_model(f"{name}={path}")
    assert str(path) in caught.value.what
    return f"{caught.value.what} | {caught.value.hint}"


@pytest.mark.parametrize("name", [ESPNET, ESPNETV2, FAST_SCNN])
def test_every_usual_form_of_a_state_dict_loads(name: str, states: dict[str, State], keep: Callable[..., Path]) -> None:
    state = states[name]
    parallel = {f"module.{key}": value for key, value in state.items()}
    bare = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    assert len(bare) < len(state)
    require_same(name, keep(state, "a.safetensors"), state)
    require_same(name, keep(parallel, "b.safetensors"), state)
    require_same(name, keep(bare, "c.safetensors"), bare)
    require_same(name, keep(state, "a.pth"), state)
    require_same(name, keep(state, "legacy.pth", _use_new_zipfile_serialization=False), state)
    require_same(name, keep(parallel, "b.pt"), state)
    for wrapper in ("state_dict", "model_state_dict", "model", "net"):
        require_same(name, keep({wrapper: parallel, "epoch": 3, "best": 0.5}, "wrapped.pth"), state)
    half = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    rounded = {key: value.float() if value.is_floating_point() else value for key, value in half.items()}
    require_same(name, keep(half, "half.pth"), rounded)
    require_same(name, keep(half, "half.safetensors"), rounded)


def test_fast_scnn_needs_no_auxiliary_head(states: dict[str, State], keep: Callable[..., Path]) -> None:
    state = {key: value for key, value in states[FAST_SCNN].items() if not key.startswith("auxlayer.")}
    require_same(FAST_SCNN, keep(state), state)


def test_weights_that_do_not_fit_are_named(states: dict[str, State], keep: Callable[..., Path]) -> None:
    espnet, fast = states[ESPNET], states[FAST_SCNN]
    assert "not weights of an ESPNet" in message(ESPNET, keep(fast))
    assert "missing classifier" in message(FAST_SCNN, keep(espnet))
    alone = {key.removeprefix("encoder."): value for key, value in espnet.items() if key.startswith("encoder.")}
    assert "only the encoder (ESPNet-C)" in message(ESPNET, keep(alone))
    text = message("espnet-cityscapes", keep(espnet))
    assert "19 outputs, expected 20" in text
    assert "espnet_p_2_q_8.pth" in text
    few = dict(build_network(replace(load_spec(FAST_SCNN), outputs=("a", "b", "c")), None).state_dict())
    assert "is (3, 128, 1, 1), expected (19, 128, 1, 1)" in message(FAST_SCNN, keep(few))
    lacking = {key: value for key, value in espnet.items() if key != "br.weight"}
    assert "missing br.weight" in message(ESPNET, keep(lacking))
    assert "unexpected extra" in message(ESPNET, keep({**espnet, "extra": torch.ones(1)}))
    wide = {**espnet, "encoder.b1.bn.weight": torch.ones(20)}
    assert "encoder.b1.bn.weight is (20,), expected (19,)" in message(ESPNET, keep(wide))


def test_weights_that_are_not_an_espnetv2_are_named(states: dict[str, State], keep: Callable[..., Path]) -> None:
    state = states[ESPNETV2]
    for other in (ESPNET, FAST_SCNN):
        text = message(ESPNETV2, keep(states[other]))
        assert "not weights of an ESPNetv2" in text
        assert "espnetv2_s_1.0_city_1024x512.pth" in text
    assert "not weights of an ESPNet" in message(ESPNET, keep(state))
    alone = {key.removeprefix("base_net."): value for key, value in state.items() if key.startswith("base_net.")}
    assert "only the encoder" in message(ESPNETV2, keep(alone))
    encoder = {key: value for key, value in state.items() if key.startswith("base_net.")}
    assert "an ESPNetv2 with its decoder: bu_dec_l4.merge_layer.3.weight is missing" in message(ESPNETV2, keep(encoder))
    few = dict(build_network(replace(load_spec(ESPNETV2), outputs=("a", "b", "c")), None).state_dict())
    assert "3 outputs, expected 20" in message(ESPNETV2, keep(few))
    lacking = {key: value for key, value in state.items() if key != "base_net.level4_0.eesp.module_act.weight"}
    assert "missing base_net.level4_0.eesp.module_act.weight" in message(ESPNETV2, keep(lacking))
    assert "unexpected extra" in message(ESPNETV2, keep({**state, "extra": torch.ones(1)}))
    for key, odd in (("level2_0.act", 66), ("level3_0.act", 64), ("level1.conv", 30)):
        text = message(ESPNETV2, keep({**state, f"base_net.{key}.weight": torch.ones(odd)}))
        assert "channels, which no ESPNetv2 has" in text
    wider = {**state, "base_net.level4_0.act.weight": torch.ones(320)}
    assert "expected" in message(ESPNETV2, keep(wider))
    for odd_tensor in (torch.tensor(1.0), torch.ones(0)):
        text = message(ESPNETV2, keep({**state, "bu_br_l2.0.weight": odd_tensor}))
        assert "bu_br_l2.0.weight is missing or empty" in text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(value: float, states: dict[str, State], keep: Any) -> None:
    state = {key: tensor.clone() for key, tensor in states[ESPNET].items()}
    state["encoder.level1.conv.weight"][3, 1, 0, 2] = value
    assert "encoder.level1.conv.weight holds values that are not finite" in message(ESPNET, keep(state))


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def test_a_pickle_with_code_in_it_is_refused_and_not_run(tmp_path: Path, keep: Callable[..., Path]) -> None:
    trace = tmp_path / "the-code-was-run"
    bare = tmp_path / "bare.pth"
    bare.write_bytes(pickle.dumps({"encoder.level1.conv.weight": Payload(trace)}, protocol=2))
    legacy = keep({"weight": Payload(trace)}, "legacy.pth", _use_new_zipfile_serialization=False)
    for path in (bare, keep({"weight": Payload(trace)}, "zip.pth"), legacy):
        assert "loading it could run code" in message(ESPNET, path)
        assert not trace.exists()
    pickle.loads(bare.read_bytes())
    assert trace.exists(), "the payload works, so its silence above means something"


@pytest.mark.parametrize("legacy", [False, True])
def test_truncated_and_damaged_files_are_refused(legacy: bool, tmp_path: Path, keep: Callable[..., Path]) -> None:
    content = {"weight": torch.ones(3, 3), "bias": torch.zeros(3)}
    good = keep(content, _use_new_zipfile_serialization=not legacy).read_bytes()
    path = tmp_path / "damaged.pth"
    for length in (0, 1, 10, 100, len(good) // 2, len(good) - 5):
        path.write_bytes(good[:length])
        assert "weight file" in message(ESPNET, path) or "is refused" in message(ESPNET, path)
    dice, refused = random.Random(0), 0
    for _ in range(150):
        data = bytearray(good)
        for _ in range(3):
            data[dice.randrange(len(data))] = dice.randrange(256)
        path.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch warns about odd pickle protocols
            try:
                read_state(path)
            except WeightsError:
                refused += 1
    assert refused > 20


@pytest.mark.parametrize(
    "content", [b"", b"these are my weights\n" * 9, b"version https://git-lfs.github.com/spec/v1\n"]
)
@pytest.mark.parametrize("name", ["text.pth", "text.safetensors"])
def test_text_is_no_weight_file(content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    text = message(ESPNET, tmp_path / name)
    assert "is not a" in text or "contains more than tensors" in text


def test_what_is_no_state_dict_is_named(keep: Callable[..., Path]) -> None:
    assert "holds a Tensor, not a state dict" in message(ESPNET, keep(torch.ones(3)))
    assert "holds a dict, not a state dict" in message(ESPNET, keep({}))
    assert "holds a dict, not a state dict" in message(ESPNET, keep({}, "empty.safetensors"))
    assert "epoch is not a tensor" in message(ESPNET, keep({"epoch": 3, "weight": torch.ones(1)}))


def test_files_and_names_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no weight file" in message(ESPNET, tmp_path / "gone.pth")
    assert "no weight file" in message(ESPNET, tmp_path)
    with pytest.raises(UnknownNameError) as caught:
        load_model("espnet-cityscape")
    assert "espnet-cityscapes" in caught.value.hint
    monkeypatch.setenv("SEGEVAL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(WeightsError, match=r"espnet_p_2_q_8\.pth") as missing:
        load_model("espnet-cityscapes")
    for place in ("data/weights", "cache/segeval/weights"):
        assert str(tmp_path / place / "espnet_p_2_q_8.pth") in missing.value.what
    assert "--model espnet-cityscapes=WEIGHTS" in missing.value.hint
    assert weights_status(load_spec("espnet-cityscapes")) == "missing"
    with pytest.raises(WeightsError, match="has no weights of its own"):
        load_model("fast-scnn-cityscapes")


def test_a_registered_file_is_held_to_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGEVAL_DATA", str(tmp_path))
    path = tmp_path / "weights" / "mine.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"anything")
    registered = replace(load_spec(ESPNET), weights=WeightsFile(path.name, sha256_file(path), "nowhere"))
    assert find_weights(registered) == path
    assert weights_status(registered) == "here"
    path.write_bytes(b"something else")
    with pytest.raises(WeightsError, match="is not the registered file") as caught:
        find_weights(registered)
    assert f"--model {ESPNET}={path}" in caught.value.hint


def test_bundled_weights_are_the_registered_ones() -> None:
    for spec in map(load_spec, MODELS):
        if spec.weights is not None and spec.weights.bundled:
            assert weights_status(spec) == "bundled"
            assert load_model(spec.name).record.weights_sha256 == spec.weights.sha256


def test_a_users_own_network_is_found_again_by_what_it_was_loaded_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_network.py").write_text(
        "from dataclasses import replace\n"
        "from segeval.models.loading import load_spec\n"
        "SPEC = replace(load_spec('espnet-synthetic'), name='own')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    record = load_model("own_network:SPEC").record
    assert (record.name, record.source) == ("own", "own_network:SPEC")
    given = Given(allowed=frozenset({record.source}))
    assert load_victim(record, tmp_path, given).record == record


def test_a_file_of_a_kilobyte_asks_for_no_gigabytes(keep: Callable[..., Path], states: dict[str, State]) -> None:
    bomb = torch.zeros(1, dtype=torch.half).expand(1 << 36)
    path = keep({**states[ESPNET], "classifier.weight": bomb})
    assert "declares 68719476736 numbers, but the file has fewer" in message(ESPNET, path)
    alone = keep({"a": bomb}, "alone.pth")
    assert alone.stat().st_size < 2000
    assert "numbers, but the file has fewer" in message(ESPNET, alone)


@pytest.mark.parametrize(
    "odd",
    [
        torch.zeros(2, 2).to_sparse(),
        torch.zeros(2, 2, dtype=torch.complex64),
        torch.empty(1 << 36, device="meta"),
    ],
    ids=["sparse", "complex", "meta"],
)
def test_tensors_of_another_kind_are_refused(odd: Tensor, keep: Callable[..., Path], states: dict[str, State]) -> None:
    message(ESPNET, keep({**states[ESPNET], "classifier.weight": odd}))


def test_trained_weights_carry_a_digest(tmp_path: Path, states: dict[str, State]) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(to_safetensors(states[ESPNET]))
    require_same(ESPNET, path, states[ESPNET])
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    for place in random.Random(0).sample(range(header, len(whole)), 20):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(IntegrityError, match="was changed after it was trained"):
            load_model(f"{ESPNET}={path}")


def test_integers_in_place_of_weights_are_refused(keep: Callable[..., Path], states: dict[str, State]) -> None:
    whole = {**states[ESPNET], "classifier.weight": states[ESPNET]["classifier.weight"].to(torch.int8)}
    assert "classifier.weight holds int8, not floating-point numbers" in message(ESPNET, keep(whole))
