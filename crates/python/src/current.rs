//! Which agent runs on this thread, and what is left of its budget.

use std::cell::{Cell, UnsafeCell};
use std::ptr;

use pyo3::prelude::*;
use remuda_kernel::budget::Budget;

use crate::agent::AgentRef;
#[cfg(Py_3_12)]
use crate::interop;

/// The run that is under way on a thread.
struct Run {
    /// Borrowed: the pump holds a reference for as long as it is set. Null: no agent runs.
    agent: Cell<*mut pyo3::ffi::PyObject>,
    budget: UnsafeCell<Option<Budget>>,
}

thread_local! {
    static RUN: Run = const { Run { agent: Cell::new(ptr::null_mut()), budget: UnsafeCell::new(None) } };
}

/// Makes an agent the running one, with a fresh budget.
#[inline]
pub fn begin(agent: &Bound<'_, AgentRef>, budget: Budget) {
    RUN.with(|run| {
        run.agent.set(agent.as_ptr());
        // SAFETY: only this thread reaches its own cell, and no reference into it outlives a function of this file.
        unsafe { *run.budget.get() = Some(budget) };
    });
}

/// No agent runs any more.
#[inline]
pub fn end() {
    RUN.with(|run| run.agent.set(ptr::null_mut()));
}

/// Whether an agent runs on this thread.
#[inline]
#[cfg_attr(any(not(Py_3_12), Py_GIL_DISABLED), expect(dead_code, reason = "asked where a StopIteration is kept"))]
pub fn any() -> bool {
    RUN.with(|run| !run.agent.get().is_null())
}

/// Whether this agent is the one that runs here.
#[inline]
pub fn is(agent: *mut pyo3::ffi::PyObject) -> bool {
    RUN.with(|run| run.agent.get() == agent)
}

/// What an agent finds that wants to receive.
pub enum Payment {
    /// It runs here, and has paid for a message.
    Paid,
    /// It runs here; whether it may go on, [`pay`] decides.
    Due,
    /// It does not run here.
    NotRunning,
}

/// Pays for one message, if `agent` is the one that runs here.
#[inline]
pub fn pay_as(agent: *mut pyo3::ffi::PyObject) -> Payment {
    RUN.with(|run| {
        if agent.is_null() || run.agent.get() != agent {
            return Payment::NotRunning;
        }
        // SAFETY: as in `begin`.
        let paid = unsafe { (*run.budget.get()).as_mut().is_none_or(Budget::pay_unseen) };
        if paid { Payment::Paid } else { Payment::Due }
    })
}

/// Pays for one message of the agent that runs here, with a look at the clock if one is due.
pub fn pay() -> bool {
    RUN.with(|run| {
        // SAFETY: as in `begin`.
        unsafe { (*run.budget.get()).as_mut().is_none_or(Budget::pay) }
    })
}

/// A number that tells this thread from every other living one.
#[inline]
pub fn thread_token() -> usize {
    RUN.with(|run| ptr::from_ref(run) as usize)
}

/// The agent that runs here *and* is the current asyncio task: only it may wait natively. It is not, for instance, when
/// it starts a task eagerly: that one waits through a future like every foreign task.
pub fn agent_task(py: Python<'_>) -> PyResult<Option<Bound<'_, AgentRef>>> {
    let pointer = RUN.with(|run| run.agent.get());
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: `RUN` borrows from the pump, which holds a reference while the pointer is set.
    let agent = unsafe { Bound::from_borrowed_ptr(py, pointer).cast_into_unchecked::<AgentRef>() };
    // Before 3.12 there are no eager tasks, and nothing else runs in the midst of an agent's step.
    #[cfg(Py_3_12)]
    {
        let event_loop = agent.get().runtime.get().event_loop(py)?;
        let current = interop::current_task(py, &event_loop)?;
        Ok(current.is_some_and(|task| task.is(&agent)).then_some(agent))
    }
    #[cfg(not(Py_3_12))]
    Ok(Some(agent))
}

/// The agent that runs here, for messages that it sends.
pub fn sender<'py>(py: Python<'py>) -> Option<Bound<'py, AgentRef>> {
    let pointer = RUN.with(|run| run.agent.get());
    if pointer.is_null() {
        return None;
    }
    // SAFETY: as in `agent_task`.
    Some(unsafe { Bound::from_borrowed_ptr(py, pointer).cast_into_unchecked() })
}

/// The agent that runs the calling code, or None.
#[pyfunction]
pub fn current_agent(py: Python<'_>) -> PyResult<Option<Bound<'_, AgentRef>>> {
    agent_task(py)
}
