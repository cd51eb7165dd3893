"""`python -m examples.trading_swarm`."""

import sys

from examples.trading_swarm.cli import main

if __name__ == "__main__":
    sys.exit(main())
