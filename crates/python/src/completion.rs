//! Waiting for an agent's end: `await agent`, and `await agent.stop()`.

use crate::guarded::Guarded;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::agent::{AgentRef, Outcome};
use crate::awaitable::{Awaitable, Poll, thrown};
use crate::errors;
use crate::send::{forget_wait, note_wait};
use crate::waiter::{Waiter, WaiterKey};

/// What awaiting an agent, or the stop of one, iterates over.
#[pyclass(frozen, module = "remuda._kernel")]
#[derive(Debug)]
pub struct Completion {
    agent: Py<AgentRef>,
    /// Whether the agent's result, or its error, is the result of the await.
    tells: bool,
    /// Our waiter with the agent, if there is one.
    waits: Guarded<Option<WaiterKey>>,
}

impl Completion {
    pub fn of_result(agent: Py<AgentRef>) -> Self {
        Self { agent, tells: true, waits: Guarded::new(None) }
    }

    pub fn of_end(agent: Py<AgentRef>) -> Self {
        Self { agent, tells: false, waits: Guarded::new(None) }
    }
}

/// Has an agent wake somebody when it ends. Hands the waiter back: it has ended.
pub fn watch(agent: &AgentRef, waiter: Waiter) -> Result<(), Waiter> {
    let mut shared = agent.shared.lock();
    if !matches!(shared.outcome, Outcome::Pending) {
        return Err(waiter);
    }
    shared.extra().waiters.push(waiter);
    Ok(())
}

/// Takes a waiter out, if it is still there.
pub fn unwatch(agent: &AgentRef, key: WaiterKey) {
    let removed = agent.shared.lock().extra.as_mut().and_then(|extra| {
        let place = extra.waiters.iter().position(|waiter| waiter.key() == key)?;
        Some(extra.waiters.swap_remove(place))
    });
    drop(removed);
}

impl Completion {
    /// Takes our waiter out: it was woken, or the task that waited has gone.
    fn leave(&self, py: Python<'_>) {
        let Some(key) = self.waits.lock().take() else {
            return;
        };
        forget_wait(py);
        unwatch(self.agent.get(), key);
    }
}

impl Awaitable for Completion {
    const IS_ITS_OWN_ITERATOR: bool = false;

    fn poll(slf: &Bound<'_, Self>) -> PyResult<Poll> {
        let py = slf.py();
        let this = slf.get();
        let agent = this.agent.bind(py);
        this.leave(py);
        if this.tells
            && let Some(outcome) = AgentRef::outcome(agent)
        {
            return outcome.map(Poll::Ready);
        }
        if !this.tells && agent.get().shared.lock().has_ended() {
            return Ok(Poll::Done);
        }
        if agent.get().runtime.get().has_forked() {
            let name = AgentRef::display(agent);
            let text =
                format!("expected an agent of this process, but {name} lives in the one that it was forked from");
            return Err(errors::make(errors::runtime_stopped(py), (text,)));
        }
        let (waiter, poll) = Waiter::of_current(py)?;
        if let Waiter::Agent(sender) = &waiter {
            note_wait(sender.bind(py), agent)?;
        }
        let key = waiter.key();
        match watch(agent.get(), waiter) {
            Ok(()) => *this.waits.lock() = Some(key),
            // It ended since the look before: the next look will find it so.
            Err(waiter) => waiter.wake(py),
        }
        Ok(poll)
    }
}

#[pymethods]
impl Completion {
    /// Each await has an iterator of its own, so that several tasks can await the same stop.
    fn __await__(&self, py: Python<'_>) -> Self {
        Self { agent: self.agent.clone_ref(py), tells: self.tells, waits: Guarded::new(None) }
    }

    #[pyo3(signature = (kind, value = None, traceback = None, /))]
    fn throw<'py>(
        &self,
        py: Python<'py>,
        kind: Bound<'py, PyAny>,
        value: Option<Bound<'py, PyAny>>,
        traceback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        self.close(py);
        Err(thrown(py, kind, value, traceback))
    }

    fn close(&self, py: Python<'_>) {
        self.leave(py);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.agent)
    }
}
