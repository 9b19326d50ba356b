"""Log-probabilities with a gradient of their own, against PyTorch's."""

import torch
import torch.nn.functional as F

from segeval.generate.attacks.log_probability import log_probabilities


def test_values_and_gradient_are_those_of_cross_entropy() -> None:
    torch.manual_seed(0)
    logits = (torch.randn(2, 5, 3, 4, dtype=torch.double) * 5).requires_grad_()
    label = torch.randint(0, 5, (2, 3, 4))
    weights = torch.randn(2, 3, 4, dtype=torch.double)
    own, every = log_probabilities(logits, label)
    torch.testing.assert_close(own, -F.cross_entropy(logits, label, reduction="none"))
    torch.testing.assert_close(every, F.softmax(logits, 1))
    assert not every.requires_grad
    (found,) = torch.autograd.grad((own * weights).sum(), logits, retain_graph=True)
    (wanted,) = torch.autograd.grad((F.log_softmax(logits, 1).gather(1, label[:, None])[:, 0] * weights).sum(), logits)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(every, F.softmax(logits, 1), msg="the gradient leaves them as they are")
    assert torch.autograd.gradcheck(lambda x: log_probabilities(x, label)[0], logits, check_undefined_grad=False)
