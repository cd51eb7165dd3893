"""What is looked at after every test: that nothing of Remuda's is left behind."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

import remuda
from remuda import _kernel
from remuda.all_tasks import _runtimes

KINDS = (
    *(kind for kind in vars(_kernel).values() if isinstance(kind, type)),
    remuda.Lease,
    remuda.LeaseManager,
)
"""Types whose objects are counted: all of the kernel's, and leases with their managers."""
UNCOUNTED = (_kernel.ShardMap, _kernel.FrozenDict, _kernel.Val)
"""Values, which may be kept by whoever likes: `shard` has a cache, for instance."""


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """After each test there is no more thread of a worker, and no more living agent, than before."""
    before = _running()
    yield
    left = _running() - before
    assert not left, f"expected nothing to be left, found {sorted(left)}"


def _running() -> set[str]:
    # Those of `remuda.to_thread` are kept for the next call.
    names = {thread.name for thread in threading.enumerate()}
    threads = {name for name in names if name.startswith("remuda-worker")}
    return threads | {f"{agent!r}" for runtime in list(_runtimes) for agent in runtime.agents()}


@pytest.fixture(autouse=True, scope="module")
def no_object_is_left() -> Iterator[None]:
    """After the tests of a module there are no more agents, requests, channels, promises or leases than before."""
    before = _living()
    yield
    left = _living() - before
    assert not left, f"objects are left: {dict(left)}"


def _living() -> Counter[str]:
    gc.collect()
    kinds = [type(thing) for thing in gc.get_objects()]
    return Counter(
        kind.__qualname__
        for kind in kinds
        if issubclass(kind, KINDS) and not issubclass(kind, UNCOUNTED)
    )
