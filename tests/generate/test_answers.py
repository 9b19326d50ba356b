"""What the driver reads off logits at every step, against PyTorch's own functions."""

import pytest
import torch

from segeval.generate.answers import answer, labels_of


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_labels_are_those_of_argmax_and_of_equal_logits_the_first(
    layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segeval.generate.answers.BLOCK", 100)  # of 384 pixels
    torch.manual_seed(0)
    logits = torch.randint(-2, 3, (2, 19, 16, 24)).float().contiguous(memory_format=layout)
    found = labels_of(logits)
    assert found.dtype == torch.uint8
    assert (found == logits.argmax(1)).all()


def test_all_254_classes_have_a_number() -> None:
    logits = torch.eye(254).reshape(1, 254, 254, 1)
    assert labels_of(logits).ravel().tolist() == list(range(254))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_one_logit_that_is_not_finite_is_seen(bad: float) -> None:
    logits = torch.zeros(1, 3, 4, 5)
    assert answer(logits)[1]
    assert answer(logits + 3e38)[1], "though its square is not finite"
    logits[0, 1, 2, 3] = bad
    assert not answer(logits)[1]
