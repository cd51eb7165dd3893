"""`python -m examples.quorum_consensus`."""

import sys

from examples.quorum_consensus.cli import main

if __name__ == "__main__":
    sys.exit(main())
