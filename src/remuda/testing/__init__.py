"""For tests of agents: runs that can be repeated, time that doesn't have to be waited for, and faults on purpose.

Everything here is public: Remuda's own tests use it too.
"""

from remuda.testing.faults import Faults, FaultStatistics, InjectedCrash, crash, inject
from remuda.testing.loop import DeterministicLoop, Stuck, wait_idle
from remuda.testing.proofs import prove_isos
from remuda.testing.repeat import deterministic, run
from remuda.testing.sequencer import Sequencer

__all__ = [
    "DeterministicLoop",
    "FaultStatistics",
    "Faults",
    "InjectedCrash",
    "Sequencer",
    "Stuck",
    "crash",
    "deterministic",
    "inject",
    "prove_isos",
    "run",
    "wait_idle",
]
