"""`python -m serving.cli`, for where the `ebbtide` script is not installed."""

import sys

from serving.entry import main

sys.exit(main())
