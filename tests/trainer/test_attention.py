"""Every way to attend gives the same numbers, and the fastest that does is taken."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from tests.trainer.kernels_on_cpu import Efficient, Flash, registered
from trainer.attention import MASK, PREFERRED, Kernel, choose_attention, same_sample, sample_bounds

CPU = torch.device("cpu")
SEGMENTS = torch.tensor([[1] * 5 + [2] * 7 + [0] * 4, [1] * 16], dtype=torch.int32)


def _choose(numbers: torch.dtype = torch.float32) -> Any:
    return choose_attention(CPU, numbers, 8, 0.1)


def _attend(kernel: Kernel, values: list[Tensor], dropout: float = 0.0) -> list[Tensor]:
    """Result and gradients of T tokens of three heads."""
    query, key, value, of_result = [value.detach().requires_grad_() for value in values]
    result = kernel.attend(query, key, value, kernel.visible(SEGMENTS, CPU), dropout)
    return [result, *torch.autograd.grad(result, [query, key, value], of_result)]


def _values() -> list[Tensor]:
    torch.manual_seed(0)
    # As the model cuts them out of one product: neighbours in memory.
    return [*torch.randn(32, 3, 3, 8, dtype=torch.float64).unbind(2), torch.randn(32, 3, 8, dtype=torch.float64)]


@pytest.mark.parametrize("backend", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION])
@pytest.mark.parametrize("kernel", [MASK, *PREFERRED], ids=lambda kernel: kernel.name)
def test_kernels_agree_with_the_formula(kernel: Kernel, backend: SDPBackend) -> None:
    query, key, value, of_result = values = _values()
    leaves = [x.detach().requires_grad_() for x in (query, key, value)]
    q, k, v = (x.view(2, 16, 3, 8).transpose(1, 2) for x in leaves)
    scores = (q @ k.transpose(2, 3) / 8**0.5).masked_fill(~same_sample(SEGMENTS), -torch.inf)
    formula = (scores.softmax(3) @ v).transpose(1, 2).reshape(32, 3, 8)
    expected = [formula, *torch.autograd.grad(formula, leaves, of_result)]
    with registered(Flash, Efficient), sdpa_kernel(backend):
        seen = _attend(kernel, values)
    for ours, theirs in zip(seen, expected, strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel", PREFERRED, ids=lambda kernel: kernel.name)
def test_dropout_in_a_variable_length_kernel_comes_from_the_generator(kernel: Kernel) -> None:
    with registered(Flash, Efficient):
        results = []
        for seed in (1, 1, 2):
            values = _values()
            torch.manual_seed(seed)
            results.append(_attend(kernel, values, 0.5))
    for first, same, other in zip(*results, strict=True):
        assert torch.equal(first, same)
        assert not torch.equal(first, other)


def _lacks(*arguments: Any, **options: Any) -> Any:
    raise RuntimeError("CUDA error: no kernel image is available for execution on the device")


def _wrong(*arguments: Any, **options: Any) -> Any:
    return (2 * Flash.forward(*arguments, **options)[0], *Flash.forward(*arguments, **options)[1:])


@pytest.mark.parametrize(
    ("twins", "spoil", "taken", "reasons"),
    [
        ((Flash, Efficient), None, "flash", {}),
        ((Efficient,), None, "efficient", {"flash": "Could not run"}),
        ((), None, "mask", {"flash": "Could not run", "efficient": "Could not run"}),
        ((Flash,), _lacks, "mask", {"flash": "no kernel image", "efficient": "Could not run"}),
        ((Flash,), _wrong, "mask", {"flash": "its results are off by", "efficient": "Could not run"}),
    ],
)
def test_the_fastest_kernel_that_works_is_taken(
    twins: Any, spoil: Callable[..., Any] | None, taken: str, reasons: dict[str, str]
) -> None:
    with registered(*twins, spoil=spoil) if twins else nullcontext():
        choice = _choose()
    assert choice.kernel.name == taken
    assert choice.refused.keys() == reasons.keys()
    for name, reason in reasons.items():
        assert reason in choice.refused[name]
        assert f"{name} ({choice.refused[name]})" in str(choice)


def test_a_torch_without_the_operators_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    for kernel in PREFERRED:
        monkeypatch.setattr(type(kernel), "operator", "_not_in_this_torch")
    choice = _choose()
    assert choice.kernel is MASK
    assert all("_not_in_this_torch" in reason for reason in choice.refused.values())


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=1, max_size=5))
def test_bounds_say_what_the_mask_says(rows: list[list[int]]) -> None:
    length = max(map(sum, rows))
    numbered = [[n for n, count in enumerate(row, 1) for _ in range(count)] for row in rows]
    segments = torch.tensor([row + [0] * (length - len(row)) for row in numbered])
    bounds = sample_bounds(segments)
    sample = torch.repeat_interleave(torch.arange(len(bounds) - 1), bounds.diff())
    together = torch.block_diag(*(mask[0] for mask in same_sample(segments)))
    assert torch.equal((sample[:, None] == sample[None, :]), together.bool())
