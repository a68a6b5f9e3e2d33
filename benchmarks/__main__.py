"""The benchmarks of skae, one question per command.

python -m benchmarks                              lists the questions
python -m benchmarks depth --jobs 2               answers one; --help lists its options
python -m benchmarks record --data-dir DIR        answers all for a release
python -m benchmarks record depth --data-dir DIR  answers those whose name begins so
"""

import sys
from argparse import ArgumentParser
from datetime import date
from importlib import import_module

import skae
from benchmarks import report
from benchmarks.questions import DATA_DIR, JOBS, OUT, QUESTIONS

MODULES = (
    "depth epochs ordered downstream denoising imputation density streams processes time_to_quality"
    " engine large_images gpu"
)
for module in MODULES.split():
    import_module(f"benchmarks.{module}")  # makes its questions

BINARIZED = "density binarized --dataset mnist --evaluate test --train-size 60000"
# What is recorded for a release, into the files that the pages show.
RELEASE = (
    "depth",
    "depth --dataset mnist --evaluate test",
    "depth --dataset mnist --evaluate test --epochs 5 --n-components 32 64 128 256"
    " --label 5_epochs",
    "depth --dataset patches",
    "depth --dataset tabular",
    "compression --dataset mnist --evaluate test",
    "epochs --dataset mnist --evaluate test",
    "reference --evaluate test",
    "reference --evaluate test --epochs 50 --alpha 0.002 --label best",
    "ordered --dataset mnist --evaluate test",
    "ordered --dataset tabular",
    "ordered fraction",
    "ordered fraction --dataset tabular",
    "ordered cost --threads 1",
    "ordered cost --dataset mnist",
    "downstream --dataset mnist --evaluate test",
    "downstream settings --dataset mnist",
    "denoising --dataset mnist --evaluate test",
    "denoising --dataset mnist --evaluate test --corruption masking",
    "imputation --patterns random",
    "imputation --patterns by_value blocks --n-seeds 1 --label patterns",
    "density --dataset mnist --evaluate test",
    "density --dataset tabular",
    BINARIZED,
    f"{BINARIZED} --epochs 30 --label 30_epochs",
    "density samples --dataset mnist --evaluate test",
    "outliers",
    "streams --dataset mnist --threads 1",
    "processes --dataset mnist --threads 1",
    "time_to_quality --dataset mnist --threads 1",
    "engine --dataset mnist --repeats 3 --epochs 4",
    "large_images",
)


def main(argv=None):
    """Run the command that the arguments name; return the paths of the CSVs that it writes."""
    words = sys.argv[1:] if argv is None else list(argv)
    question, rest = _find(words)
    if question:
        return question.run(rest)
    if words[:1] == ["record"]:
        return record(words[1:])
    print(__doc__)
    for name, question in QUESTIONS.items():
        print(f"{name:20} {question.text}")
    if words and words not in (["-h"], ["--help"]):
        sys.exit(f"\nThere is no question {words[0]!r}.")
    return []


def _find(words):
    """The question that one or two words name, else None, and the other words."""
    n_words = 2 if " ".join(words[:2]) in QUESTIONS else 1
    return QUESTIONS.get(" ".join(words[:n_words])), words[n_words:]


def record(argv):
    """Answer questions for a release, and note version and date of each result."""
    parser = ArgumentParser("python -m benchmarks record", description=record.__doc__)
    parser.add_argument("names", nargs="*", help="beginnings of commands (default: all)")
    for flag, settings in (DATA_DIR, JOBS, OUT):
        parser.add_argument(flag, **settings)
    parser.set_defaults(out=report.RECORDED)
    options = parser.parse_args(argv)
    paths = []
    for command in RELEASE:
        if command.startswith(tuple(options.names or [""])):
            question, rest = _find(command.split())
            rest += ["--out", str(options.out)]
            rest += ["--data-dir", str(options.data_dir)] if options.data_dir else []
            rest += [] if question.timed else ["--jobs", str(options.jobs)]
            print(f"\npython -m benchmarks {command}", flush=True)
            written = question.run(rest)
            note([path.stem for path in written], options.out / "recorded.csv")
            paths += written
    return paths


def note(names, path):
    """Write version and date of results that were just computed to the list of them."""
    rows = {row["name"]: row for row in report.read_csv(path)} if path.exists() else {}
    today = {"version": skae.__version__, "date": date.today().isoformat()}
    rows |= {name: {"name": name} | today for name in names}
    report.write_csv(path, [rows[name] for name in sorted(rows)])


if __name__ == "__main__":
    main()
