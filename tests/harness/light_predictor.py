"""`python light_predictor.py predict1 OPTIONS`: the real predictor of this name, but with light_model.py for its model.

It starts in a fifth of the processor's time, for importing scikit-learn is the rest.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.harness import light_model  # noqa: E402

sys.modules["predictors.model"] = light_model

from predictors.model_server import main  # noqa: E402

if __name__ == "__main__":
    main(sys.argv.pop(1), 9696)
