"""What Remuda costs, measured beside floors and peers. Each is run by `python -m benchmarks.NAME`."""

# The modules, lowest first; a module imports only from those above it in this list.
#
#   harness          runs contenders in turns and keeps what they took
#   figures          medians, spreads, ratios, verdicts; the JSON
#   timers           how late the event loop's timers fire
#   memory           resident bytes
#   floors           the least that Python itself takes
#   tasks            the peer: an asyncio task with a queue
#   agents           the subject
#   catalogue        which contenders are compared in which benchmark, and the bars
#   table  plot      what people look at
#   message_passing  the command line
#
# `check` stands for itself: it measures the static checker.
#
# `worker` is what `harness` starts: the process that a contender is measured in.
