//! `with remuda.blocking():` around code that blocks: others run on another thread meanwhile.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::prelude::*;

use crate::current;
use crate::machine::Machine;

/// What `remuda.blocking()` returns.
#[pyclass(frozen, module = "remuda._kernel")]
pub struct Blocking {
    /// The machine whose processor the block has given up; null outside of the outermost block of an agent.
    machine: AtomicPtr<Machine>,
}

#[pymethods]
impl Blocking {
    fn __enter__(&self, py: Python<'_>) {
        let Some((agent, machine)) = current::sender(py).zip(current::machine()) else { return };
        if machine.blocked.load(Ordering::Relaxed) {
            return; // an outer block has seen to it
        }
        self.machine.store(ptr::from_ref(machine).cast_mut(), Ordering::Relaxed);
        let runtime = agent.get().runtime.bind(py);
        runtime.get().give_processor_up(runtime, machine);
    }

    #[pyo3(signature = (*_raised))]
    fn __exit__(&self, py: Python<'_>, _raised: &Bound<'_, pyo3::types::PyTuple>) {
        let began = self.machine.swap(ptr::null_mut(), Ordering::Relaxed);
        // On another machine than it began on, or in another step, the agent has awaited something inside: `step` has
        // taken the processor back then, and tells the agent so.
        if let Some((agent, machine)) = current::sender(py).zip(current::machine())
            && ptr::eq(began, machine)
            && machine.blocked.load(Ordering::Relaxed)
        {
            agent.get().runtime.get().take_processor_back(machine);
        }
    }
}

/// Around code that blocks, in an agent: others run on another thread meanwhile.
#[pyfunction]
pub fn blocking() -> Blocking {
    Blocking { machine: AtomicPtr::new(ptr::null_mut()) }
}
