//! An agent's own end of its mailbox. The messages are in the agent (`agent::Shared`); this only points there.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::exceptions::PyStopAsyncIteration;
use pyo3::prelude::*;
use pyo3::{ffi, intern};
use remuda_kernel::mailbox::Pop;

use crate::agent::{AgentRef, Receiver};
use crate::alloc::allocated;
use crate::awaitable::{Awaitable, Poll, thrown};
use crate::receive::{Receive, handed, relieve, stop_waiting};
use crate::runtime::Runtime;
use crate::{current, errors, interop, request};

/// An agent's own end of its mailbox: receive from it, or iterate over it with `async for`.
#[pyclass(frozen, weakref, generic, module = "remuda")]
#[derive(Debug)]
pub struct Mailbox {
    /// Borrowed, and null once the agent is gone: see the top of `agent.rs`.
    owner: AtomicPtr<ffi::PyObject>,
}

/// Held while somebody who does not hold the agent looks for it, and by the agent's destructor.
#[cfg(Py_GIL_DISABLED)]
static LOOKING: remuda_kernel::sync::Mutex<()> = remuda_kernel::sync::Mutex::new(());

/// What a look into the mailbox found.
pub enum Look {
    Message(Py<PyAny>),
    Closed,
    Wait(Poll),
}

impl Mailbox {
    pub fn new() -> Self {
        Self { owner: AtomicPtr::new(ptr::null_mut()) }
    }

    pub fn set_owner(&self, agent: &Bound<'_, AgentRef>) {
        self.owner.store(agent.as_ptr(), Ordering::Release);
    }

    pub fn forget_owner(&self) {
        #[cfg(Py_GIL_DISABLED)]
        let _nobody_is_looking = LOOKING.lock();
        self.owner.store(ptr::null_mut(), Ordering::Release);
    }

    pub fn owner<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, AgentRef>> {
        self.upgrade(py).ok_or_else(|| {
            let text = "expected a mailbox whose agent lives, found one whose agent is gone";
            errors::make(errors::mailbox_closed(py), (text,))
        })
    }

    #[cfg(not(Py_GIL_DISABLED))]
    fn upgrade<'py>(&self, py: Python<'py>) -> Option<Bound<'py, AgentRef>> {
        let owner = self.owner.load(Ordering::Acquire);
        // SAFETY: not null, so the agent is alive: its destructor sets null, and under the GIL is never in between.
        (!owner.is_null()).then(|| unsafe { Bound::from_borrowed_ptr(py, owner).cast_into_unchecked() })
    }

    #[cfg(Py_GIL_DISABLED)]
    fn upgrade<'py>(&self, py: Python<'py>) -> Option<Bound<'py, AgentRef>> {
        if let Some(agent) = current::sender(py).filter(|agent| agent.as_ptr() == self.owner.load(Ordering::Acquire)) {
            return Some(agent);
        }
        let _stays = LOOKING.lock();
        let owner = self.owner.load(Ordering::Acquire);
        // SAFETY: not null, and the destructor waits for the lock before it goes on: there is an object, which may have
        // lost its last reference.
        if owner.is_null() || unsafe { ffi::PyUnstable_TryIncRef(owner) } == 0 {
            return None;
        }
        // SAFETY: just taken.
        Some(unsafe { Bound::from_owned_ptr(py, owner).cast_into_unchecked() })
    }

    /// What is ordinary for the agent that runs here: there is a message, which was not asked for, or none.
    #[inline]
    pub fn glance(&self, py: Python<'_>) -> Option<Poll> {
        let owner = self.owner.load(Ordering::Acquire);
        if owner.is_null() || (cfg!(Py_GIL_DISABLED) && !current::runs(owner)) {
            return None;
        }
        // SAFETY: as in `upgrade`; without a GIL, the pump that runs it holds it.
        let agent = unsafe { Borrowed::from_ptr(py, owner).cast_unchecked::<AgentRef>() };
        let run = current::run_of(&agent)?;
        let mut shared = agent.get().shared.try_lock()?;
        if let Some(first) = shared.queue.first() {
            let smooth = !request::is_request(first.bind(py)) && !shared.queue.is_at_a_mark() && run.pay_unseen();
            return smooth.then(|| shared.queue.take_first().map(Poll::Ready)).flatten();
        }
        // From 3.12 on it may be a task that the agent starts eagerly: `poll` looks who it is.
        if cfg!(Py_3_12) || shared.queue.is_closed() || !matches!(shared.receiver, Receiver::Nobody) {
            return None;
        }
        shared.park();
        Some(Poll::Pending(interop::park(py).clone_ref(py)))
    }

    /// Takes the next message.
    pub fn look(&self, py: Python<'_>) -> PyResult<Look> {
        let agent = self.owner(py)?;
        let Some(run) = current::run_of(&agent) else {
            return self.look_from_elsewhere(py);
        };
        // To find none costs nothing of the budget.
        let empty = agent.get().shared.lock().queue.is_empty();
        if empty || run.pay() {
            return take(&agent, true);
        }
        match current::agent_task(py)? {
            Some(_) => Ok(Look::Wait(Poll::Pending(interop::requeue(py).clone_ref(py)))),
            None => self.look_from_elsewhere(py),
        }
    }

    /// The agent, if it is the one that runs here, for `select`.
    fn owner_here<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, AgentRef>> {
        let agent = self.owner(py)?;
        if current::agent_task(py)?.is_some_and(|current| current.is(&agent)) {
            return Ok(agent);
        }
        let name = AgentRef::display(&agent);
        let text = format!("expected the mailbox of {name} to be selected from by that agent, got another task");
        Err(errors::make(errors::not_the_owner(py), (text,)))
    }

    /// The next message for the agent that runs here, if there is one.
    pub fn take_here(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let agent = self.owner_here(py)?;
        let popped = agent.get().shared.lock().queue.pop();
        match popped {
            Pop::Message(message) => handed(self, py, message).map(Some),
            Pop::MessageLow(message) => {
                relieve(&agent);
                handed(self, py, message).map(Some)
            }
            Pop::Closed => Err(AgentRef::closed(&agent, None)),
            Pop::Empty => Ok(None),
        }
    }

    /// Has the agent that runs here woken by the next message. False: there is something to look at.
    pub fn wait_here(&self, py: Python<'_>) -> PyResult<bool> {
        let agent = self.owner_here(py)?;
        let mut shared = agent.get().shared.lock();
        if !shared.queue.is_empty() || shared.queue.is_closed() {
            return Ok(false);
        }
        if matches!(shared.receiver, Receiver::Future(_)) {
            drop(shared);
            return Err(second_reader(&agent));
        }
        shared.park();
        Ok(true)
    }

    /// It waits for no message any more.
    pub fn leave_here(&self, py: Python<'_>) {
        let Ok(agent) = self.owner_here(py) else { return };
        let mut shared = agent.get().shared.lock();
        if matches!(shared.receiver, Receiver::Owner) {
            shared.receiver = Receiver::Nobody;
        }
    }

    #[cold]
    fn look_from_elsewhere(&self, py: Python<'_>) -> PyResult<Look> {
        let agent = self.owner(py)?;
        if let Some(other) = current::agent_task(py)? {
            let text = format!(
                "expected the mailbox of {} to be read by that agent, got {}",
                AgentRef::display(&agent),
                AgentRef::display(&other)
            );
            return Err(errors::make(errors::not_the_owner(py), (text,)));
        }
        let runtime = agent.get().runtime.get();
        if !interop::running_loop(py)?.is_some_and(|running| runtime.has_loop(&running)) {
            let text = format!(
                "expected the mailbox of {} to be read in an event loop of its runtime, got another loop or none",
                AgentRef::display(&agent)
            );
            return Err(errors::make(errors::not_the_owner(py), (text,)));
        }
        take(&agent, false)
    }
}

/// Takes a message out, or registers whoever runs now as the one that waits.
#[inline]
fn take(agent: &Bound<'_, AgentRef>, running: bool) -> PyResult<Look> {
    let mut shared = agent.get().shared.lock();
    match shared.queue.pop() {
        Pop::Message(message) => {
            drop(shared);
            Ok(Look::Message(message))
        }
        Pop::MessageLow(message) => {
            drop(shared);
            relieve(agent);
            Ok(Look::Message(message))
        }
        Pop::Closed => Ok(Look::Closed),
        Pop::Empty => {
            if running && !matches!(shared.receiver, Receiver::Future(_)) {
                shared.park();
                drop(shared);
                return wait(agent);
            }
            let busy = !matches!(shared.receiver, Receiver::Nobody);
            drop(shared);
            if busy { Err(second_reader(agent)) } else { wait_elsewhere(agent) }
        }
    }
}

#[cold]
fn second_reader(agent: &Bound<'_, AgentRef>) -> PyErr {
    let text = format!(
        "expected one reader at a time of the mailbox of {}, got a second one while the first waits",
        AgentRef::display(agent)
    );
    errors::make(errors::not_the_owner(agent.py()), (text,))
}

/// The owner is registered as waiting: it does so itself, or through a future in a task that it has started eagerly.
#[inline]
fn wait(agent: &Bound<'_, AgentRef>) -> PyResult<Look> {
    let py = agent.py();
    if current::agent_task(py)?.is_some() {
        return Ok(Look::Wait(Poll::Pending(interop::park(py).clone_ref(py))));
    }
    let registered = std::mem::replace(&mut agent.get().shared.lock().receiver, Receiver::Nobody);
    drop(registered);
    wait_elsewhere(agent)
}

/// A task that the agent has started waits, through a future.
fn wait_elsewhere(agent: &Bound<'_, AgentRef>) -> PyResult<Look> {
    let py = agent.py();
    let future = interop::blocking_future(py)?;
    let mut shared = agent.get().shared.lock();
    if !matches!(shared.receiver, Receiver::Nobody) {
        // Another has come while the future was made.
        drop(shared);
        return Err(second_reader(agent));
    }
    if shared.queue.is_empty() && !shared.queue.is_closed() {
        shared.receiver = Receiver::Future(future.clone().unbind());
        shared.extra().read_by_task = true;
        drop(shared);
        // No agent runs for what a task does; but all that there was to do may be done now.
        Runtime::look_for_quiet(agent.get().runtime.bind(py));
    } else {
        drop(shared);
        interop::complete(py, &future)?;
    }
    Ok(Look::Wait(Poll::Pending(future.unbind())))
}

#[pymethods]
impl Mailbox {
    /// Returns an awaitable for the next message; it raises `MailboxClosed` when there will be none.
    fn recv(slf: &Bound<'_, Self>) -> PyResult<Py<Receive>> {
        Py::new(slf.py(), Receive::new(slf.clone().unbind()))
    }

    /// Takes a message without waiting; raises `MailboxEmpty` or `MailboxClosed`.
    fn recv_nowait(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let agent = self.owner(py)?;
        if let Some(other) = current::agent_task(py)?.filter(|other| !other.is(&agent)) {
            let text = format!(
                "expected the mailbox of {} to be read by that agent, got {}",
                AgentRef::display(&agent),
                AgentRef::display(&other)
            );
            return Err(errors::make(errors::not_the_owner(py), (text,)));
        }
        let popped = agent.get().shared.lock().queue.pop();
        match popped {
            Pop::Message(message) => handed(self, py, message),
            Pop::MessageLow(message) => {
                relieve(&agent);
                handed(self, py, message)
            }
            Pop::Closed => Err(AgentRef::closed(&agent, None)),
            Pop::Empty => {
                let text = format!("expected a message for {}, found none", AgentRef::display(&agent));
                Err(errors::make(errors::mailbox_empty(py), (text,)))
            }
        }
    }

    /// The agent that this mailbox belongs to.
    #[getter]
    fn me<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, AgentRef>> {
        self.owner(py)
    }

    /// Whether nothing will come any more, besides what is in the mailbox.
    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        self.owner(py).map_or(true, |agent| agent.get().shared.lock().queue.is_closed())
    }

    /// The mailbox's limits and counts.
    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.owner(py)?.call_method0(intern!(py, "statistics"))
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.owner(py).map_or(0, |agent| agent.get().shared.lock().queue.len())
    }

    fn __bool__(&self) -> bool {
        true
    }

    fn __aiter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __anext__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (kind, value = None, traceback = None, /))]
    fn throw<'py>(
        &self,
        py: Python<'py>,
        kind: Bound<'py, PyAny>,
        value: Option<Bound<'py, PyAny>>,
        traceback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        stop_waiting(self, py)?;
        Err(thrown(py, kind, value, traceback))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        stop_waiting(self, py)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        match self.owner(py) {
            Ok(agent) => {
                format!(
                    "<Mailbox of {}, {} messages>",
                    AgentRef::display(&agent),
                    agent.get().shared.lock().queue.len()
                )
            }
            Err(_) => "<Mailbox of an agent that is gone>".to_owned(),
        }
    }
}

/// The mailbox is its own iterator, for `async for`: the end is a `StopAsyncIteration`.
impl Awaitable for Mailbox {
    #[inline]
    fn glance(slf: &Bound<'_, Self>) -> Option<Poll> {
        slf.get().glance(slf.py())
    }

    #[inline]
    fn poll(slf: &Bound<'_, Self>) -> PyResult<Poll> {
        let py = slf.py();
        match slf.get().look(py)? {
            Look::Message(message) => Ok(Poll::Ready(handed(slf.get(), py, message)?)),
            Look::Closed => Err(PyStopAsyncIteration::new_err(())),
            Look::Wait(poll) => Ok(poll),
        }
    }
}

allocated!(Mailbox);
