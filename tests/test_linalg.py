import numpy as np
import pytest

from mfcl.embeddings.linalg import PrincipalAxes, lengths_of, smaller_gram, unit_rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_brought_to_length_one_in_the_arithmetic_asked_for(dtype: type[np.floating]) -> None:
    rows = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    rows[2] = 0
    found = unit_rows(rows, dtype)
    assert found.dtype == lengths_of(rows, dtype).dtype == dtype
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [1, 1, 0, 1, 1], atol=1e-6)


@pytest.mark.parametrize("shape", [(30, 8), (8, 30), (9, 9)])
def test_axes_of_the_smaller_side_are_those_of_a_singular_value_decomposition(shape: tuple[int, int]) -> None:
    rows = np.random.default_rng(1).normal(size=shape)
    rows -= rows.mean(axis=0)
    assert smaller_gram(rows).shape == (min(shape), min(shape))
    axes = PrincipalAxes(rows, over=4)
    _, singular, right = np.linalg.svd(rows, full_matrices=False)
    np.testing.assert_allclose(axes.squares[:5], singular[:5] ** 2 / 4)
    np.testing.assert_allclose(np.abs(right[:5] @ axes.directions(5)), np.eye(5), atol=1e-8)
    np.testing.assert_allclose(np.abs(axes.coordinates(5)), np.abs(rows @ right[:5].T), atol=1e-8)
