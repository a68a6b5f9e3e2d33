import numpy as np
import pytest

from skae import AutoencoderTransformer


def _untrained(n_features, n_components, **parameters):
    X = np.random.default_rng(0).uniform(size=(10, n_features))
    return AutoencoderTransformer(n_components, max_iter=0, random_state=0, **parameters).fit(X)


def test_textbook_network_of_two_hidden_layers():
    summary = _untrained(784, 128, hidden_layer_sizes=(256,), init="random").summary()
    assert [row.count for row in summary.rows] == [200704, 256, 32768, 128, 32768, 256, 200704, 784]
    assert (summary.encoder, summary.decoder, summary.total) == (233856, 234512, 468368)
    assert [row.shape for row in summary.rows][::2] == [
        (256, 784),
        (128, 256),
        (256, 128),
        (784, 256),
    ]
    assert "468,368" in str(summary)


def test_single_relu_layer_with_sigmoid_output():
    estimator = _untrained(
        784,
        32,
        hidden_layer_sizes=(),
        init="random",
        code_activation="relu",
        output_activation="sigmoid",
    )
    summary = estimator.summary()
    assert [row.shape for row in summary.rows] == [(32, 784), (32,), (784, 32), (784,)]
    assert summary.total == 784 * 32 + 32 + 32 * 784 + 784
    X = np.random.default_rng(1).uniform(size=(20, 784))
    (W, b), (D, c) = (
        (p.detach().numpy().astype(float) for p in side) for side in _pairs(estimator.net_.module_)
    )
    codes = np.maximum(X @ W.T + b, 0)
    np.testing.assert_allclose(estimator.transform(X), codes, atol=1e-10)
    np.testing.assert_allclose(
        estimator.reconstruct(X), 1 / (1 + np.exp(-(codes @ D.T + c))), atol=1e-10
    )


def _pairs(module):
    return list(module.encoder.parameters()), list(module.decoder.parameters())


@pytest.mark.parametrize(
    ("hidden", "residual"),
    [((), 64 * 5 + 5 + 5 * 64 + 64), ((8,), 64 * 8 + 8 + 8 * 5 + 5 + 5 * 8 + 8 + 8 * 64 + 64)],
)
def test_linear_paths_are_counted(hidden, residual):
    summary = _untrained(64, 5, hidden_layer_sizes=hidden).summary()
    assert summary.total == residual + 2 * 64 * 5
    assert (
        summary.total == summary.encoder + summary.decoder == sum(row.count for row in summary.rows)
    )


def test_printed_table_lists_every_parameter():
    summary = _untrained(12, 3).summary()
    lines = str(summary).splitlines()
    assert len({len(line) for line in lines}) == 1
    for row in summary.rows:
        assert any(line.startswith(f"{row.name} ") and f"{row.count:,}" in line for line in lines)
