"""``python -m segeval_runner``."""

import sys

from segeval_runner.cli import main

sys.exit(main())
