"""``python -m privface_backend`` is ``privface``."""

import sys

from privface_backend.cli import main

sys.exit(main())
