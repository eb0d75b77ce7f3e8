"""``python -m training.vmos``."""

import sys

from training.vmos.train import main

sys.exit(main())
