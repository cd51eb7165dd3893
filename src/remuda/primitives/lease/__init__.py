"""Leases: the right to use a resource, for a while, with a number that tells who came later.

lease         a lease as its holder sees it; what is checked of arguments
watch         automatic renewal, and the callback of a lease that expires
manager       what is common to all stores, and which of them a URL stands for
memory        leases within this process
remote        what all stores outside of this process have in common
redis_store   leases in Redis, which processes and machines share
scripts       what Redis does in one step, in Lua
etcd_store    leases in etcd, which processes and machines share
fenced        the guard in front of the resource
"""

from remuda.capabilities import register_immutable
from remuda.primitives.lease.etcd_store import EtcdLeaseManager
from remuda.primitives.lease.fenced import Fenced
from remuda.primitives.lease.lease import Lease
from remuda.primitives.lease.manager import LeaseManager
from remuda.primitives.lease.memory import MemoryLeaseManager
from remuda.primitives.lease.redis_store import RedisLeaseManager

__all__ = ["Fenced", "Lease", "LeaseManager"]

# They can be changed, but only under their own locks: agents may share them.
register_immutable(MemoryLeaseManager)
register_immutable(RedisLeaseManager)
register_immutable(EtcdLeaseManager)
register_immutable(Fenced)
