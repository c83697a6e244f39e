"""Muon: orthogonal steps of a momentum, against torch's own and against singular values."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cortex.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(32, 32), (96, 32), (32, 128), (7, 3), (1, 5)])
def test_a_direction_has_the_singular_vectors_of_its_matrix_and_values_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(1)
    matrix = torch.randn(shape, dtype=torch.float64)
    (found,) = orthogonal([matrix])
    u, values, v = torch.linalg.svd(matrix, full_matrices=False)
    inner = u.mT @ found @ v.mT  # diagonal, where the singular vectors are the same
    torch.testing.assert_close(inner, torch.diag(inner.diagonal()), atol=1e-9, rtol=0)
    sound = inner.diagonal()[values > 0.05 * values[0]]
    assert ((sound > 0.6) & (sound < 1.25)).all()


def test_matrices_of_equal_short_sides_do_not_mix() -> None:
    torch.manual_seed(1)
    matrices = [torch.randn(8, 8), torch.randn(24, 8), torch.randn(8, 16), torch.randn(4, 9)]
    together = orthogonal(matrices)
    for matrix, found in zip(matrices, together, strict=True):
        assert found.shape == matrix.shape
        torch.testing.assert_close(found, orthogonal([matrix])[0], atol=1e-6, rtol=1e-5)


def test_a_matrix_of_zeros_gives_no_direction() -> None:
    assert orthogonal([torch.zeros(3, 5)])[0].abs().max() == 0


def test_its_steps_are_those_of_torchs_own_within_bfloat16() -> None:
    torch.manual_seed(1)
    mine = [nn.Parameter(torch.randn(16, 16)), nn.Parameter(torch.randn(48, 16))]
    its = [nn.Parameter(matrix.detach().clone()) for matrix in mine]
    one = Muon(mine, lr=0.01, momentum=0.9, weight_decay=0.1)
    two = torch.optim.Muon(its, lr=0.01, momentum=0.9, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    start = [matrix.detach().clone() for matrix in mine]
    for _ in range(3):
        for matrix, other in zip(mine, its, strict=True):
            matrix.grad = torch.randn_like(matrix)
            other.grad = matrix.grad.clone()
        one.step()
        two.step()
    for matrix, other, before in zip(mine, its, start, strict=True):
        moved, differs = (matrix - before).norm(), (matrix - other).norm()
        assert moved > 0 and differs < 0.03 * moved


def test_a_matrix_without_a_gradient_stays() -> None:
    matrix = nn.Parameter(torch.ones(2, 2))
    Muon([matrix], lr=1.0, momentum=0.9, weight_decay=0.5).step()
    assert torch.equal(matrix.detach(), torch.ones(2, 2))
