//! Who waits for something, and how to wake it: an agent by scheduling it, any other task through a future of its loop.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

use crate::agent::AgentRef;
use crate::awaitable::{Poll, attached};
use crate::{current, errors, interop};

/// One that waits.
#[derive(Debug)]
pub enum Waiter {
    /// An agent, which is scheduled.
    Agent(Py<AgentRef>),
    /// A foreign task, which is woken by this future.
    Future(Py<PyAny>),
}

/// What tells one waiter from another while it waits.
pub type WaiterKey = usize;

impl Waiter {
    /// Its key: the address of the agent or the future, which the waiter keeps alive.
    pub fn key(&self) -> WaiterKey {
        match self {
            Self::Agent(agent) => agent.as_ptr() as usize,
            Self::Future(future) => future.as_ptr() as usize,
        }
    }

    /// The waiter for the code that runs now, and what it has to yield.
    pub fn of_current(py: Python<'_>) -> PyResult<(Self, Poll)> {
        if let Some(agent) = current::agent_task(py)? {
            return Ok((Self::Agent(agent.unbind()), Poll::Pending(interop::park(py).clone_ref(py))));
        }
        let future = interop::blocking_future(py)?;
        Ok((Self::Future(future.clone().unbind()), Poll::Pending(future.unbind())))
    }

    /// Another reference to it.
    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Agent(agent) => Self::Agent(agent.clone_ref(py)),
            Self::Future(future) => Self::Future(future.clone_ref(py)),
        }
    }

    /// Whether it waits still, and is not the code that runs now, which may have been woken by something else.
    pub fn is_waiting(&self, py: Python<'_>) -> PyResult<bool> {
        match self {
            Self::Agent(agent) => Ok(!current::agent_task(py)?.is_some_and(|current| current.is(agent))),
            Self::Future(future) => Ok(!future.bind(py).call_method0(intern!(py, "done"))?.is_truthy()?),
        }
    }

    /// Wakes it. Runs Python: never call it with a lock held.
    pub fn wake(self, py: Python<'_>) {
        self.try_wake(py);
    }

    /// The same. False: its event loop is closed, and it will never run.
    pub fn try_wake(self, py: Python<'_>) -> bool {
        match self {
            Self::Agent(agent) => {
                // From now on it waits for nobody, though it has not run yet: what is asked of it meanwhile is no circle.
                let waited_for = agent.get().shared.lock().extra.as_mut().and_then(|extra| extra.waits_for.take());
                drop(waited_for);
                AgentRef::schedule(agent.bind(py));
                true
            }
            Self::Future(future) => attached(|py| {
                let future = future.into_bound(py);
                interop::complete(py, &future).unwrap_or_else(|error| {
                    errors::unraisable(py, error, Some(&future));
                    true
                })
            }),
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Agent(agent) => visit.call(agent),
            Self::Future(future) => visit.call(future),
        }
    }
}
