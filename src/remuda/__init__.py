"""Remuda: an agent runtime for Python, nanosecond-scale.

Agents are `async def` functions or small classes; a compiled scheduler runs hundreds of thousands of them inside
asyncio, and every mailbox is bounded.
"""

# The layers, lowest first; a module imports only from those above it in this list.
#
#   errors        every exception
#   statistics    frozen values that tell what goes on
#   durations     seconds among the arguments
#   scheduling    how many workers, and the scheduler's heuristics
#   _kernel       the compiled core: agents, mailboxes, the scheduler's mechanism
#   capabilities  who may have an object, and who may change it
#   message       an envelope around what is sent
#   workers       the threads of a runtime beside its own
#   threads       functions that block, in threads of their own
#   mailbox       the receiving side
#   agent         agents written as classes
#   all_tasks     agents in asyncio.all_tasks()
#   runtime       where agents live: policy for failures, dead letters, stopping
#   primitives    quorums, shards, leases and broadcasts
#   testing       runs that can be repeated, and faults on purpose
#   check         finds misused capabilities in sources, before they run
#   cli           the command line

from remuda import errors as errors
from remuda._kernel import Future as Future
from remuda._kernel import Receiver as Receiver
from remuda._kernel import Resolver as Resolver
from remuda._kernel import Sender as Sender
from remuda._kernel import __version__ as __version__
from remuda._kernel import await_future as await_future
from remuda._kernel import blocking as blocking
from remuda._kernel import channel as channel
from remuda._kernel import select as select
from remuda._kernel import spawn as spawn
from remuda.agent import Agent as Agent
from remuda.agent import AgentRef as AgentRef
from remuda.agent import current_agent as current_agent
from remuda.agent import signal as signal
from remuda.capabilities import Box as Box
from remuda.capabilities import FrozenDict as FrozenDict
from remuda.capabilities import Iso as Iso
from remuda.capabilities import Ref as Ref
from remuda.capabilities import Tag as Tag
from remuda.capabilities import Tracked as Tracked
from remuda.capabilities import Trn as Trn
from remuda.capabilities import Unchecked as Unchecked
from remuda.capabilities import Val as Val
from remuda.capabilities import box as box
from remuda.capabilities import consume as consume
from remuda.capabilities import freeze as freeze
from remuda.capabilities import is_sendable as is_sendable
from remuda.capabilities import iso as iso
from remuda.capabilities import prove_isolated as prove_isolated
from remuda.capabilities import recover as recover
from remuda.capabilities import ref as ref
from remuda.capabilities import register_immutable as register_immutable
from remuda.capabilities import swap as swap
from remuda.capabilities import tag as tag
from remuda.capabilities import trn as trn
from remuda.capabilities import unchecked as unchecked
from remuda.capabilities import val as val
from remuda.errors import AgentFailed as AgentFailed
from remuda.errors import AgentKilled as AgentKilled
from remuda.errors import AskTimeout as AskTimeout
from remuda.errors import BehaviourError as BehaviourError
from remuda.errors import BrokenPromise as BrokenPromise
from remuda.errors import CapabilityError as CapabilityError
from remuda.errors import ChannelClosed as ChannelClosed
from remuda.errors import ChannelEmpty as ChannelEmpty
from remuda.errors import ChannelFull as ChannelFull
from remuda.errors import DeadlockDetected as DeadlockDetected
from remuda.errors import LeaseHeld as LeaseHeld
from remuda.errors import LeaseLost as LeaseLost
from remuda.errors import MailboxClosed as MailboxClosed
from remuda.errors import MailboxEmpty as MailboxEmpty
from remuda.errors import MailboxFull as MailboxFull
from remuda.errors import MovedError as MovedError
from remuda.errors import NoReply as NoReply
from remuda.errors import NoRuntime as NoRuntime
from remuda.errors import NotIsolated as NotIsolated
from remuda.errors import NotSendable as NotSendable
from remuda.errors import QuorumNotReached as QuorumNotReached
from remuda.errors import RemudaError as RemudaError
from remuda.errors import RuntimeStopped as RuntimeStopped
from remuda.errors import StaleToken as StaleToken
from remuda.errors import StoreUnavailable as StoreUnavailable
from remuda.errors import WorkerFailed as WorkerFailed
from remuda.errors import WrongOwner as WrongOwner
from remuda.mailbox import Mailbox as Mailbox
from remuda.mailbox import Request as Request
from remuda.message import Message as Message
from remuda.primitives.broadcast import BroadcastReport as BroadcastReport
from remuda.primitives.broadcast import broadcast as broadcast
from remuda.primitives.broadcast import gossip_rounds as gossip_rounds
from remuda.primitives.lease import Fenced as Fenced
from remuda.primitives.lease import Lease as Lease
from remuda.primitives.lease import LeaseManager as LeaseManager
from remuda.primitives.quorum import QuorumResult as QuorumResult
from remuda.primitives.quorum import Vote as Vote
from remuda.primitives.quorum import quorum as quorum
from remuda.primitives.shard import ShardMap as ShardMap
from remuda.primitives.shard import shard as shard
from remuda.runtime import Runtime as Runtime
from remuda.runtime import current_runtime as current_runtime
from remuda.runtime import run as run
from remuda.scheduling import Scheduling as Scheduling
from remuda.statistics import ChannelStatistics as ChannelStatistics
from remuda.statistics import DeadLetter as DeadLetter
from remuda.statistics import MailboxStatistics as MailboxStatistics
from remuda.statistics import RuntimeStatistics as RuntimeStatistics
from remuda.statistics import StopReport as StopReport
from remuda.statistics import WatermarkEvent as WatermarkEvent
from remuda.statistics import WorkerStatistics as WorkerStatistics
from remuda.threads import to_thread as to_thread

__all__ = [
    "Agent",
    "AgentFailed",
    "AgentKilled",
    "AgentRef",
    "AskTimeout",
    "BehaviourError",
    "Box",
    "BroadcastReport",
    "BrokenPromise",
    "CapabilityError",
    "ChannelClosed",
    "ChannelEmpty",
    "ChannelFull",
    "ChannelStatistics",
    "DeadLetter",
    "DeadlockDetected",
    "Fenced",
    "FrozenDict",
    "Future",
    "Iso",
    "Lease",
    "LeaseHeld",
    "LeaseLost",
    "LeaseManager",
    "Mailbox",
    "MailboxClosed",
    "MailboxEmpty",
    "MailboxFull",
    "MailboxStatistics",
    "Message",
    "MovedError",
    "NoReply",
    "NoRuntime",
    "NotIsolated",
    "NotSendable",
    "QuorumNotReached",
    "QuorumResult",
    "Receiver",
    "Ref",
    "RemudaError",
    "Request",
    "Resolver",
    "Runtime",
    "RuntimeStatistics",
    "RuntimeStopped",
    "Scheduling",
    "Sender",
    "ShardMap",
    "StaleToken",
    "StopReport",
    "StoreUnavailable",
    "Tag",
    "Tracked",
    "Trn",
    "Unchecked",
    "Val",
    "Vote",
    "WatermarkEvent",
    "WorkerFailed",
    "WorkerStatistics",
    "WrongOwner",
    "__version__",
    "await_future",
    "blocking",
    "box",
    "broadcast",
    "channel",
    "consume",
    "current_agent",
    "current_runtime",
    "errors",
    "freeze",
    "gossip_rounds",
    "is_sendable",
    "iso",
    "prove_isolated",
    "quorum",
    "recover",
    "ref",
    "register_immutable",
    "run",
    "select",
    "shard",
    "signal",
    "spawn",
    "swap",
    "tag",
    "to_thread",
    "trn",
    "unchecked",
    "val",
]
