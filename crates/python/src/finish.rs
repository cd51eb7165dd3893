//! The end of an agent: whoever waits for it is told, what was left in its mailbox is accounted for, nothing vanishes.

use pyo3::prelude::*;
use pyo3::{ffi, intern};
use std::sync::atomic::Ordering;

use crate::admission::admit_for_many;
use crate::agent::{AgentRef, BLOCKED, CANCEL, Outcome, Receiver};
use crate::body::Body;
use crate::errors;
use crate::request::{self, Request};
use crate::runtime::Runtime;
use crate::waiter::Waiter;

/// The behaviour returned.
pub fn returned(agent: &Bound<'_, AgentRef>, value: Py<PyAny>) {
    let py = agent.py();
    if agent.get().signals.load(Ordering::Acquire) & CANCEL != 0 {
        // As in asyncio: a cancellation that came during the very last step still counts.
        let cancelled = errors::make(errors::cancelled_error(py), ());
        return end(agent, Outcome::Cancelled(cancelled.into_value(py).into_any()));
    }
    match admit_for_many(py, value, "result", agent.get().runtime.get().is_strict()) {
        Ok((value, _)) => end(agent, Outcome::Result(value)),
        Err(error) => raised(agent, error),
    }
}

/// The behaviour raised.
pub fn raised(agent: &Bound<'_, AgentRef>, error: PyErr) {
    let py = agent.py();
    let cancelled = errors::cancelled_error(py).is_ok_and(|class| error.is_instance(py, class));
    if !cancelled && is_own_closing(agent, &error) {
        return end(agent, Outcome::Result(py.None()));
    }
    let exception = error.into_value(py);
    if cancelled {
        return end(agent, Outcome::Cancelled(exception.into_any()));
    }
    // First of all, so that whoever finds the agent failed, in whatever thread, finds it counted and logged.
    let runtime = agent.get().runtime.bind(py);
    runtime.get().failed();
    if let Err(error) = runtime.call_method1(intern!(py, "_on_failure"), (agent, &exception)) {
        errors::unraisable(py, error, Some(agent));
    }
    end(agent, Outcome::Error(exception.into_any()));
}

/// Whether the error is that the agent's own mailbox has closed: to leave by it is a clean end.
fn is_own_closing(agent: &Bound<'_, AgentRef>, error: &PyErr) -> bool {
    let py = agent.py();
    errors::mailbox_closed(py).is_ok_and(|class| error.is_instance(py, class))
        && error.value(py).getattr(intern!(py, "agent")).is_ok_and(|whose| whose.is(agent))
}

/// `kill` was called: the coroutine is closed, wherever it waits. It runs as in any step, as the current task in the
/// agent's context; the caller has seen to that.
pub fn kill(agent: &Bound<'_, AgentRef>) {
    close_coroutine(agent);
}

/// What whoever asks for the end of a killed agent is told.
pub fn killed_error(agent: &Bound<'_, AgentRef>) -> PyErr {
    let text = format!("{} was killed", AgentRef::display(agent));
    errors::make(errors::agent_killed(agent.py()), (text, agent))
}

/// The agent has been killed, which is no failure of its own.
pub fn killed(agent: &Bound<'_, AgentRef>) {
    end(agent, Outcome::Killed);
}

/// Forgets the asyncio future that the agent waits for.
pub fn leave_future(agent: &Bound<'_, AgentRef>) {
    let py = agent.py();
    let waiting_on = agent.get().shared.lock().extra.as_mut().and_then(|extra| extra.waiting_on.take());
    if let Some(future) = waiting_on {
        agent.get().signals.fetch_and(!BLOCKED, Ordering::AcqRel);
        let removed = agent
            .getattr(intern!(py, "_wakeup"))
            .and_then(|wakeup| future.bind(py).call_method1(intern!(py, "remove_done_callback"), (wakeup,)));
        if let Err(error) = removed {
            errors::unraisable(py, error, Some(agent));
        }
    }
}

/// The same for a future whose loop is gone, and which will call nobody back.
pub fn forget_future(agent: &Bound<'_, AgentRef>) {
    let waiting_on = agent.get().shared.lock().extra.as_mut().and_then(|extra| extra.waiting_on.take());
    if waiting_on.is_some() {
        agent.get().signals.fetch_and(!BLOCKED, Ordering::AcqRel);
    }
    drop(waiting_on);
}

/// Raises `GeneratorExit` where the coroutine waits, so that its `finally` blocks run.
fn close_coroutine(agent: &Bound<'_, AgentRef>) {
    let py = agent.py();
    leave_future(agent);
    // SAFETY: the caller has moved the agent to RUNNING.
    let coroutine = unsafe { (*agent.get().body.get()).coroutine(py).cloned() };
    if let Some(coroutine) = coroutine
        && let Err(error) = coroutine.call_method0(intern!(py, "close"))
    {
        errors::unraisable(py, error, Some(agent));
    }
}

/// The error of one who asked an agent that ended before it answered.
pub fn failed_before_answer(agent: &Bound<'_, AgentRef>, cause: Option<&PyErr>) -> PyErr {
    let py = agent.py();
    let name = AgentRef::display(agent);
    let text = match cause {
        Some(cause) => format!("expected {name} to answer, but it failed: {cause}"),
        None => format!("expected {name} to answer, but it ended before"),
    };
    let error = errors::make(errors::agent_failed(py), (text, agent));
    error.set_cause(py, cause.map(|cause| cause.clone_ref(py)));
    error
}

/// Ends the agent. Everything that runs Python is done after the state is consistent.
fn end(agent: &Bound<'_, AgentRef>, outcome: Outcome) {
    let py = agent.py();
    let this = agent.get();
    let cause = match &outcome {
        Outcome::Error(error) | Outcome::Cancelled(error) => Some(PyErr::from_value(error.bind(py).clone())),
        Outcome::Killed => Some(killed_error(agent)),
        Outcome::Pending | Outcome::Result(_) => None,
    };
    let (parked, left, receiver, extra, received) = {
        let mut shared = this.shared.lock();
        let parked = shared.queue.close();
        shared.outcome = outcome;
        let extra = shared.extra.as_mut().map(|extra| {
            (
                std::mem::take(&mut extra.waiters),
                std::mem::take(&mut extra.callbacks),
                std::mem::take(&mut extra.unanswered),
                (extra.waits_for.take(), extra.throw.take(), extra.waiting_on.take()),
            )
        });
        let receiver = std::mem::replace(&mut shared.receiver, Receiver::Nobody);
        (parked, shared.queue.drain(), receiver, extra, shared.queue.received())
    };
    this.state.finish();
    this.runtime.get().ended(received);
    let program = {
        // For those who look at the coroutine from elsewhere.
        let _shared = this.shared.lock();
        // SAFETY: this thread has moved the agent to RUNNING, and it will not run again.
        unsafe { (*this.body.get()).end() }
    };
    deregister(agent);
    for turned_away in parked {
        turned_away.sender.wake(py);
    }
    if let Receiver::Future(future) = receiver {
        Waiter::Future(future).wake(py);
    }
    let (waiters, callbacks, unanswered, rest) = extra.unwrap_or_default();
    if cause.is_some() {
        for ask in unanswered {
            ask.get().fail(failed_before_answer(agent, cause.as_ref()), py);
        }
    }
    for message in left {
        bury_left(agent, message, cause.as_ref());
    }
    for waiter in waiters {
        waiter.wake(py);
    }
    for callback in callbacks {
        if let Err(error) = Runtime::call_back(agent, &callback) {
            errors::unraisable(py, error, Some(agent));
        }
    }
    drop((program, rest));
}

/// A message that nobody will receive is a dead letter; a request also fails, so that nobody waits for its answer.
pub fn bury(agent: &Bound<'_, AgentRef>, message: Py<PyAny>, reason: &str) {
    let py = agent.py();
    let runtime = agent.get().runtime.get();
    if !request::is_request(message.bind(py)) {
        return runtime.bury(agent, message, reason);
    }
    // SAFETY: its type was just looked at.
    let request = unsafe { message.into_bound(py).cast_into_unchecked::<Request>() };
    runtime.bury(agent, request.get().message().clone_ref(py), reason);
    let text = format!("expected {} to answer, but the request was {reason}", AgentRef::display(agent));
    request.get().fail_with(py, errors::make(errors::no_reply(py), (text,)));
}

/// A message that was left in the mailbox of an agent that ended, for this cause if it failed.
fn bury_left(agent: &Bound<'_, AgentRef>, message: Py<PyAny>, cause: Option<&PyErr>) {
    let py = agent.py();
    if let Ok(request) = message.bind(py).cast::<Request>() {
        request.get().fail_with(py, failed_before_answer(agent, cause));
    }
    bury(agent, message, "left in the mailbox of an agent that ended");
}

/// Takes the agent out of its runtime's register.
pub fn deregister(agent: &Bound<'_, AgentRef>) {
    agent.get().runtime.get().deregister(agent);
}

/// The last reference to an agent has gone. Nobody can send to it any more: its mailbox closes, and it runs once again
/// to see that and end. Called with an object that a reference taken here brings back to life.
pub fn last_reference_gone(agent: &Bound<'_, AgentRef>) {
    let this = agent.get();
    if !this.state.is_idle() {
        return;
    }
    // SAFETY: idle, and without references: nobody runs it.
    let body = unsafe { &*this.body.get() };
    match body {
        Body::Coroutine { .. } | Body::Instance { handling: Some(_), .. } => {
            if this.runtime.get().is_running() {
                AgentRef::close_intake(agent);
            }
        }
        Body::Instance { handling: None, .. } => {
            if this.state.wake() && this.state.start() {
                end(agent, Outcome::Result(agent.py().None()));
            }
        }
        Body::Ended { .. } => {}
    }
}

/// What `asyncio.base_tasks` wants to know to print a stack: the coroutine and the error.
pub fn stack_view<'py>(agent: &Bound<'py, AgentRef>) -> PyResult<Bound<'py, PyAny>> {
    let py = agent.py();
    let namespace = errors::import(py, "types")?.getattr("SimpleNamespace")?.call0()?;
    let error = match &agent.get().shared.lock().outcome {
        Outcome::Error(error) => Some(error.clone_ref(py)),
        _ => None,
    };
    let coroutine = agent.get().coroutine(py);
    namespace.setattr("_coro", coroutine)?;
    namespace.setattr("_exception", error)?;
    Ok(namespace)
}

/// A reference to an agent that the register holds without counting; `None` if its last one is just going.
pub fn upgrade<'py>(py: Python<'py>, pointer: *mut ffi::PyObject) -> Option<Bound<'py, AgentRef>> {
    #[cfg(Py_GIL_DISABLED)]
    {
        // SAFETY: the caller holds the register's lock, and an agent leaves the register before its memory goes.
        if unsafe { ffi::PyUnstable_TryIncRef(pointer) } == 0 {
            return None;
        }
        // SAFETY: just taken.
        return Some(unsafe { Bound::from_owned_ptr(py, pointer).cast_into_unchecked() });
    }
    #[cfg(not(Py_GIL_DISABLED))]
    {
        // SAFETY: as above; under the GIL an agent in the register has references, or is inside its finaliser, which
        // brings it back if anybody takes one.
        Some(unsafe { Bound::from_borrowed_ptr(py, pointer).cast_into_unchecked() })
    }
}
