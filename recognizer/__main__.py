"""`python -m recognizer`."""

import sys

from recognizer.cli.main import main

sys.exit(main())
