"""
A grid search with progress
===========================

The estimators take scikit-learn's callbacks. A progress bar of the search then shows candidates, folds and epochs, and a
monitor scores the estimator after each epoch.
"""

# %%
# Two lengths of the code, each with a classifier behind it. In a terminal, the bars move.
import matplotlib.pyplot as plt
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer, reconstruction_score

X, y = load_digits(return_X_y=True)
monitor = ScoringMonitor(scoring={"r2": reconstruction_score})
autoencoder = AutoencoderTransformer(max_iter=10, random_state=0).set_callbacks(monitor)
pipeline = make_pipeline(autoencoder, LogisticRegression(max_iter=5000))
search = GridSearchCV(pipeline, {"autoencodertransformer__n_components": [4, 16]}, cv=2)
search.set_callbacks(ProgressBar(max_propagation_depth=2)).fit(X, y)
print(search.best_params_, round(search.best_score_, 3))

# %%
# R² of the rows of each fit after each epoch: of two candidates in two folds, and of the best one on all rows.
logs = monitor.get_logs().data_as_pandas
epochs = logs[logs["task_name"].eq("epoch")].sort_values("task_id")
figure, ax = plt.subplots(layout="constrained")
labels = ["4, fold 1", "4, fold 2", "16, fold 1", "16, fold 2", "16, all rows"]
for label, marker, (_, fit) in zip(
    labels, "os^Dv", epochs.groupby("parent_task_id_path"), strict=True
):
    ax.plot(fit["task_id"] + 1, fit["r2"], marker=marker, label=label)
ax.set(xlabel="epoch", ylabel="R²")
ax.legend(title="components")
