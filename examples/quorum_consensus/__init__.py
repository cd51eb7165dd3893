"""Leaders have members decide what is in a log, while members crash, are slow, are cut off, and lie.

    python -m examples.quorum_consensus

Every slot of the log is decided by Paxos, whose phases are calls of `remuda.quorum`. A run is that
of its seed, to the last message, and a checker looks at what came of it. `README.md` beside this
file says what is guaranteed when.
"""

# The modules, lowest first; a module imports only from those above it in this list.
#
#   history       what is written down about a run, and the checker
#   protocol      members and leaders
#   world         disks, links and crashes; a run
#   show          the rounds in a terminal, and as a picture
#   cli           the command line
