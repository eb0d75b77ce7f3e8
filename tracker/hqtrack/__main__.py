"""``python -m hqtrack``: the command ``hqtrack``."""

import sys

from hqtrack.cli import main

sys.exit(main())
