//! Running an agent: from the moment the pump takes it until it waits, ends, or has used up its budget.
//!
//! The rules for what a coroutine yields are those of `asyncio.Task`: a future with `_asyncio_future_blocking` set is
//! waited for, a bare None lets others run, anything else is an error, thrown into the coroutine where it yielded. Our
//! own awaitables yield one of two sentinels (`interop::park`, `interop::requeue`) after they have seen to being woken.
//!
//! Longer than other files, because a step is one thing: what it yields, raises and returns is told apart in one place.

use std::sync::atomic::Ordering;

use pyo3::exceptions::{PyBaseException, PyKeyboardInterrupt, PyRuntimeError, PySystemExit};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{ffi, intern};
use remuda_kernel::budget::Budget;

use crate::agent::{AgentRef, BLOCKED, CANCEL, KILL, THROW};
use crate::body::{Body, Handling};
use crate::machine::{Machine, Place};
use crate::receive::{Taken, take_for_receive};
use crate::request::{self, Request};
use crate::{awaitable, errors, finish, interop};

/// What is to be done with an agent after a run.
#[derive(Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing: it waits, and will be scheduled by whatever it waits for, or has ended.
    Nothing,
    /// It goes to the back of the queue.
    Requeue,
    /// It wants the event loop to turn first.
    NextTurn,
}

/// What one resumption of a coroutine brought.
enum Step {
    Returned(Py<PyAny>),
    Raised(PyErr),
    Yielded(Py<PyAny>),
}

/// Runs an agent. An error is one that must end the event loop: `KeyboardInterrupt` or `SystemExit`.
#[inline]
pub fn run(agent: &Bound<'_, AgentRef>, machine: &Machine, place: &Place, budget: Option<Budget>) -> PyResult<After> {
    let py = agent.py();
    let this = agent.get();
    if !this.state.start() {
        return Ok(After::Nothing);
    }
    // Acquire pairs with `AgentRef::signal`.
    let signals = this.signals.load(Ordering::Acquire);
    if signals & (BLOCKED | KILL) == BLOCKED {
        // Somebody else's wake-up came late: the agent waits for its future, which will schedule it.
        return Ok(park(agent));
    }
    interop::enter_task(py, place.event_loop.bind(py), agent)?;
    machine.run.begin(agent, budget);
    // SAFETY: the agent's own context, which is entered nowhere else: only one thread runs the agent.
    let entered = unsafe { ffi::PyContext_Enter(this.context.as_ptr()) };
    let after = match entered {
        0 if signals & KILL != 0 => {
            finish::kill(agent);
            Err(Ended::Killed)
        }
        0 => advance(agent, machine, signals),
        _ => Err(Ended::With(PyErr::fetch(py))),
    };
    if entered == 0 {
        // SAFETY: entered just above.
        unsafe { ffi::PyContext_Exit(this.context.as_ptr()) };
    }
    machine.run.end();
    awaitable::forget_last_value();
    if machine.blocked.load(Ordering::Relaxed) {
        end_blocking(agent, machine, after.is_ok());
    }
    match after {
        Ok(After::Nothing) => Ok(park(agent)),
        Ok(after) => {
            this.state.reschedule();
            Ok(after)
        }
        Err(Ended::Well(value)) => {
            finish::returned(agent, value);
            Ok(After::Nothing)
        }
        Err(Ended::Killed) => {
            finish::killed(agent);
            Ok(After::Nothing)
        }
        Err(Ended::With(error)) => {
            let fatal = error.is_instance_of::<PyKeyboardInterrupt>(py) || error.is_instance_of::<PySystemExit>(py);
            let copy = fatal.then(|| error.clone_ref(py));
            finish::raised(agent, error);
            copy.map_or(Ok(After::Nothing), Err)
        }
    }
}

/// The step is over, and the agent's `with blocking()` is not: the block ends here, and the agent is told.
#[cold]
fn end_blocking(agent: &Bound<'_, AgentRef>, machine: &Machine, goes_on: bool) {
    agent.get().runtime.get().take_processor_back(machine);
    if goes_on {
        let name = AgentRef::display(agent);
        let text = format!("expected no await inside `with remuda.blocking()`, but {name} awaits something there");
        finish::leave_future(agent);
        throw_next(agent, errors::make(errors::behaviour_error(agent.py()), (text,)));
        // The run that is about to end finds itself notified.
        AgentRef::schedule(agent);
    }
}

/// How an agent's program ended.
pub enum Ended {
    Well(Py<PyAny>),
    With(PyErr),
    Killed,
}

fn park(agent: &Bound<'_, AgentRef>) -> After {
    if agent.get().state.park() { After::Nothing } else { After::Requeue }
}

#[inline]
fn advance(agent: &Bound<'_, AgentRef>, machine: &Machine, signals: u8) -> Result<After, Ended> {
    let py = agent.py();
    // SAFETY: this thread has moved the agent to RUNNING, and nothing below keeps a reference into the body while Python
    // runs: what is needed is copied out.
    let body = agent.get().body.get();
    // SAFETY: as above.
    if let Body::Coroutine { coroutine, .. } = unsafe { &*body } {
        // The pump holds the agent, which holds the coroutine, for as long as the step takes.
        let coroutine = coroutine.as_ptr();
        // SAFETY: as above.
        let coroutine = unsafe { Borrowed::from_ptr(py, coroutine) };
        return match resume(agent, &coroutine, signals) {
            Step::Yielded(yielded) => Ok(wait_for(agent, machine, yielded)),
            Step::Returned(value) => Err(Ended::Well(value)),
            Step::Raised(error) => Err(Ended::With(error)),
        };
    }
    receive(agent, machine, body, signals)
}

/// Runs an agent with `receive`: message by message, until there is none or the budget is used up.
fn receive(agent: &Bound<'_, AgentRef>, machine: &Machine, body: *mut Body, mut signals: u8) -> Result<After, Ended> {
    let py = agent.py();
    loop {
        // SAFETY: as in `advance`.
        let (object, coroutine) = match unsafe { &*body } {
            Body::Instance { object, handling } => (
                object.clone_ref(py).into_bound(py),
                handling.as_ref().map(|handling| handling.coroutine.clone_ref(py).into_bound(py)),
            ),
            Body::Coroutine { .. } | Body::Ended { .. } => return Err(Ended::Well(py.None())),
        };
        if let Some(coroutine) = coroutine {
            let step = resume(agent, &coroutine, std::mem::take(&mut signals));
            if let Step::Yielded(yielded) = step {
                return Ok(wait_for(agent, machine, yielded));
            }
            let handled = {
                let _shared = agent.get().shared.lock();
                // SAFETY: as in `advance`.
                match unsafe { &mut *body } {
                    Body::Instance { handling, .. } => handling.take(),
                    Body::Coroutine { .. } | Body::Ended { .. } => None,
                }
            };
            let request = handled.and_then(|handled| handled.request);
            match step {
                Step::Returned(value) => answer(agent, request, value)?,
                Step::Raised(error) => return Err(fail(agent, request, error)),
                Step::Yielded(_) => unreachable!("returned above"),
            }
            continue;
        }
        if signals & (CANCEL | THROW) != 0
            && let Some(error) = take_throw(agent, signals)
        {
            return Err(Ended::With(error));
        }
        if !machine.run.pay() {
            return Ok(After::Requeue);
        }
        let message = match take_for_receive(agent) {
            Taken::Message(message) => message,
            Taken::Empty => return Ok(After::Nothing),
            Taken::Closed => return Err(Ended::Well(py.None())),
        };
        let (message, request) = if request::is_request(message.bind(py)) {
            // SAFETY: its type was just looked at.
            let request = unsafe { message.into_bound(py).cast_into_unchecked::<Request>() };
            (request.get().message().clone_ref(py), Some(request.unbind()))
        } else {
            (message, None)
        };
        let returned = match object.call_method1(intern!(py, "receive"), (message,)) {
            Ok(returned) => returned,
            Err(error) => return Err(fail(agent, request, error)),
        };
        // SAFETY: a type check of a live object.
        if unsafe { ffi::PyCoro_CheckExact(returned.as_ptr()) } != 0 {
            let fresh = Box::new(Handling { coroutine: returned.unbind(), request });
            let _shared = agent.get().shared.lock();
            // SAFETY: as in `advance`. There is none: what was handled before was taken out.
            if let Body::Instance { handling, .. } = unsafe { &mut *body } {
                *handling = Some(fresh);
            }
        } else {
            answer(agent, request, returned.unbind())?;
        }
    }
}

fn answer(agent: &Bound<'_, AgentRef>, request: Option<Py<Request>>, value: Py<PyAny>) -> Result<(), Ended> {
    let Some(request) = request else { return Ok(()) };
    request.get().answer_with(agent.py(), value).map_err(|error| fail(agent, Some(request), error))
}

/// The agent fails, and so does what it was asked.
fn fail(agent: &Bound<'_, AgentRef>, request: Option<Py<Request>>, error: PyErr) -> Ended {
    let py = agent.py();
    if let Some(request) = request {
        request.get().fail_with(py, finish::failed_before_answer(agent, Some(&error)));
    }
    Ended::With(error)
}

/// Resumes a coroutine with None, or throws into it what was signalled.
#[inline]
fn resume(agent: &Bound<'_, AgentRef>, coroutine: &Bound<'_, PyAny>, signals: u8) -> Step {
    let py = agent.py();
    if signals & (THROW | CANCEL) != 0
        && let Some(error) = take_throw(agent, signals)
    {
        return throw(coroutine, error);
    }
    let mut result = std::ptr::null_mut();
    // SAFETY: a coroutine, and a place for the result.
    let sent = unsafe { ffi::PyIter_Send(coroutine.as_ptr(), ffi::Py_None(), &mut result) };
    match sent {
        // SAFETY: with these two outcomes the result is a new reference.
        ffi::PySendResult::PYGEN_NEXT => Step::Yielded(unsafe { Bound::from_owned_ptr(py, result) }.unbind()),
        // SAFETY: as above.
        ffi::PySendResult::PYGEN_RETURN => Step::Returned(unsafe { Bound::from_owned_ptr(py, result) }.unbind()),
        ffi::PySendResult::PYGEN_ERROR => raised(py, PyErr::fetch(py)),
    }
}

/// What it means that a coroutine was resumed and an error came.
///
/// An agent that nobody can reach but itself is found by the garbage collector, which closes the coroutine: whatever is
/// in it has been cleaned up, and the agent has ended as one does whose last reference goes. If it is run once more, the
/// coroutine refuses to be resumed; that error alone has passed through no frame.
#[cold]
fn raised(py: Python<'_>, error: PyErr) -> Step {
    if error.is_instance_of::<PyRuntimeError>(py) && error.traceback(py).is_none() {
        return Step::Returned(py.None());
    }
    Step::Raised(error)
}

#[cold]
fn throw(coroutine: &Bound<'_, PyAny>, error: PyErr) -> Step {
    let py = coroutine.py();
    match coroutine.call_method1(intern!(py, "throw"), (error.into_value(py),)) {
        Ok(yielded) => Step::Yielded(yielded.unbind()),
        Err(raised) => match raised.value(py).cast::<pyo3::exceptions::PyStopIteration>() {
            Ok(stop) => match stop.getattr(intern!(py, "value")) {
                Ok(value) => Step::Returned(value.unbind()),
                Err(error) => Step::Raised(error),
            },
            Err(_) => self::raised(py, raised),
        },
    }
}

/// What has to be thrown: a cancellation goes before the error of a future.
#[cold]
fn take_throw(agent: &Bound<'_, AgentRef>, signals: u8) -> Option<PyErr> {
    let py = agent.py();
    let this = agent.get();
    // What came since the caller looked counts, too.
    let signals = signals | this.signals.fetch_and(!(THROW | CANCEL), Ordering::AcqRel);
    let (thrown, message) = {
        let mut shared = this.shared.lock();
        let extra = shared.extra();
        (extra.throw.take(), extra.cancel_message.as_ref().map(|message| message.clone_ref(py)))
    };
    let error = thrown.map(|thrown| PyErr::from_value(thrown.into_bound(py)));
    let class = match errors::cancelled_error(py) {
        Ok(class) => class,
        Err(error) => return Some(error),
    };
    if signals & CANCEL == 0 || error.as_ref().is_some_and(|error| error.is_instance(py, class)) {
        return error;
    }
    Some(match message {
        Some(message) => errors::make(Ok(class), (message,)),
        None => errors::make(Ok(class), ()),
    })
}

/// Sees to it that the agent goes on after what it yielded.
#[inline]
fn wait_for(agent: &Bound<'_, AgentRef>, machine: &Machine, yielded: Py<PyAny>) -> After {
    let py = agent.py();
    if yielded.is(interop::park(py)) {
        return After::Nothing;
    }
    if yielded.is(interop::requeue(py)) {
        return After::Requeue;
    }
    if yielded.is_none(py) {
        return After::NextTurn;
    }
    match wait_for_future(agent, machine, yielded.bind(py)) {
        Ok(()) => After::Nothing,
        Err(error) => {
            throw_next(agent, error);
            After::Requeue
        }
    }
}

/// Has the next step throw an error into the coroutine.
pub fn throw_next(agent: &Bound<'_, AgentRef>, error: PyErr) {
    let this = agent.get();
    // Made before the lock is taken: to make an exception runs Python.
    let exception = error.into_value(agent.py()).into_any();
    let old = this.shared.lock().extra().throw.replace(exception);
    drop(old);
    this.signals.fetch_or(THROW, Ordering::AcqRel);
}

fn wait_for_future(agent: &Bound<'_, AgentRef>, machine: &Machine, future: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = agent.py();
    let this = agent.get();
    let Some(blocking) = future.getattr_opt(intern!(py, "_asyncio_future_blocking"))?.filter(|flag| !flag.is_none())
    else {
        let text = format!(
            "expected {} to await what asyncio or Remuda can wait for, but it yielded {}",
            AgentRef::display(agent),
            future.repr()?
        );
        return Err(errors::make(errors::behaviour_error(py), (text,)));
    };
    if !blocking.is_truthy()? {
        let name = AgentRef::display(agent);
        return Err(PyRuntimeError::new_err(format!(
            "yield was used instead of yield from in agent {name} with {future:?}"
        )));
    }
    let place = machine.place(py).expect("a machine that runs agents has joined");
    if let Some(get_loop) = future.getattr_opt(intern!(py, "get_loop"))?
        && !get_loop.call0()?.is(&place.event_loop)
    {
        let name = AgentRef::display(agent);
        let remedy = if agent.get().runtime.get().many.load(Ordering::Relaxed) {
            "; one that begins something in its worker's loop, and then waits for a message, is to be spawned with pinned=True"
        } else {
            ""
        };
        return Err(PyRuntimeError::new_err(format!(
            "agent {name} got future {future:?} attached to a different loop{remedy}"
        )));
    }
    future.setattr(intern!(py, "_asyncio_future_blocking"), false)?;
    // What it has begun in this loop is only for this loop's thread: from now on so is the agent.
    this.affinity.pin(machine.index);
    let old = this.shared.lock().extra().waiting_on.replace(future.clone().unbind());
    drop(old);
    // Set before the callback is: on another thread it may come at once.
    this.signals.fetch_or(BLOCKED, Ordering::AcqRel);
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "context"), &place.context)?;
    let wakeup = agent.getattr(intern!(py, "_wakeup"))?;
    if let Err(error) = future.call_method(intern!(py, "add_done_callback"), (wakeup,), Some(&keywords)) {
        this.signals.fetch_and(!BLOCKED, Ordering::AcqRel);
        let forgotten = this.shared.lock().extra().waiting_on.take();
        drop(forgotten);
        return Err(error);
    }
    if this.signals.load(Ordering::Acquire) & CANCEL != 0 {
        let message = this.shared.lock().extra().cancel_message.as_ref().map(|message| message.clone_ref(py));
        if cancel_future(future, message)? {
            this.signals.fetch_and(!CANCEL, Ordering::AcqRel);
        }
    }
    Ok(())
}

/// Cancels a future, in its own loop. False: it can't be.
pub fn cancel_future(future: &Bound<'_, PyAny>, message: Option<Py<PyAny>>) -> PyResult<bool> {
    let py = future.py();
    let keywords = PyDict::new(py);
    if let Some(message) = message {
        keywords.set_item(intern!(py, "msg"), message)?;
    }
    future.call_method(intern!(py, "cancel"), (), Some(&keywords))?.is_truthy()
}

/// The future that the agent waited for is done.
pub fn wake_from_future(agent: &Bound<'_, AgentRef>, future: &Bound<'_, PyAny>) {
    let py = agent.py();
    let this = agent.get();
    let waited = {
        let mut shared = this.shared.lock();
        match &mut shared.extra {
            Some(extra) if extra.waiting_on.as_ref().is_some_and(|waiting| waiting.is(future)) => {
                extra.waiting_on.take()
            }
            _ => None,
        }
    };
    if waited.is_none() {
        return;
    }
    if let Err(error) = future.call_method0(intern!(py, "result")) {
        debug_assert!(error.value(py).is_instance_of::<PyBaseException>());
        throw_next(agent, error);
    }
    this.signals.fetch_and(!BLOCKED, Ordering::AcqRel);
    AgentRef::schedule(agent);
}
