"""Masks of nested dropout; in what proportions they are is tested with ordered codes."""

import numpy as np
import pytest

from skae._nn.nested_dropout import NestedDropout

ROOT = np.sqrt(np.float32(2))  # of single precision, as a network's
# Of six components: one past the first, two past the second, and two of the four past the fourth.
CONDITIONS = {
    1: [1, 0, 0, 0],
    2: [1, 1, 0, 0],
    3: [1, 1, ROOT / 2, 0],
    5: [1, 1, ROOT, 0.5],
    6: [1, 1, ROOT, 1],
}


@pytest.mark.parametrize("length", CONDITIONS)
def test_a_prefix_is_the_first_components(length):
    mask = NestedDropout(6).prefix(length)
    assert mask.length.tolist() == [[length]]
    assert mask.mask.tolist() == [[1] * length + [0] * (6 - length)]
    np.testing.assert_array_equal(mask.condition, np.float32([CONDITIONS[length]]))


@pytest.mark.parametrize("n_components", [1, 2, 6, 8, 48])
def test_number_of_condition_features_is_that_of_a_mask(n_components):
    dropout = NestedDropout(n_components)
    for mask in (dropout.prefix(1), dropout.next_masks(3)):
        assert (
            mask.condition.shape[1]
            == dropout.n_condition_features
            == 1 + np.ceil(np.log2(n_components))
        )


@pytest.mark.parametrize("n_samples", [1, 100, 1024, 3000])
def test_masks_of_a_batch_are_the_prefixes_of_their_lengths(n_samples):
    dropout = NestedDropout(6)
    for masks in (dropout.next_masks(n_samples) for _ in range(3)):
        assert len(masks.length) == n_samples
        for sample, length in enumerate(masks.length[:, 0].tolist()):
            for of_sample, expected in zip(masks, dropout.prefix(length), strict=True):
                assert of_sample[sample].tolist() == expected[0].tolist()


def test_masks_of_monte_carlo_samples_are_those_of_their_codes():
    masks = NestedDropout(6).next_masks(3)
    for once, thrice in zip(masks, masks.repeated(3), strict=True):
        np.testing.assert_array_equal(thrice, np.concatenate([once] * 3))
    one = NestedDropout(6).prefix(2)
    assert one.repeated(3) is one
