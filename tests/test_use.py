"""Inside scikit-learn's tools: pipelines, searches, metadata routing."""

import numpy as np
import pytest
from joblib import parallel_config
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skae import (
    AutoencoderTransformer,
    ConvAutoencoderTransformer,
    DenoisingAutoencoder,
    VAETransformer,
    reconstruction_score,
)


def _make(n_components=3, **parameters):
    return AutoencoderTransformer(n_components, **{"max_iter": 3, "random_state": 0} | parameters)


@pytest.fixture(scope="module")
def labels():
    return load_digits().target[:300]


def test_pipeline_is_its_steps(digits, labels):
    pipeline = make_pipeline(StandardScaler(), _make(8), LogisticRegression(max_iter=1000)).fit(
        digits, labels
    )
    X = StandardScaler().fit_transform(digits)
    codes = _make(8).fit(X).transform(X)
    expected = LogisticRegression(max_iter=1000).fit(codes, labels)
    np.testing.assert_allclose(
        pipeline.predict_proba(digits), expected.predict_proba(codes), atol=1e-6
    )


def test_pipeline_reconstructs_in_the_units_of_x(digits):
    pipeline = make_pipeline(MinMaxScaler(), _make(8)).fit(digits)
    X_hat = pipeline.inverse_transform(pipeline.transform(digits))
    scaler = MinMaxScaler().fit(digits)
    expected = scaler.inverse_transform(pipeline[-1].reconstruct(scaler.transform(digits)))
    np.testing.assert_allclose(X_hat, expected, atol=1e-8)


def test_search_over_n_components_is_the_same_with_two_workers(digits, labels):
    scores = []
    for n_jobs in (1, 2):
        pipeline = make_pipeline(_make(max_iter=2), LogisticRegression(max_iter=1000))
        grid = {"autoencodertransformer__n_components": [2, 8]}
        search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs).fit(digits, labels)
        scores.append(search.cv_results_["mean_test_score"])
        assert search.best_params_ == {"autoencodertransformer__n_components": 8}
    np.testing.assert_allclose(*scores, atol=1e-3)


def test_search_in_processes_is_bitwise_reproducible_with_one_thread_each(digits):
    search = GridSearchCV(_make(max_iter=2), {"n_components": [2, 8]}, cv=2)
    alone = clone(search).fit(digits).cv_results_
    with parallel_config("loky", inner_max_num_threads=1):
        beside = search.set_params(n_jobs=2).fit(digits).cv_results_
    for split in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(alone[split], beside[split])


def test_search_by_reconstruction_is_by_score(digits):
    grid, cv = {"n_components": [2, 5], "init": ["pca", "random"]}, KFold(2)
    by_score = GridSearchCV(_make(), grid, cv=cv).fit(digits)
    by_function = GridSearchCV(_make(), grid, cv=cv, scoring=reconstruction_score).fit(digits)
    np.testing.assert_allclose(
        *(s.cv_results_["mean_test_score"] for s in (by_score, by_function)), atol=1e-9
    )
    fitted = _make(5).fit(digits[150:])
    X_hat = fitted.inverse_transform(fitted.transform(digits[:150]))
    expected = r2_score(digits[:150], X_hat, multioutput="variance_weighted")
    candidate = by_score.cv_results_["params"].index({"n_components": 5, "init": "pca"})
    assert by_score.cv_results_["split0_test_score"][candidate] == pytest.approx(expected, abs=1e-9)


def test_start_cross_validates_as_pca(cancer):
    estimator = _make(max_iter=0, output_activation="identity")
    expected = cross_val_score(PCA(3), cancer, scoring=reconstruction_score, cv=3)
    np.testing.assert_allclose(cross_val_score(estimator, cancer, cv=3), expected, atol=1e-5)


def test_an_interrupted_search_stops(digits):
    from skorch.callbacks import Callback

    class Interrupt(Callback):
        def on_batch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        GridSearchCV(_make(skorch_callbacks=[Interrupt()]), {"n_components": [2, 3]}, cv=2).fit(
            digits
        )


def test_union_and_columns(digits):
    union = FeatureUnion([("pca", PCA(2)), ("autoencoder", _make(3))])
    columns = ColumnTransformer([("left", union, slice(0, 32)), ("right", _make(4), slice(32, 64))])
    codes = columns.fit_transform(digits)
    assert codes.shape == (300, 9)
    np.testing.assert_allclose(
        codes[:, 5:], _make(4).fit(digits[:, 32:]).transform(digits[:, 32:]), rtol=1e-5, atol=1e-5
    )
    assert len(columns.get_feature_names_out()) == 9


def test_fit_transform_is_fit_and_transform(digits):
    expected = _make().fit(digits, X_val=digits[:50]).transform(digits)
    np.testing.assert_array_equal(_make().fit_transform(digits, X_val=digits[:50]), expected)


def test_a_validation_set_is_routed_through_a_pipeline(digits):
    X, X_val = digits[100:], digits[:100]
    steps = [("scale", StandardScaler()), ("autoencoder", _make())]
    with config_context(enable_metadata_routing=True):
        steps[1][1].set_fit_request(X_val=True)
        pipeline = Pipeline(steps, transform_input=["X_val"]).fit(X, X_val=X_val)
    scaler = StandardScaler().fit(X)
    expected = _make().fit(scaler.transform(X), X_val=scaler.transform(X_val))
    assert pipeline[-1].validation_scores_ == expected.validation_scores_
    assert pipeline[-1].validation_scores_ != _make().fit(scaler.transform(X)).validation_scores_


def test_weights_are_routed_to_the_score_of_a_pipeline(digits, rng):
    weights = rng.uniform(size=300)
    with config_context(enable_metadata_routing=True):
        autoencoder = _make().set_score_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler(), autoencoder).fit(digits)
        score = pipeline.score(digits, sample_weight=weights)
    X = pipeline[0].transform(digits)
    expected = r2_score(
        X, pipeline[-1].reconstruct(X), sample_weight=weights, multioutput="variance_weighted"
    )
    assert score == pytest.approx(expected, abs=1e-9)
    assert score != pytest.approx(pipeline[-1].score(X), abs=1e-6)


CLASSES = [AutoencoderTransformer, ConvAutoencoderTransformer, DenoisingAutoencoder, VAETransformer]


@pytest.mark.parametrize("cls", CLASSES)
def test_shown_in_a_notebook(digits, cls):
    small = (
        {"channels": (4,)} if cls is ConvAutoencoderTransformer else {"hidden_layer_sizes": (8,)}
    )
    estimator = cls(3, max_iter=1, **small)
    assert "Not fitted" in estimator._repr_html_()
    text = repr(estimator)
    fitted = estimator.fit(digits)
    shown = fitted._repr_html_()
    assert repr(fitted) == text
    assert len(text) < 80
    # Of a long history no more is shown than of a short one.
    fitted.net_.history.extend([dict(fitted.history_[0]) for _ in range(500)])
    fitted.loss_curve_ *= 500
    assert len(fitted._repr_html_()) < len(shown) + 300
    assert repr(fitted) == text


@pytest.mark.requires("scikit-learn>=1.9")
@pytest.mark.parametrize("cls", CLASSES)
def test_every_parameter_and_attribute_is_linked_to_its_documentation(digits, cls):
    fitted = cls(3, max_iter=0).fit(digits)
    shown = fitted._repr_html_()
    attributes = [name for name in vars(fitted) if name.endswith("_") and not name.startswith("_")]
    for name in (*fitted.get_params(), *attributes, "history_"):
        assert f"position-anchor: --doc-link-{name};" in shown  # with its description
        assert (
            f'href="https://skae.readthedocs.io/en/stable/api/skae.{cls.__name__}.html#:~:text={name},-'
            in shown
        )
    assert f">{cls.__name__.lower()}2<" in shown
