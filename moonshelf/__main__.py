"""``python -m moonshelf`` is the ``moonshelf`` command."""

from __future__ import annotations

import sys

from moonshelf.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
