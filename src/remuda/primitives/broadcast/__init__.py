"""One message to many agents: at once, by gossip, or along a tree that repairs itself.

report    what came of it
delivery  into the mailboxes, and the waits for those that are full
gossip    who tells whom, by chance
plumtree  who tells whom, where links are given
call      `broadcast` itself
"""

from remuda.primitives.broadcast.call import broadcast as broadcast
from remuda.primitives.broadcast.gossip import gossip_rounds as gossip_rounds
from remuda.primitives.broadcast.report import BroadcastReport as BroadcastReport

__all__ = ["BroadcastReport", "broadcast", "gossip_rounds"]
