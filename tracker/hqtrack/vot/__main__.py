"""``python -m hqtrack.vot``: the TraX process."""

import sys

from hqtrack.vot.process import main

sys.exit(main())
