"""``python -m training.hqsam``."""

import sys

from training.hqsam.train import main

sys.exit(main())
