"""
Grid search over the number of components
=========================================

R² increases with the number of components, so maximizing it selects the
largest number. The accuracy of a downstream classifier need not increase.
The estimators take scikit-learn's callbacks, too: a progress bar shows how
far the search is, and a monitor scores the autoencoder after each epoch.
"""

# %%
# Four numbers of components, each with two folds. A pipeline standardizes the
# latent codes for the classifier. The parameter of the search is the name of
# the step, two underscores and `n_components`. The output has the progress
# bars, which move in a terminal, and then the best number and its accuracy.
import matplotlib.pyplot as plt
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, reconstruction_score

X, y = load_digits(return_X_y=True)
sizes = [2, 4, 8, 16]
monitor = ScoringMonitor(scoring={"r2": reconstruction_score})
autoencoder = AutoencoderTransformer(max_iter=10, random_state=0)
pipeline = make_pipeline(
    autoencoder.set_callbacks(monitor),
    StandardScaler(),
    LogisticRegression(max_iter=1000),
)
search = GridSearchCV(
    pipeline, {"autoencodertransformer__n_components": sizes}, cv=2
)
search.set_callbacks(ProgressBar(max_propagation_depth=1)).fit(X, y)
print(search.best_params_, round(search.best_score_, 3))

# %%
# On the left is R² after each epoch, on the samples that the first fold
# trains on. On the right is the accuracy of the classifier on the held-out
# samples of both folds. It still increases at 16 components, so a search with
# more of them is worthwhile.
logs = monitor.get_logs().data_as_pandas
epochs = logs[logs["task_name"].eq("epoch")].sort_values("task_id")
fits = [fit for _, fit in epochs.groupby("parent_task_id_path")]
figure, (left, right) = plt.subplots(
    1, 2, figsize=(7, 3.4), layout="constrained"
)
for size, fit in zip(sizes, fits[::2], strict=False):
    left.plot(fit["task_id"] + 1, fit["r2"], marker=".", label=size)
left.set(xlabel="epoch", ylabel="R² of the reconstruction", ylim=(0, 1))
left.legend(title="components", loc="lower right", ncols=2)
for fold in range(2):
    accuracy = search.cv_results_[f"split{fold}_test_score"]
    right.plot(sizes, accuracy, marker="o", label=f"fold {fold + 1}")
right.set_xscale("log", base=2)
right.set_xticks(sizes, sizes)
right.set(xlabel="components", ylabel="accuracy of the classifier")
_ = right.legend()
