"""Muon: a momentum whose steps are made orthogonal (Jordan 2024), in float32.

Importable alone: torch. torch's own Muon works on one matrix at a time in bfloat16, which a CPU is slow at: a step of the small
preset took 7 times as long with it (docs/log.md).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Coefficients of the quintic Newton-Schulz iteration, chosen for a steep slope at 0 (Jordan 2024).
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Steps of a Nesterov momentum, each made nearly orthogonal, scaled by 0.2 * sqrt(longer side).

    With that scale a step is as long as a typical one of AdamW, so that both can share learning rate and weight decay (Liu et
    al. 2025, section 2.2).

    Args:
        matrices: 2-D parameters.
        momentum: share of the last direction that a step keeps.
        weight_decay: apart from the gradient, as in AdamW.
    """

    def __init__(self, matrices: list[torch.nn.Parameter], lr: float, momentum: float, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        for group in self.param_groups:
            matrices = [matrix for matrix in group["params"] if matrix.grad is not None]
            if not matrices:
                continue
            gradients = [matrix.grad for matrix in matrices]
            for matrix in matrices:
                if not self.state[matrix]:
                    self.state[matrix]["momentum"] = torch.zeros_like(matrix)
            moments = [self.state[matrix]["momentum"] for matrix in matrices]
            torch._foreach_lerp_(moments, gradients, 1 - group["momentum"])
            directions = orthogonal(torch._foreach_lerp(gradients, moments, group["momentum"]))
            torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
            for matrix, direction in zip(matrices, directions, strict=True):
                matrix.add_(direction, alpha=-group["lr"] * 0.2 * math.sqrt(max(matrix.shape)))


def orthogonal(matrices: list[Tensor]) -> list[Tensor]:
    """For each matrix (R, C) one of the same singular vectors, whose singular values are near 1, about 0.7 to 1.2.

    The iteration X <- (a + b XX' + c (XX')^2) X needs only the Gram matrix G = XX' of the shorter side until its end: the
    factors are gathered in P, G <- QGQ, and X is multiplied once. Matrices of equal short sides go through it together.
    """
    found: list[Tensor | None] = [None] * len(matrices)
    wide = [matrix.mT if matrix.size(0) > matrix.size(1) else matrix for matrix in matrices]  # (r, c), r <= c
    for side in sorted({matrix.size(0) for matrix in wide}):
        places = [place for place, matrix in enumerate(wide) if matrix.size(0) == side]
        gram = torch.stack([wide[place] @ wide[place].mT for place in places])  # (n, r, r)
        square = gram.diagonal(dim1=1, dim2=2).sum(1).clamp(min=1e-14)  # (n,) of the Frobenius norms
        gram = gram / square[:, None, None]
        product: Tensor | None = None
        for iteration in range(_ITERATIONS):
            factor = torch.baddbmm(gram, gram, gram, beta=_B, alpha=_C)  # (n, r, r)
            factor.diagonal(dim1=1, dim2=2).add_(_A)
            product = factor if product is None else product @ factor
            if iteration < _ITERATIONS - 1:
                gram = factor @ gram @ factor
        product = product * square.rsqrt()[:, None, None]
        for place, one in zip(places, product, strict=True):
            result = one @ wide[place]  # (r, c)
            found[place] = result if wide[place] is matrices[place] else result.mT
    return found
