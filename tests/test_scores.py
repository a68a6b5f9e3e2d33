import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import make_scorer, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skae import AutoencoderTransformer, reconstruction_score
from skae._scores import explained_variance


def test_of_pca_it_is_the_fraction_of_variance(cancer):
    pca = PCA(5).fit(cancer)
    assert reconstruction_score(pca, cancer) == pytest.approx(
        pca.explained_variance_ratio_.sum(), abs=1e-12
    )


def test_by_hand():
    X = np.array([[0.0, 0.0], [2.0, 10.0]])
    X_hat = np.array([[1.0, 0.0], [2.0, 7.0]])
    # Squared errors 1 + 9, about the means 2 + 50.
    assert explained_variance(X, X_hat) == pytest.approx(1 - 10 / 52)


def test_by_hand_with_weights():
    X, X_hat, weights = np.array([[0.0], [1.0], [3.0]]), np.array([[0.0], [2.0], [2.5]]), [0, 1, 3]
    # Weighted mean 2.5: errors 1 + 3/4, about the mean 2.25 + 3/4.
    assert explained_variance(X, X_hat, weights) == pytest.approx(1 - 1.75 / 3)


@pytest.mark.parametrize(
    "pipeline",
    [
        make_pipeline(StandardScaler(), PCA(3)),
        make_pipeline(MinMaxScaler(), AutoencoderTransformer(3, max_iter=2, random_state=0)),
    ],
    ids=["pca", "autoencoder"],
)
def test_of_a_pipeline_in_the_units_of_x(digits, pipeline):
    pipeline.fit(digits)
    X_hat = pipeline.inverse_transform(pipeline.transform(digits))
    expected = r2_score(digits, X_hat, multioutput="variance_weighted")
    assert reconstruction_score(pipeline, digits) == pytest.approx(expected, abs=1e-12)
    assert isinstance(reconstruction_score(pipeline, digits), float)


def test_of_an_autoencoder_it_is_its_score(digits):
    estimator = AutoencoderTransformer(3, max_iter=2, random_state=0).fit(digits)
    assert reconstruction_score(estimator, digits) == pytest.approx(
        estimator.score(digits), abs=1e-9
    )


def test_float32_at_a_large_offset_is_summed_in_float64(cancer):
    X = (cancer + 1e4).astype(np.float32)
    X_hat = (cancer * 0.5 + 1e4).astype(np.float32)
    expected = r2_score(X.astype(float), X_hat.astype(float), multioutput="variance_weighted")
    assert explained_variance(X, X_hat) == pytest.approx(expected, abs=1e-12)


def test_scores_a_grid_search(digits):
    search = GridSearchCV(PCA(), {"n_components": [2, 5]}, scoring=reconstruction_score, cv=3).fit(
        digits
    )
    r2 = make_scorer(r2_score, multioutput="variance_weighted")._score_func
    first = np.arange(100, 300)
    pca = PCA(5).fit(digits[first])
    held_out = digits[:100]
    expected = r2(
        held_out, pca.inverse_transform(pca.transform(held_out)), multioutput="variance_weighted"
    )
    assert search.cv_results_["split0_test_score"][1] == pytest.approx(expected, abs=1e-9)
    assert search.best_params_ == {"n_components": 5}
