"""Asking many, and going on as soon as enough of them agree."""

from remuda.primitives.quorum.call import Threshold as Threshold
from remuda.primitives.quorum.call import quorum as quorum
from remuda.primitives.quorum.votes import QuorumResult as QuorumResult
from remuda.primitives.quorum.votes import Vote as Vote

__all__ = ["QuorumResult", "Threshold", "Vote", "quorum"]
