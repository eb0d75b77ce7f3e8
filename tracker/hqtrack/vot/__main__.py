"""``python -m hqtrack.vot``: the tracker process."""

import sys

from hqtrack.vot.process import main

sys.exit(main())
