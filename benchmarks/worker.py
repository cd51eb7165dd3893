"""A process that measures when it is told to, for `harness`.

It reads one line of JSON for each measurement and answers with one line, until there are no more.
"""

from __future__ import annotations

import importlib
import json
import sys

from benchmarks.harness import execute

if __name__ == "__main__":
    for line in sys.stdin:
        words = json.loads(line)
        function = getattr(importlib.import_module(words["module"]), words["function"])
        figures = execute(function, words["size"], uvloop=words["uvloop"], collect=words["collect"])
        print(json.dumps(figures), flush=True)
