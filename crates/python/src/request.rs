//! What `ask` delivers: a message that waits for its answer; `ask` tells what ends it.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::admission::{Moves, admit};
use crate::agent::AgentRef;
use crate::alloc::{Allocated, allocated};
use crate::ask::{Answer, Ask};
use crate::awaitable::attached;
use crate::errors;
use crate::waiter::Waiter;

/// A message that came by `ask`, and that waits for its answer.
#[pyclass(frozen, generic, weakref, module = "remuda")]
#[derive(Debug)]
pub struct Request {
    message: Py<PyAny>,
    ask: Py<Ask>,
    pub answered: AtomicBool,
}

allocated!(Request);

impl Request {
    pub fn new(message: Py<PyAny>, ask: Py<Ask>) -> Self {
        Self { message, ask, answered: AtomicBool::new(false) }
    }

    fn end(&self, py: Python<'_>, answer: Answer) -> PyResult<bool> {
        if self.answered.swap(true, Ordering::AcqRel) {
            return Err(errors::make(
                errors::already_replied(py),
                ("expected one answer to a request, got a second one",),
            ));
        }
        Ok(self.ask.get().answer(py, answer))
    }

    /// The message, for an agent whose `receive` gets it bare.
    pub fn message(&self) -> &Py<PyAny> {
        &self.message
    }

    fn is_strict(&self) -> bool {
        self.ask.get().agent.get().runtime.get().is_strict()
    }

    /// Answers with what `receive` returned, unless the agent has answered by itself. What may not be sent is an error of
    /// the agent, which the asker is told of.
    pub fn answer_with(&self, py: Python<'_>, value: Py<PyAny>) -> PyResult<()> {
        if self.answered.load(Ordering::Acquire) {
            return Ok(());
        }
        let (value, moves) = admit(py, value, "answer", self.is_strict())?.split();
        if self.answered.swap(true, Ordering::AcqRel) || !self.ask.get().answer(py, Answer::Value(value)) {
            drop(moves.map(Moves::give_back));
        }
        Ok(())
    }

    /// Answers with an error.
    pub fn fail_with(&self, py: Python<'_>, error: PyErr) {
        if !self.answered.swap(true, Ordering::AcqRel) {
            self.ask.get().fail(error, py);
        }
    }
}

#[pymethods]
impl Request {
    /// What was asked.
    #[getter(message)]
    fn get_message(&self, py: Python<'_>) -> Py<PyAny> {
        self.message.clone_ref(py)
    }

    /// Whether it has its answer, or nobody waits for one any more.
    #[getter]
    fn answered(&self) -> bool {
        self.answered.load(Ordering::Acquire) || !matches!(self.ask.get().state.lock().answer, Answer::Pending)
    }

    /// Answers. Returns whether the asker still waited; raises `AlreadyReplied` the second time.
    #[pyo3(signature = (value, /))]
    fn reply(&self, py: Python<'_>, value: Py<PyAny>) -> PyResult<bool> {
        let (value, moves) = admit(py, value, "answer", self.is_strict())?.split();
        let taken = self.end(py, Answer::Value(value));
        if !matches!(taken, Ok(true)) {
            drop(moves.map(Moves::give_back));
        }
        taken
    }

    /// Answers with an exception, which `ask` raises. Returns whether the asker still waited.
    #[pyo3(signature = (error, /))]
    fn fail(&self, py: Python<'_>, error: &Bound<'_, PyAny>) -> PyResult<bool> {
        let exception = if error.is_instance_of::<pyo3::types::PyType>() { error.call0()? } else { error.clone() };
        if !exception.is_instance_of::<pyo3::exceptions::PyBaseException>() {
            let kind = error.get_type().name()?;
            return Err(PyTypeError::new_err(format!("expected an exception to fail the request with, got {kind}")));
        }
        self.end(py, Answer::Error(exception.unbind()))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let state = if self.answered() { "answered" } else { "waiting" };
        Ok(format!("<Request {} {state}>", self.message.bind(py).repr()?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.message)?;
        visit.call(&self.ask)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if *self.answered.get_mut() {
            return;
        }
        let ask = self.ask.get();
        if !matches!(ask.state.lock().answer, Answer::Pending) {
            return;
        }
        attached(|py| {
            let _aside = errors::Aside::new(py);
            let name = AgentRef::display(ask.agent.bind(py));
            let text = format!("expected {name} to answer, but the request was dropped without reply or fail");
            ask.fail(errors::make(errors::no_reply(py), (text,)), py);
        });
    }
}

/// Whether a message is a request.
#[inline]
pub fn is_request(message: &Bound<'_, PyAny>) -> bool {
    message.get_type_ptr() == Request::layout().class()
}

/// Notes that `agent` has a request in hand: if it fails before it has answered, so does the request.
pub fn watch(agent: &Bound<'_, AgentRef>, request: &Bound<'_, PyAny>) {
    // SAFETY: the caller has looked at the type with `is_request`.
    let request = unsafe { request.cast_unchecked::<Request>() };
    let ask = &request.get().ask;
    let py = agent.py();
    let (previous, asker) = {
        let mut state = ask.get().state.lock();
        if !matches!(state.answer, Answer::Pending) {
            return;
        }
        let asker = match &state.waiter {
            Some(Waiter::Agent(asker)) => Some(asker.clone_ref(py)),
            _ => None,
        };
        (state.holder.replace(agent.clone().unbind()), asker)
    };
    if let Some(previous) = previous {
        unwatch(&previous, ask);
    }
    agent.get().shared.lock().extra().unanswered.push(ask.clone_ref(py));
    if let Some(asker) = asker {
        let old = asker.get().shared.lock().extra().waits_for.replace(agent.clone().unbind());
        drop(old);
    }
}

fn unwatch(agent: &Py<AgentRef>, ask: &Py<Ask>) {
    let removed = agent.get().shared.lock().extra.as_mut().and_then(|extra| {
        let place = extra.unanswered.iter().rposition(|watched| watched.is(ask))?;
        Some(extra.unanswered.swap_remove(place))
    });
    drop(removed);
}
