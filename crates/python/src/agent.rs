//! One agent: its address, its task and its mailbox are one object, so that an idle agent costs little.
//!
//! Who holds an agent: its users' references; the run queue while it is scheduled and the pump while it runs; and what
//! it waits for, if that is something else than its own mailbox (a future's callback, a full mailbox, an answer). The
//! coroutine does *not*: its `Mailbox` knows the agent by a weak pointer. So when the last reference goes, the agent
//! waits for messages that nobody can send any more: the finaliser closes its mailbox, schedules it once again, and the
//! agent ends by itself. Agents that only refer to one another are found by the garbage collector, through `traverse`.
//!
//! The file is long because PyO3 wants all methods of a class in one block.
//!
//! What is behind which guard:
//! - `state`: atomic; decides who runs the agent (`remuda_kernel::task`);
//! - `signals`: atomic flags, set by anybody, read at the start of each run;
//! - `shared`: behind a lock that is never held while Python runs or a Python reference is dropped;
//! - `body`: read by the thread that runs the agent, and changed by it under the lock of `shared`, for those who ask for
//!   its coroutine from elsewhere; the collector reads it while no agent runs.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use crate::guarded::Guarded;
use pyo3::exceptions::PyBaseException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyType};
use remuda_kernel::level::Level;
use remuda_kernel::mailbox::{Mailbox as Queue, Overflow};
use remuda_kernel::task::TaskState;

use crate::admission;
use crate::affinity::Affinity;
use crate::alloc::allocated;
use crate::ask::Ask;
use crate::body::Body;
use crate::callback::{self, Callback};
use crate::completion::Completion;
use crate::runtime::Runtime;
use crate::send::Send;
use crate::step::{self, throw_next};
use crate::waiter::Waiter;
use crate::{current, errors, finish, interop, numbers};

/// What an agent's state is kept in: with a GIL, threads take turns.
#[cfg(not(Py_GIL_DISABLED))]
type Word = remuda_kernel::sync::InTurns;
#[cfg(Py_GIL_DISABLED)]
type Word = remuda_kernel::sync::AtomicU8;

/// Throw what `Extra::throw` holds, or a `CancelledError`, into the coroutine.
pub const THROW: u8 = 1;
/// `cancel` was called.
pub const CANCEL: u8 = 2;
/// `kill` was called.
pub const KILL: u8 = 4;
/// The agent waits for an asyncio future, and must not be stepped before it is done.
pub const BLOCKED: u8 = 8;

/// How an agent ended.
#[derive(Debug)]
pub enum Outcome {
    Pending,
    Result(Py<PyAny>),
    Error(Py<PyAny>),
    Cancelled(Py<PyAny>),
    /// The error is made for each who asks: it refers to the agent, which would be kept by its own outcome.
    Killed,
}

/// Who waits for the agent's next message.
#[derive(Debug)]
pub enum Receiver {
    Nobody,
    /// The agent itself. No reference: see the top of this file.
    Owner,
    /// A task that the agent has started.
    Future(Py<PyAny>),
}

/// What few agents need.
#[derive(Debug, Default)]
pub struct Extra {
    pub name: Option<Py<PyString>>,
    pub cancel_requests: u32,
    pub cancel_message: Option<Py<PyAny>>,
    /// The error of the future that the agent waited for.
    pub throw: Option<Py<PyAny>>,
    pub waiting_on: Option<Py<PyAny>>,
    pub waiters: Vec<Waiter>,
    pub callbacks: Vec<Callback>,
    /// Requests that were delivered and are not answered: they fail with the agent.
    pub unanswered: Vec<Py<Ask>>,
    /// Whom the agent waits for, to find circles.
    pub waits_for: Option<Py<AgentRef>>,
    /// A task that the agent has started was the last to wait for its messages: they are received whatever the agent
    /// itself waits for.
    pub read_by_task: bool,
}

/// What others may touch.
#[derive(Debug)]
pub struct Shared {
    pub queue: Queue<Py<PyAny>, Waiter>,
    pub receiver: Receiver,
    pub outcome: Outcome,
    pub extra: Option<Box<Extra>>,
}

impl Shared {
    /// The agent waits for its next message.
    #[inline]
    pub fn park(&mut self) {
        self.queue.shrink();
        self.receiver = Receiver::Owner;
        if let Some(extra) = &mut self.extra {
            extra.read_by_task = false;
        }
    }

    pub fn has_ended(&self) -> bool {
        !matches!(self.outcome, Outcome::Pending)
    }

    pub fn extra(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }
}

/// A reference to an agent: send to it, ask it, await it, stop it.
///
/// It is what `spawn` returns, and to asyncio it is the agent's task. While any reference to an agent is left, it waits
/// for messages; when the last one goes, its mailbox closes and it ends.
#[pyclass(frozen, weakref, generic, module = "remuda")]
#[derive(Debug)]
pub struct AgentRef {
    pub id: u64,
    pub state: TaskState<Word>,
    pub signals: AtomicU8,
    pub affinity: Affinity,
    /// The agent's place in the runtime's register.
    pub place: AtomicU32,
    pub runtime: Py<Runtime>,
    pub behaviour: Py<PyAny>,
    pub context: Py<PyAny>,
    pub shared: Guarded<Shared>,
    pub body: UnsafeCell<Body>,
}

// SAFETY: all fields but `body` are Sync; `body` is touched only by the thread that moved `state` from SCHEDULED to
// RUNNING, and by the collector and the destructor, while which nobody runs the agent.
unsafe impl Sync for AgentRef {}

impl AgentRef {
    /// Puts the agent into a run queue, unless it is in one, or has ended.
    #[inline]
    pub fn schedule(agent: &Bound<'_, Self>) {
        let this = agent.get();
        if this.state.wake() {
            this.runtime.get().enqueue(agent.py(), agent.clone().unbind(), this.affinity.level());
        }
    }

    /// Sets a flag that the next run sees, and schedules it before all that are not the runtime's own doing.
    pub fn signal(agent: &Bound<'_, Self>, flag: u8) {
        let this = agent.get();
        // Release pairs with the acquire in `step::run`: what was stored under the lock before is seen.
        this.signals.fetch_or(flag, Ordering::AcqRel);
        if this.state.wake() {
            this.runtime.get().enqueue(agent.py(), agent.clone().unbind(), Level::Control);
        }
    }

    /// The name as Rust text.
    pub fn display(agent: &Bound<'_, Self>) -> String {
        Self::name_of(agent).map_or_else(|_| format!("agent {}", agent.get().id), |name| name.to_string())
    }

    fn name_of<'py>(agent: &Bound<'py, Self>) -> PyResult<Bound<'py, PyString>> {
        let py = agent.py();
        let this = agent.get();
        if let Some(name) = this.shared.lock().extra.as_ref().and_then(|extra| extra.name.as_ref()) {
            return Ok(name.bind(py).clone());
        }
        let behaviour = this.behaviour.bind(py);
        let label = match behaviour.getattr_opt(intern!(py, "__name__"))? {
            Some(name) => name.str()?,
            None => behaviour.get_type().name()?,
        };
        Ok(PyString::new(py, &format!("{label}-{}", this.id)))
    }

    /// The coroutine that runs or waits now, for anybody who asks.
    pub fn coroutine<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let _shared = self.shared.lock();
        // SAFETY: what the body runs is changed under this lock only.
        unsafe { (*self.body.get()).coroutine(py).cloned() }
    }

    /// What is to be called at the end, each with its context.
    fn copy_of_callbacks(&self, py: Python<'_>) -> Vec<(Py<PyAny>, Py<PyAny>)> {
        let shared = self.shared.lock();
        let callbacks = shared.extra.iter().flat_map(|extra| &extra.callbacks);
        callbacks.map(|callback| (callback.function.clone_ref(py), callback.context.clone_ref(py))).collect()
    }

    /// Moves the outcome out as something to raise or return.
    pub fn outcome(slf: &Bound<'_, Self>) -> Option<PyResult<Py<PyAny>>> {
        let py = slf.py();
        let ended = match &slf.get().shared.lock().outcome {
            Outcome::Pending => return None,
            Outcome::Result(value) => Ok(value.clone_ref(py)),
            Outcome::Error(error) | Outcome::Cancelled(error) => Err(Some(error.clone_ref(py))),
            Outcome::Killed => Err(None),
        };
        Some(match ended {
            Ok(value) => admission::taken(py, value),
            Err(Some(error)) => Err(PyErr::from_value(error.into_bound(py))),
            Err(None) => Err(finish::killed_error(slf)),
        })
    }
}

#[pymethods]
impl AgentRef {
    /// Returns an awaitable that sends a message, waiting while the mailbox is full.
    #[pyo3(signature = (message, /))]
    fn send(slf: &Bound<'_, Self>, message: Py<PyAny>) -> PyResult<Py<Send>> {
        Py::new(slf.py(), Send::new(slf.clone().unbind(), message))
    }

    /// Sends a message, or raises `MailboxFull`.
    #[pyo3(signature = (message, /))]
    fn send_nowait(slf: &Bound<'_, Self>, message: Py<PyAny>) -> PyResult<()> {
        Self::deliver_now(slf, message)
    }

    /// Returns an awaitable that sends a message and waits for its answer.
    #[pyo3(signature = (message, /, *, timeout = None))]
    fn ask(
        slf: &Bound<'_, Self>,
        message: Py<PyAny>,
        #[pyo3(from_py_with = numbers::timeout)] timeout: Option<f64>,
    ) -> PyResult<Py<Ask>> {
        Ask::create(slf, message, timeout)
    }

    /// Closes the intake; the agent ends after what is in its mailbox. Awaiting what this returns waits for the end.
    fn stop(slf: &Bound<'_, Self>) -> PyResult<Py<Completion>> {
        Self::close_intake(slf);
        Py::new(slf.py(), Completion::of_end(slf.clone().unbind()))
    }

    /// Ends the agent at its next step, without delivering what is in its mailbox.
    pub fn kill(slf: &Bound<'_, Self>) -> bool {
        if slf.get().state.is_done() {
            return false;
        }
        // First, so that it is scheduled at the level of control, and not by finding its mailbox closed.
        Self::signal(slf, KILL);
        Self::close_intake(slf);
        true
    }

    /// Throws `CancelledError` into the agent, as `asyncio.Task.cancel` does.
    #[pyo3(signature = (msg = None))]
    fn cancel(slf: &Bound<'_, Self>, msg: Option<Py<PyAny>>) -> PyResult<bool> {
        let py = slf.py();
        let this = slf.get();
        if this.state.is_done() {
            return Ok(false);
        }
        let (old, waiting_on) = {
            let mut shared = this.shared.lock();
            let extra = shared.extra();
            extra.cancel_requests += 1;
            let old = std::mem::replace(&mut extra.cancel_message, msg);
            // Under the lock: an agent that begins to wait for a future says so under it, and looks at the flag afterwards.
            this.signals.fetch_or(CANCEL, Ordering::AcqRel);
            (old, extra.waiting_on.as_ref().map(|future| future.clone_ref(py)))
        };
        drop(old);
        let Some(future) = waiting_on else {
            if this.state.wake() {
                this.runtime.get().enqueue(py, slf.clone().unbind(), Level::Control);
            }
            return Ok(true);
        };
        let event_loop = this.runtime.get().loop_of(slf)?;
        if interop::running_loop(py)?.is_some_and(|running| running.is(&event_loop)) {
            Self::_cancel_wait(slf, future.bind(py))?;
        } else {
            // The future is only for its own loop's thread. What is written here is seen there.
            let cancel = slf.getattr(intern!(py, "_cancel_wait"))?;
            event_loop.call_method1(intern!(py, "call_soon_threadsafe"), (cancel, future))?;
        }
        Ok(true)
    }

    /// Cancels the future that the agent waits for, if it still does. In the future's own loop. If it can't be cancelled,
    /// the agent will be when it comes back from it.
    fn _cancel_wait(slf: &Bound<'_, Self>, future: &Bound<'_, PyAny>) -> PyResult<()> {
        let this = slf.get();
        let message = {
            let shared = this.shared.lock();
            let Some(extra) =
                shared.extra.as_ref().filter(|extra| extra.waiting_on.as_ref().is_some_and(|it| it.is(future)))
            else {
                return Ok(()); // it has gone on, and sees the flag at its next step
            };
            extra.cancel_message.as_ref().map(|message| message.clone_ref(slf.py()))
        };
        if step::cancel_future(future, message)? {
            this.signals.fetch_and(!CANCEL, Ordering::AcqRel);
        }
        Ok(())
    }

    /// Has an agent that runs stay with this worker, where it has begun something. Of any other nothing is asked.
    fn _stay(slf: &Bound<'_, Self>) {
        if current::run_of(slf).is_some()
            && let Some(machine) = current::machine()
        {
            slf.get().affinity.pin(machine.index);
        }
    }

    /// The number of calls of `cancel` that `uncancel` has not taken back.
    ///
    /// asyncio's timeouts ask for it when they begin, and bind themselves to the loop that runs: an agent that asks it of
    /// itself stays there too.
    fn cancelling(slf: &Bound<'_, Self>) -> u32 {
        Self::_stay(slf);
        slf.get().shared.lock().extra.as_ref().map_or(0, |extra| extra.cancel_requests)
    }

    /// Takes back one call of `cancel`, and returns the number of those that are left.
    fn uncancel(&self) -> u32 {
        let mut shared = self.shared.lock();
        let extra = shared.extra();
        extra.cancel_requests = extra.cancel_requests.saturating_sub(1);
        if extra.cancel_requests == 0 && cfg!(Py_3_13) {
            self.signals.fetch_and(!CANCEL, Ordering::AcqRel);
        }
        extra.cancel_requests
    }

    /// Whether the agent has ended.
    fn done(&self) -> bool {
        !matches!(self.shared.lock().outcome, Outcome::Pending)
    }

    /// Whether the agent has ended by being cancelled.
    fn cancelled(&self) -> bool {
        matches!(self.shared.lock().outcome, Outcome::Cancelled(_))
    }

    /// What the agent returned; raises what it raised, and `InvalidStateError` while it lives.
    fn result(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let lives = "expected an agent that has ended, this one lives";
        Self::outcome(slf).unwrap_or_else(|| Err(errors::invalid_state(slf.py(), lives)))
    }

    /// What the agent raised, or None; raises `CancelledError` if it was cancelled, `InvalidStateError` while it lives.
    fn exception(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        let py = slf.py();
        let cancelled = match &slf.get().shared.lock().outcome {
            Outcome::Pending => Some(None),
            Outcome::Result(_) => return Ok(None),
            Outcome::Error(error) => return Ok(Some(error.clone_ref(py))),
            Outcome::Cancelled(error) => Some(Some(error.clone_ref(py))),
            Outcome::Killed => None,
        };
        // Made here, and not in the match: nothing of Python's is made under the guard.
        match cancelled {
            Some(Some(cancelled)) => Err(PyErr::from_value(cancelled.into_bound(py))),
            Some(None) => Err(errors::invalid_state(py, "expected an agent that has ended, this one lives")),
            None => Ok(Some(finish::killed_error(slf).into_value(py).into_any())),
        }
    }

    /// Calls `callback(agent)` in the event loop when the agent has ended, soon if it has.
    #[pyo3(signature = (callback, /, *, context = None))]
    fn add_done_callback(
        slf: &Bound<'_, Self>,
        callback: Bound<'_, PyAny>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let callback = Callback::here(callback, context)?;
        {
            let mut shared = slf.get().shared.lock();
            if matches!(shared.outcome, Outcome::Pending) {
                shared.extra().callbacks.push(callback);
                return Ok(());
            }
        }
        Runtime::call_back(slf, &callback)
    }

    /// Removes a callback, and returns how often it was there.
    #[pyo3(signature = (callback, /))]
    fn remove_done_callback(slf: &Bound<'_, Self>, callback: &Bound<'_, PyAny>) -> PyResult<usize> {
        callback::remove(callback, |change| {
            if let Some(extra) = &mut slf.get().shared.lock().extra {
                change(&mut extra.callbacks);
            }
        })
    }

    /// The agent's name: what `spawn` was given, or the behaviour's name and a number.
    #[getter(name)]
    fn name_property<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyString>> {
        Self::name_of(slf)
    }

    /// The agent's number, unique in the process.
    #[getter]
    fn id(&self) -> u64 {
        self.id
    }

    /// "idle", "scheduled", "running", "blocked" (on an asyncio future) or "done".
    #[getter]
    fn state(&self) -> &'static str {
        if self.signals.load(Ordering::Acquire) & BLOCKED != 0 && !self.state.is_done() {
            return "blocked";
        }
        self.state.name()
    }

    /// The runtime that the agent lives in.
    #[getter]
    fn runtime(&self, py: Python<'_>) -> Py<Runtime> {
        self.runtime.clone_ref(py)
    }

    fn get_name<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyString>> {
        Self::name_of(slf)
    }

    #[pyo3(signature = (value, /))]
    fn set_name(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let name = value.str()?.unbind();
        let old = slf.get().shared.lock().extra().name.replace(name);
        drop(old);
        Ok(())
    }

    fn get_coro<'py>(slf: &Bound<'py, Self>) -> Option<Bound<'py, PyAny>> {
        slf.get().coroutine(slf.py())
    }

    fn get_context(&self, py: Python<'_>) -> Py<PyAny> {
        self.context.clone_ref(py)
    }

    fn get_loop<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.get().runtime.get().loop_of(slf)
    }

    #[pyo3(signature = (*, limit = None))]
    fn get_stack<'py>(slf: &Bound<'py, Self>, limit: Option<i64>) -> PyResult<Bound<'py, PyAny>> {
        errors::import(slf.py(), "asyncio.base_tasks")?
            .call_method1("_task_get_stack", (finish::stack_view(slf)?, limit))
    }

    /// The mailbox's depth, limits and counts, as a `MailboxStatistics`.
    fn statistics<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let class = CLASS.import(slf.py(), "remuda.statistics", "MailboxStatistics")?;
        let shared = slf.get().shared.lock();
        let queue = &shared.queue;
        let limits = queue.limits();
        let overflow = match queue.overflow() {
            Overflow::Wait => "wait",
            Overflow::Fail => "fail",
            Overflow::DropNewest => "drop_newest",
            Overflow::DropOldest => "drop_oldest",
        };
        let (depth, received, dropped) = (queue.len(), queue.received(), queue.dropped());
        // A message dropped on arrival was never received; one dropped as the oldest was.
        let displaced = if queue.overflow() == Overflow::DropOldest { dropped } else { 0 };
        let delivered = received - displaced - depth as u64 - queue.drained();
        let (waiting, above, closed) = (queue.waiting(), queue.is_above(), queue.is_closed());
        drop(shared);
        let sizes = (depth, limits.capacity(), limits.high(), limits.low(), overflow);
        class.call1((sizes.0, sizes.1, sizes.2, sizes.3, sizes.4, received, delivered, dropped, waiting, above, closed))
    }

    /// How many messages are in the mailbox.
    #[getter]
    fn depth(&self) -> usize {
        self.shared.lock().queue.len()
    }

    /// Delivers a message past the interceptor and the bound.
    fn _deliver(slf: &Bound<'_, Self>, message: Py<PyAny>) {
        Self::deliver_late(slf, message);
    }

    /// Throws an error into the agent where it waits, whatever for. For the runtime's own thread.
    fn _crash(slf: &Bound<'_, Self>, error: Bound<'_, PyBaseException>) -> bool {
        if slf.get().state.is_done() {
            return false;
        }
        finish::leave_future(slf);
        throw_next(slf, PyErr::from_value(error.into_any()));
        Self::schedule(slf);
        true
    }

    #[getter]
    fn _must_cancel(&self) -> bool {
        self.signals.load(Ordering::Acquire) & CANCEL != 0
    }

    #[getter]
    fn _fut_waiter(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.shared.lock().extra.as_ref()?.waiting_on.as_ref().map(|future| future.clone_ref(py))
    }

    #[getter]
    fn _loop<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.get().runtime.get().loop_of(slf)
    }

    /// Whether asyncio takes the agent for a future: only where no loop runs. There, when a loop is closed, asyncio cancels
    /// all tasks and gathers them, and would look for a loop to wrap the agent in. Everywhere else an agent is an
    /// awaitable like others, and whoever stops waiting for it doesn't cancel it.
    #[getter]
    fn _asyncio_future_blocking(&self, py: Python<'_>) -> PyResult<Option<bool>> {
        Ok(interop::running_loop(py)?.is_none().then_some(false))
    }

    /// What the agent was, or is to be, cancelled with.
    #[getter]
    fn _cancel_message(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let error = {
            let shared = self.shared.lock();
            match &shared.outcome {
                Outcome::Cancelled(error) => error.clone_ref(py),
                _ => {
                    return Ok(shared
                        .extra
                        .as_ref()
                        .and_then(|extra| Some(extra.cancel_message.as_ref()?.clone_ref(py))));
                }
            }
        };
        let arguments = error.bind(py).getattr(intern!(py, "args"))?;
        Ok(arguments.try_iter()?.next().transpose()?.map(Bound::unbind))
    }

    /// The error that a cancelled agent is awaited with.
    fn _make_cancelled_error(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        if slf.get().cancelled()
            && let Some(Err(error)) = Self::outcome(slf)
        {
            return Ok(error.into_value(py).into_any());
        }
        Ok(errors::cancelled_error(py)?.call0()?.unbind())
    }

    /// What is to be called at the end, each with its context, or None.
    #[getter]
    fn _callbacks(&self, py: Python<'_>) -> Option<Vec<(Py<PyAny>, Py<PyAny>)>> {
        Some(self.copy_of_callbacks(py)).filter(|callbacks| !callbacks.is_empty())
    }

    /// The callback of the future that the agent waits for.
    #[pyo3(signature = (future, /))]
    fn _wakeup(slf: &Bound<'_, Self>, future: &Bound<'_, PyAny>) {
        crate::step::wake_from_future(slf, future);
    }

    fn __await__(slf: &Bound<'_, Self>) -> PyResult<Py<Completion>> {
        Py::new(slf.py(), Completion::of_result(slf.clone().unbind()))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> String {
        let this = slf.get();
        let state = match this.shared.lock().outcome {
            Outcome::Pending => this.state(),
            Outcome::Result(_) => "ended",
            Outcome::Error(_) | Outcome::Killed => "failed",
            Outcome::Cancelled(_) => "cancelled",
        };
        format!("<AgentRef {} {state}, {} in the mailbox>", Self::display(slf), this.depth())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.runtime)?;
        visit.call(&self.behaviour)?;
        visit.call(&self.context)?;
        // SAFETY: the collector runs while no agent changes its body: under the GIL, or with the world stopped.
        unsafe { (*self.body.get()).traverse(&visit)? };
        // Held only if this very thread collects in the midst of a change: what is not visited counts as alive.
        let Some(shared) = self.shared.try_lock() else {
            return Ok(());
        };
        for message in shared.queue.messages() {
            visit.call(message)?;
        }
        for parked in shared.queue.parked() {
            visit.call(&parked.message)?;
            parked.sender.traverse(&visit)?;
        }
        if let Receiver::Future(future) = &shared.receiver {
            visit.call(future)?;
        }
        match &shared.outcome {
            Outcome::Pending | Outcome::Killed => {}
            Outcome::Result(value) | Outcome::Error(value) | Outcome::Cancelled(value) => visit.call(value)?,
        }
        let Some(extra) = &shared.extra else {
            return Ok(());
        };
        visit.call(&extra.cancel_message)?;
        visit.call(&extra.throw)?;
        visit.call(&extra.waiting_on)?;
        visit.call(&extra.waits_for)?;
        for waiter in &extra.waiters {
            waiter.traverse(&visit)?;
        }
        for callback in &extra.callbacks {
            callback.traverse(&visit)?;
        }
        extra.unanswered.iter().try_for_each(|ask| visit.call(ask))
    }

    fn __clear__(&self) {
        // SAFETY: the agent is garbage: nobody runs it.
        let program = unsafe { (*self.body.get()).end() };
        // SAFETY: the collector runs on an attached thread.
        let nothing = unsafe { Python::assume_attached() }.None();
        let (messages, parked, receiver, outcome, extra) = {
            let mut shared = self.shared.lock();
            let outcome = shared.has_ended().then(|| std::mem::replace(&mut shared.outcome, Outcome::Result(nothing)));
            let receiver = std::mem::replace(&mut shared.receiver, Receiver::Nobody);
            (shared.queue.drain(), shared.queue.close(), receiver, outcome, shared.extra.take())
        };
        drop((program, messages, parked, receiver, outcome, extra));
    }
}

allocated!(AgentRef);
