"""Adam (Kingma and Ba 2015, arXiv:1412.6980) by PyTorch's function.

The classes of `torch.optim` import PyTorch's compiler, which takes each process a second.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam

BETAS = (0.9, 0.999)


class Adam:
    """The state of Adam for some variables.

    Args:
        variables: changed in place.
        rate: of learning.
        amsgrad: divide by the largest second moment so far.
        eps: added to its root.
        fused: do the whole step in one kernel, whose rounding differs; None for PyTorch's choice.
    """

    def __init__(
        self,
        variables: Sequence[Tensor],
        rate: float,
        amsgrad: bool = False,
        eps: float = 1e-8,
        fused: bool | None = None,
    ) -> None:
        self.variables, self.rate, self.amsgrad, self.eps, self.fused = list(variables), rate, amsgrad, eps, fused
        self.means = list(map(torch.zeros_like, variables))
        self.squares = list(map(torch.zeros_like, variables))
        self.largest = list(map(torch.zeros_like, variables)) if amsgrad else []
        self.taken = [torch.zeros((), device=each.device if fused else "cpu") for each in variables]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """Take a step against these gradients, one per variable."""
        adam(
            self.variables,
            list(gradients),
            self.means,
            self.squares,
            self.largest,
            self.taken,
            fused=self.fused,
            amsgrad=self.amsgrad,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=self.rate,
            weight_decay=0.0,
            eps=self.eps,
            maximize=False,
        )
