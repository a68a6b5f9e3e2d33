import inspect

import numpy as np
import pytest
import torch
from conftest import KEEPS_EPOCH_0
from scipy.special import expit
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer


def _make(n_components=3, **parameters):
    return AutoencoderTransformer(n_components, **{"max_iter": 3, "random_state": 0} | parameters)


def _forward_by_hand(estimator, X):
    """Codes and reconstruction of an estimator with one hidden layer of logistic units."""
    weights = {
        name: w.detach().numpy().astype(float)
        for name, w in estimator.net_.module_.named_parameters()
    }

    def path(side, x):
        hidden = expit(
            x @ weights[f"{side}.residual.0.weight"].T + weights[f"{side}.residual.0.bias"]
        )
        y = hidden @ weights[f"{side}.residual.2.weight"].T + weights[f"{side}.residual.2.bias"]
        return (
            y + x @ weights[f"{side}.linear.weight"].T if f"{side}.linear.weight" in weights else y
        )

    scale = np.sqrt(X.var(axis=0).mean())
    codes = path("encoder", (X - X.mean(axis=0)) / scale)
    return codes * scale, path("decoder", codes) * scale + X.mean(axis=0)


@pytest.mark.parametrize("init", ["pca", "random"])
def test_trained_network_by_hand(cancer, init):
    X = cancer * 3 + 1
    parameters = {
        "hidden_layer_sizes": (20,),
        "activation": "logistic",
        "output_activation": "identity",
        "init": init,
    }
    estimator = _make(
        learning_rate_init=3e-2, max_iter=30, validation_fraction=None, **parameters
    ).fit(X)
    assert estimator.best_iter_ > 0
    codes, X_hat = _forward_by_hand(estimator, X)
    np.testing.assert_allclose(estimator.transform(X), codes, atol=1e-6)
    np.testing.assert_allclose(estimator.reconstruct(X), X_hat, atol=1e-6)


def test_clipped_output_is_the_unclipped_one_within_the_range_of_the_data(cancer):
    parameters = {
        "hidden_layer_sizes": (20,),
        "activation": "logistic",
        "output_activation": "clip",
    }
    estimator = _make(
        learning_rate_init=3e-2, max_iter=30, validation_fraction=None, **parameters
    ).fit(cancer)
    assert estimator.best_iter_ > 0
    expected = np.clip(
        _forward_by_hand(estimator, cancer)[1], cancer.min(axis=0), cancer.max(axis=0)
    )
    np.testing.assert_allclose(estimator.reconstruct(cancer), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("sizes", "widths"),
    [
        ((), []),
        ((7,), [7]),
        ((9, 5), [9, 5]),
        ([9, 5], [9, 5]),
        (np.array([9, 5]), [9, 5]),
        (range(4, 6), [4, 5]),
        (7, [7]),
    ],
    ids=str,
)
def test_hidden_layers(digits, sizes, widths):
    module = _make(hidden_layer_sizes=sizes, max_iter=1).fit(digits).net_.module_
    encoder, decoder = (
        [layer.out_features for layer in side.residual if isinstance(layer, torch.nn.Linear)]
        for side in (module.encoder, module.decoder)
    )
    assert encoder == [*widths, 3]
    assert decoder == [*widths[::-1], 64]


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("gelu", torch.nn.GELU),
        ("identity", torch.nn.Identity),
        ("logistic", torch.nn.Sigmoid),
        ("relu", torch.nn.ReLU),
        ("silu", torch.nn.SiLU),
        ("tanh", torch.nn.Tanh),
    ],
)
def test_activations_train(digits, name, layer):
    estimator = _make(activation=name, init="random", max_iter=4).fit(digits)
    assert isinstance(estimator.net_.module_.encoder.residual[1], layer)
    assert estimator.loss_curve_[-1] < estimator.loss_curve_[0]


def test_start_is_pca_with_every_activation_and_number_of_layers(cancer):
    expected = PCA(3, svd_solver="full").fit_transform(cancer)
    for activation in ("gelu", "identity", "logistic", "relu", "silu", "tanh"):
        for sizes in ((), (5,), (8, 4)):
            estimator = _make(activation=activation, hidden_layer_sizes=sizes, max_iter=0).fit(
                cancer
            )
            np.testing.assert_allclose(
                estimator.transform(cancer), expected, atol=1e-5 * np.abs(expected).max()
            )


@KEEPS_EPOCH_0
def test_linear_network_stays_at_pcas_optimum(cancer):
    """No linear autoencoder beats PCA on the samples that it is fitted to."""
    parameters = {
        "hidden_layer_sizes": (),
        "output_activation": "identity",
        "validation_fraction": None,
        "max_iter": 20,
    }
    estimator = _make(**parameters).fit(cancer)
    optimum = PCA(3, svd_solver="full").fit(cancer).explained_variance_ratio_.sum()
    assert estimator.score(cancer) == pytest.approx(optimum, abs=1e-5)


def test_textbook_network_is_not_anchored(digits):
    estimator = _make(init="random", max_iter=0).fit(digits)
    assert estimator.baseline_score_ < 0.1
    other = _make(init="random", max_iter=0, random_state=1).fit(digits)
    assert not np.allclose(estimator.transform(digits), other.transform(digits))


@pytest.mark.parametrize(
    "parameters", [{"output_activation": "sigmoid"}, {"loss": "log_loss"}], ids=str
)
def test_sigmoid_output_lies_in_the_unit_interval_and_trains(digits, parameters):
    X = digits / 16
    estimator = _make(init="random", max_iter=30, learning_rate_init=1e-2, **parameters).fit(X)
    X_hat = estimator.reconstruct(X)
    assert X_hat.min() > 0
    assert X_hat.max() < 1
    assert estimator.best_iter_ > 10
    assert estimator.score(X) > 0.2  # the mean of each pixel scores 0
    assert estimator.loss_curve_[-1] < estimator.loss_curve_[0]


def test_log_loss_curve_is_binary_cross_entropy(digits):
    """One batch of all samples: the first loss is computed before the first step, at the start."""
    X = digits / 16
    parameters = {
        "init": "random",
        "loss": "log_loss",
        "validation_fraction": None,
        "batch_size": 1000,
    }
    X_hat = _make(max_iter=0, **parameters).fit(X).reconstruct(X)
    expected = -(X * np.log(X_hat) + (1 - X) * np.log(1 - X_hat)).mean()
    assert _make(max_iter=1, **parameters).fit(X).loss_curve_[0] == pytest.approx(
        expected, rel=1e-5
    )


def test_absolute_error_trains(cancer):
    X, X_val = cancer[100:], cancer[:100]
    errors = {}
    for loss in ("squared_error", "absolute_error"):
        estimator = _make(loss=loss, max_iter=30).fit(X, X_val=X_val)
        assert estimator.best_iter_ > 0
        errors[loss] = np.abs(X_val - estimator.reconstruct(X_val)).mean()
    assert errors["absolute_error"] < errors["squared_error"]


def test_bounds_pay_on_images(digits):
    clipped, free = (
        _make(4, output_activation=output_activation, max_iter=10)
        .fit(digits[100:])
        .score(digits[:100])
        for output_activation in ("auto", "identity")
    )
    assert clipped > free


def test_sides_that_are_bounded_are_reached_and_not_passed(digits):
    X_hat = _make(4).fit(digits).reconstruct(digits)
    assert (X_hat.min(), X_hat.max()) == (0, 16)


def test_n_components_is_the_only_positional_parameter():
    parameters = list(inspect.signature(AutoencoderTransformer).parameters.values())
    assert parameters[0].name == "n_components"
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters[1:])


def test_init_only_assigns():
    sentinels = {name: object() for name in inspect.signature(AutoencoderTransformer).parameters}
    assert vars(AutoencoderTransformer(**sentinels)) == sentinels


def test_parameters_are_left_as_they_were(digits):
    parameters = {"hidden_layer_sizes": [6, 5], "skorch_callbacks": []}
    estimator = _make("auto", **parameters)
    before = estimator.get_params()
    estimator.fit(digits)
    assert estimator.get_params() == before
    assert estimator.hidden_layer_sizes is parameters["hidden_layer_sizes"]
    assert parameters == {"hidden_layer_sizes": [6, 5], "skorch_callbacks": []}
