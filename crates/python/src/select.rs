//! `select(...)`: waits for the first of several sources, and takes from no other.
//!
//! It looks at the sources in the order in which they were given, or in one that chance has made of it, and if none has
//! anything, registers with each. Nothing is taken before it is returned: what a channel has promised meanwhile is passed
//! on when the select goes away.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use remuda_kernel::chance::Chance;
use remuda_kernel::channel::Ticket;

use crate::agent::AgentRef;
use crate::awaitable::{Awaitable, Poll, attached, thrown};
use crate::guarded::Guarded;
use crate::mailbox::Mailbox;
use crate::oneshot::Future;
use crate::receiver::{Look, Receiver, nothing_left};
use crate::timer::Timer;
use crate::waiter::{Waiter, WaiterKey};
use crate::{completion, current, errors, interop, numbers};

/// A source, and how it knows that it is waited for.
#[derive(Debug)]
enum Arm {
    /// With its place among the sources, for the error that says which of them has closed.
    Channel(Py<Receiver>, Option<Ticket>, usize),
    Mailbox(Py<Mailbox>),
    Future(Py<Future>, Option<WaiterKey>),
    Agent(Py<AgentRef>, Option<WaiterKey>),
    /// A future of asyncio's, and whether it will call back.
    Foreign(Py<PyAny>, bool),
}

impl Arm {
    fn of((place, source): (usize, Bound<'_, PyAny>)) -> PyResult<Self> {
        if let Ok(receiver) = source.cast::<Receiver>() {
            return Ok(Self::Channel(receiver.clone().unbind(), None, place));
        }
        if let Ok(mailbox) = source.cast::<Mailbox>() {
            return Ok(Self::Mailbox(mailbox.clone().unbind()));
        }
        if let Ok(future) = source.cast::<Future>() {
            return Ok(Self::Future(future.clone().unbind(), None));
        }
        if let Ok(agent) = source.cast::<AgentRef>() {
            return Ok(Self::Agent(agent.clone().unbind(), None));
        }
        let py = source.py();
        let blocking = source.get_type().getattr_opt(intern!(py, "_asyncio_future_blocking"))?;
        if blocking.is_some() {
            return Ok(Self::Foreign(source.clone().unbind(), false));
        }
        let kind = source.get_type().name()?;
        Err(PyTypeError::new_err(format!(
            "expected receivers, mailboxes, futures, agents and tasks to select from, got an object of type {kind} at place \
             {place}"
        )))
    }

    fn source<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match self {
            Self::Channel(source, ..) => source.bind(py).clone().into_any(),
            Self::Mailbox(source) => source.bind(py).clone().into_any(),
            Self::Future(source, _) => source.bind(py).clone().into_any(),
            Self::Agent(source, _) => source.bind(py).clone().into_any(),
            Self::Foreign(source, _) => source.bind(py).clone(),
        }
    }

    /// What it has, if it has anything.
    fn look(&mut self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        match self {
            Self::Channel(receiver, ticket, place) => match receiver.get().look_again(py, ticket) {
                Look::Item(item) => Ok(Some(item)),
                Look::Closed => Err(nothing_left(receiver.bind(py), Some(*place))),
                Look::Nothing => Ok(None),
            },
            Self::Mailbox(mailbox) => mailbox.get().take_here(py),
            Self::Future(future, _) => future.get().outcome(py).transpose(),
            Self::Agent(agent, _) => AgentRef::outcome(agent.bind(py)).transpose(),
            Self::Foreign(future, _) => {
                let future = future.bind(py);
                let done = future.call_method0(intern!(py, "done"))?.is_truthy()?;
                done.then(|| future.call_method0(intern!(py, "result")).map(Bound::unbind)).transpose()
            }
        }
    }

    /// Has it wake the waiter. `Err`: there is something to look at.
    fn wait(&mut self, select: &Bound<'_, Select>, waiter: Waiter) -> PyResult<Result<(), Waiter>> {
        let py = select.py();
        let key = waiter.key();
        Ok(match self {
            Self::Channel(receiver, ticket, _) => receiver.get().wait(ticket, waiter),
            Self::Mailbox(mailbox) => {
                if mailbox.get().wait_here(py)? {
                    Ok(())
                } else {
                    Err(waiter)
                }
            }
            Self::Future(future, registered) => {
                if let Some(old) = registered.replace(key) {
                    future.get().unwatch(old);
                }
                future.get().watch(waiter)
            }
            Self::Agent(agent, registered) => {
                if let Some(old) = registered.replace(key) {
                    completion::unwatch(agent.get(), old);
                }
                completion::watch(agent.get(), waiter)
            }
            Self::Foreign(future, registered) => {
                if !*registered {
                    let wake = select.getattr(intern!(py, "_wake"))?;
                    future.bind(py).call_method1(intern!(py, "add_done_callback"), (wake,))?;
                    *registered = true;
                }
                Ok(())
            }
        })
    }

    /// Nobody waits for it any more.
    fn leave(self, select: &Bound<'_, Select>) {
        let py = select.py();
        match self {
            Self::Channel(receiver, Some(ticket), _) => receiver.get().leave(py, ticket),
            Self::Mailbox(mailbox) => mailbox.get().leave_here(py),
            Self::Future(future, Some(key)) => future.get().unwatch(key),
            Self::Agent(agent, Some(key)) => completion::unwatch(agent.get(), key),
            Self::Foreign(future, true) => {
                let removed = select
                    .getattr(intern!(py, "_wake"))
                    .and_then(|wake| future.bind(py).call_method1(intern!(py, "remove_done_callback"), (wake,)));
                if let Err(error) = removed {
                    errors::unraisable(py, error, Some(select));
                }
            }
            _ => {}
        }
    }

    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Channel(source, ..) => visit.call(source),
            Self::Mailbox(source) => visit.call(source),
            Self::Future(source, _) => visit.call(source),
            Self::Agent(source, _) => visit.call(source),
            Self::Foreign(source, _) => visit.call(source),
        }
    }
}

/// What `select(...)` returns: await it for the first source that has something.
#[pyclass(frozen, module = "remuda._kernel")]
#[derive(Debug)]
pub struct Select {
    /// Taken out while they are looked at, and for good when it is over.
    arms: Guarded<Vec<Arm>>,
    timeout: Option<f64>,
    timer: Guarded<Option<Timer>>,
    expired: AtomicBool,
    /// Who is to be woken by the timer, and by futures of asyncio's.
    waiter: Guarded<Option<Waiter>>,
}

/// Makes a select.
#[pyfunction]
#[pyo3(signature = (*sources, timeout = None, fair = false))]
pub fn select(
    sources: &Bound<'_, PyTuple>,
    #[pyo3(from_py_with = numbers::timeout)] timeout: Option<f64>,
    fair: bool,
) -> PyResult<Select> {
    if sources.is_empty() {
        return Err(PyTypeError::new_err("expected at least one source to select from, got none"));
    }
    let mut arms = sources.iter().enumerate().map(Arm::of).collect::<PyResult<Vec<_>>>()?;
    if fair {
        // A whole order, not only a place to begin at: then all that have something are equally likely.
        interop::seed_of_loop(sources.py())?.map_or_else(Chance::unseeded, Chance::of_seed).shuffle(&mut arms);
    }
    Ok(Select {
        arms: Guarded::new(arms),
        timeout,
        timer: Guarded::new(None),
        expired: AtomicBool::new(timeout == Some(0.0)),
        waiter: Guarded::new(None),
    })
}

impl Select {
    /// Looks at all sources; the first that has something is returned with it.
    fn look<'py>(&self, py: Python<'py>, arms: &mut [Arm]) -> PyResult<Option<Bound<'py, PyTuple>>> {
        for arm in arms {
            if let Some(value) = arm.look(py)? {
                return Ok(Some((arm.source(py), value).into_pyobject(py)?));
            }
        }
        if self.expired.load(Ordering::Acquire) {
            let seconds = self.timeout.unwrap_or_default();
            let text = format!("expected something from a source within {seconds} s, got nothing");
            return Err(errors::make(errors::select_timeout(py), (text,)));
        }
        Ok(None)
    }

    /// Whether another than the code that runs now waits for it.
    fn is_awaited(&self, py: Python<'_>) -> PyResult<bool> {
        let waiter = self.waiter.lock().as_ref().map(|waiter| waiter.clone_ref(py));
        waiter.map_or(Ok(false), |waiter| waiter.is_waiting(py))
    }

    /// Registers with all sources. None: one of them has something.
    fn wait(slf: &Bound<'_, Self>, arms: &mut [Arm]) -> PyResult<Option<Poll>> {
        let py = slf.py();
        let this = slf.get();
        let (waiter, poll) = Waiter::of_current(py)?;
        let old = this.waiter.lock().replace(waiter.clone_ref(py));
        drop(old);
        if let Some(seconds) = this.timeout
            && this.timer.lock().is_none()
        {
            let timer = Timer::start(seconds, &slf.getattr(intern!(py, "_expire"))?)?;
            *this.timer.lock() = Some(timer);
        }
        let mut all = true;
        for arm in arms {
            if let Err(unused) = arm.wait(slf, waiter.clone_ref(py))? {
                drop(unused);
                all = false;
            }
        }
        Ok(all.then_some(poll))
    }

    fn end(slf: &Bound<'_, Self>, arms: Vec<Arm>) {
        let py = slf.py();
        for arm in arms {
            arm.leave(slf);
        }
        let waiter = slf.get().waiter.lock().take();
        let timer = slf.get().timer.lock().take();
        if let Some(timer) = timer {
            timer.cancel(py);
        }
        drop(waiter);
    }

    fn abandon(slf: &Bound<'_, Self>) {
        let arms = std::mem::take(&mut *slf.get().arms.lock());
        Self::end(slf, arms);
    }
}

impl Awaitable for Select {
    fn poll(slf: &Bound<'_, Self>) -> PyResult<Poll> {
        let py = slf.py();
        let this = slf.get();
        let mut arms = std::mem::take(&mut *this.arms.lock());
        let is_awaited = this.is_awaited(py);
        if arms.is_empty() || !matches!(is_awaited, Ok(false)) {
            // Whoever has taken them puts them back.
            if !arms.is_empty() {
                *this.arms.lock() = arms;
            }
            is_awaited?;
            let text = "expected a select that was not awaited before, got one that was: make a new one each time";
            return Err(errors::make(errors::already_awaited(py), (text,)));
        }
        if !current::pay() && current::agent_task(py)?.is_some() {
            *this.arms.lock() = arms;
            return Ok(Poll::Pending(interop::requeue(py).clone_ref(py)));
        }
        loop {
            let step = match this.look(py, &mut arms) {
                Ok(Some(found)) => Ok(Some(Poll::Ready(found.into_any().unbind()))),
                Ok(None) => match Self::wait(slf, &mut arms) {
                    Ok(Some(poll)) => {
                        *this.arms.lock() = arms;
                        return Ok(poll);
                    }
                    Ok(None) => Ok(None),
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            };
            match step {
                Ok(None) => {}
                Ok(Some(poll)) => {
                    Self::end(slf, arms);
                    return Ok(poll);
                }
                Err(error) => {
                    Self::end(slf, arms);
                    return Err(error);
                }
            }
        }
    }
}

#[pymethods]
impl Select {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (kind, value = None, traceback = None, /))]
    fn throw<'py>(
        slf: &Bound<'py, Self>,
        kind: Bound<'py, PyAny>,
        value: Option<Bound<'py, PyAny>>,
        traceback: Option<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        Self::abandon(slf);
        Err(thrown(slf.py(), kind, value, traceback))
    }

    fn close(slf: &Bound<'_, Self>) {
        Self::abandon(slf);
    }

    /// The timer's callback.
    fn _expire(&self, py: Python<'_>) {
        self.expired.store(true, Ordering::Release);
        self._wake(py, None);
    }

    /// What a future of asyncio's calls when it is done.
    #[pyo3(signature = (_future = None, /))]
    fn _wake(&self, py: Python<'_>, _future: Option<&Bound<'_, PyAny>>) {
        let waiter = self.waiter.lock().as_ref().map(|waiter| waiter.clone_ref(py));
        if let Some(waiter) = waiter {
            waiter.wake(py);
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(arms) = self.arms.try_lock() {
            arms.iter().try_for_each(|arm| arm.traverse(&visit))?;
        }
        if let Some(timer) = self.timer.try_lock()
            && let Some(timer) = &*timer
        {
            timer.traverse(&visit)?;
        }
        match self.waiter.try_lock().as_deref() {
            Some(Some(waiter)) => waiter.traverse(&visit),
            _ => Ok(()),
        }
    }

    fn __clear__(slf: &Bound<'_, Self>) {
        Self::abandon(slf);
    }
}

/// The tickets of what vanishes without having been closed are given back.
impl Drop for Select {
    fn drop(&mut self) {
        let arms = std::mem::take(&mut *self.arms.lock());
        let waits = arms.iter().any(|arm| matches!(arm, Arm::Channel(_, Some(_), _)));
        if waits {
            attached(|py| {
                for arm in arms {
                    if let Arm::Channel(receiver, Some(ticket), _) = arm {
                        receiver.get().leave(py, ticket);
                    }
                }
            });
        }
    }
}
