"""The static checker: finds misused capabilities before the program runs.

It reads sources only; nothing of the program is imported or run.
"""

# The way of a file through the modules:
#
#   command, plugin         who asks
#   config, files           which files, which rules
#   scopes, module          what the file defines and imports
#   classes, types          what it tells of types
#   flow, blocks            the graph of each function
#   function                goes along the graph until nothing new is learnt
#   outside, effects        what it meets of the rest of the file
#   patterns                what a `match` captures
#   calls, evaluate         what calls and other expressions do
#   messages, capabilities  those that send, and those that make handles
#   parts, objects          to which objects, what is in them, and what must not happen to them
#   state                   what is known of them at one point
#   comments                what is ignored
#   report, pages           how it is told, and explained

from remuda.check.files import check_file, check_source
from remuda.check.finding import Finding, Related
from remuda.check.rules import Rule

__all__ = ["Finding", "Related", "Rule", "check_file", "check_source"]
