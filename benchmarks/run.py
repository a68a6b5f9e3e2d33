"""The main job: how much of held-out images PCA and skae's autoencoders keep, by the depth of the code.

python benchmarks/run.py    # the digits of scikit-learn, five depths

It is `depth.py`, with its options; the other questions have commands of their own, see benchmarks/README.md.
"""

import sys
from pathlib import Path

# Started as a file: import from the root of the repository, not from this folder.
if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.depth import main

if __name__ == "__main__":
    main()
