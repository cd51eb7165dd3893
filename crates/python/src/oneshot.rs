//! `await_future()`: a value that is set once, by whoever has the resolver, and awaited by as many as have the future.
//!
//! The future holds the state, and the resolver the future: so when the resolver goes, those who wait can be told, and
//! the collector sees one chain. Waiters are woken in the order in which they came.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::admission::taken;
use crate::alloc::{Allocated, Released, allocated};
use crate::awaitable::{Awaitable, Poll, attached, thrown};
use crate::callback::{self, Callback};
use crate::guarded::Guarded;
use crate::iso::Iso;
use crate::resolver::Resolver;
use crate::waiter::{Waiter, WaiterKey};
use crate::{alloc, current, errors};

#[derive(Debug)]
pub enum Outcome {
    Pending,
    Value(Py<PyAny>),
    Error(Py<PyAny>),
}

#[derive(Debug)]
struct State {
    outcome: Outcome,
    waiters: Vec<Waiter>,
    callbacks: Vec<Callback>,
}

/// The side that waits.
#[pyclass(frozen, generic, weakref, module = "remuda")]
#[derive(Debug)]
pub struct Future {
    state: Guarded<State>,
    /// Whether an error that was set has been seen by anybody, or there is none.
    seen: AtomicBool,
    pub strict: bool,
}

allocated!(Future);
allocated!(Waiting);

/// Makes both sides.
#[pyfunction]
pub fn await_future(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
    let state = State { outcome: Outcome::Pending, waiters: Vec::new(), callbacks: Vec::new() };
    let strict = current::is_strict(py)?;
    let future = alloc::new(py, Future { state: Guarded::new(state), seen: AtomicBool::new(true), strict })?;
    let resolver = Resolver::of(&future)?;
    (resolver, future).into_pyobject(py)
}

impl Future {
    pub fn is_done(&self) -> bool {
        !matches!(self.state.lock().outcome, Outcome::Pending)
    }

    /// What came of it, if anything has.
    pub fn outcome(&self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        let outcome = match &self.state.lock().outcome {
            Outcome::Pending => return None,
            Outcome::Value(value) => Ok(value.clone_ref(py)),
            Outcome::Error(error) => Err(error.clone_ref(py)),
        };
        Some(match outcome {
            Ok(value) => taken(py, value),
            Err(error) => {
                self.seen.store(true, Ordering::Relaxed);
                Err(PyErr::from_value(error.into_bound(py)))
            }
        })
    }

    /// Registers a waiter. Hands it back: there is nothing to wait for any more.
    pub fn watch(&self, waiter: Waiter) -> Result<(), Waiter> {
        let mut state = self.state.lock();
        if !matches!(state.outcome, Outcome::Pending) {
            return Err(waiter);
        }
        state.waiters.push(waiter);
        Ok(())
    }

    /// Takes a waiter out, if it is still there.
    pub fn unwatch(&self, key: WaiterKey) {
        let removed = {
            let waiters = &mut self.state.lock().waiters;
            waiters.iter().position(|waiter| waiter.key() == key).map(|place| waiters.remove(place))
        };
        drop(removed);
    }

    /// Sets the outcome, unless there is one, and tells everybody. Returns what was not taken. An error that somebody has
    /// to see is told of if nobody does.
    pub fn settle(slf: &Bound<'_, Self>, outcome: Outcome, is_to_be_seen: bool) -> Result<(), Outcome> {
        let py = slf.py();
        let this = slf.get();
        let (waiters, callbacks) = {
            let mut state = this.state.lock();
            if !matches!(state.outcome, Outcome::Pending) {
                return Err(outcome);
            }
            state.outcome = outcome;
            // Under the lock: who sees the error comes after this, and an error that another was quicker with stays seen.
            this.seen.store(!is_to_be_seen, Ordering::Relaxed);
            (std::mem::take(&mut state.waiters), std::mem::take(&mut state.callbacks))
        };
        for waiter in waiters {
            waiter.wake(py);
        }
        for callback in callbacks {
            if let Err(error) = callback.call(slf, None) {
                errors::unraisable(py, error, Some(slf));
            }
        }
        Ok(())
    }
}

#[pymethods]
impl Future {
    /// Whether it has a result or an exception.
    #[pyo3(name = "done")]
    fn is_done_now(&self) -> bool {
        self.is_done()
    }

    /// Always false: a promise can be broken, not cancelled. (`asyncio.wait` asks.)
    fn cancelled(&self) -> bool {
        false
    }

    /// The result, or raises the exception.
    fn result(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.outcome(py).unwrap_or_else(|| Err(pending(py)))
    }

    /// The exception, or None.
    fn exception(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let error = match &self.state.lock().outcome {
            Outcome::Pending => None,
            Outcome::Value(_) => return Ok(None),
            Outcome::Error(error) => Some(error.clone_ref(py)),
        };
        self.seen.store(true, Ordering::Relaxed);
        error.map_or_else(|| Err(pending(py)), |error| Ok(Some(error)))
    }

    /// Calls `callback(future)` soon when it is done, in the event loop that runs here now.
    #[pyo3(signature = (callback, /, *, context = None))]
    fn add_done_callback(
        slf: &Bound<'_, Self>,
        callback: Bound<'_, PyAny>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let callback = Callback::here(callback, context)?;
        {
            let mut state = slf.get().state.lock();
            if matches!(state.outcome, Outcome::Pending) {
                state.callbacks.push(callback);
                return Ok(());
            }
        }
        callback.call(slf, None)
    }

    /// Removes a callback, and returns how often it was there.
    #[pyo3(signature = (callback, /))]
    fn remove_done_callback(&self, callback: &Bound<'_, PyAny>) -> PyResult<usize> {
        callback::remove(callback, |change| change(&mut self.state.lock().callbacks))
    }

    pub fn __await__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Waiting>> {
        alloc::new(slf.py(), Waiting { future: slf.clone().unbind(), waits: Guarded::new(None) })
    }

    pub fn __repr__(&self) -> &'static str {
        match self.state.lock().outcome {
            Outcome::Pending => "<Future pending>",
            Outcome::Value(_) => "<Future with a result>",
            Outcome::Error(_) => "<Future with an exception>",
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(state) = self.state.try_lock() else { return Ok(()) };
        match &state.outcome {
            Outcome::Value(value) | Outcome::Error(value) => visit.call(value)?,
            Outcome::Pending => {}
        }
        state.waiters.iter().try_for_each(|waiter| waiter.traverse(&visit))?;
        state.callbacks.iter().try_for_each(|callback| callback.traverse(&visit))
    }

    fn __clear__(&self) {
        let cleared = {
            let mut state = self.state.lock();
            let outcome = match std::mem::replace(&mut state.outcome, Outcome::Pending) {
                Outcome::Error(error) if !self.seen.load(Ordering::Relaxed) => {
                    state.outcome = Outcome::Error(error); // for the destructor to tell of
                    None
                }
                outcome => Some(outcome),
            };
            (outcome, std::mem::take(&mut state.waiters), std::mem::take(&mut state.callbacks))
        };
        drop(cleared);
    }
}

impl Released for Future {
    #[inline]
    fn release(self, py: Python<'_>) {
        let is_seen = self.seen.into_inner();
        let State { outcome, waiters, callbacks } = self.state.into_inner();
        match outcome {
            Outcome::Value(value) => drop(value.into_bound(py)),
            Outcome::Pending => {}
            Outcome::Error(error) if is_seen => drop(error.into_bound(py)),
            Outcome::Error(error) => attached(|py| {
                let _aside = errors::Aside::new(py);
                if let Err(failed) = tell_unseen(py, error) {
                    errors::unraisable(py, failed, None);
                }
            }),
        }
        if !waiters.is_empty() || !callbacks.is_empty() {
            attached(|_| drop((waiters, callbacks)));
        }
    }
}

/// A future that is done is its own iterator, which ends at once; one that isn't makes a `Waiting` for each await.
impl Awaitable for Future {
    #[inline]
    fn glance(slf: &Bound<'_, Self>) -> Option<Poll> {
        let state = slf.get().state.try_lock()?;
        match &state.outcome {
            // An iso is for the first who comes.
            Outcome::Value(value) if value.bind(slf.py()).get_type_ptr() != Iso::layout().class() => {
                Some(Poll::Ready(value.clone_ref(slf.py())))
            }
            _ => None,
        }
    }

    fn poll(slf: &Bound<'_, Self>) -> PyResult<Poll> {
        let text = "expected `await future`, or next() of what its __await__ returns, got next() of a pending future";
        slf.get().outcome(slf.py()).unwrap_or_else(|| Err(PyTypeError::new_err(text))).map(Poll::Ready)
    }
}

/// Nobody has looked at an exception that was set: it is logged, as asyncio does.
#[cold]
fn tell_unseen(py: Python<'_>, error: Py<PyAny>) -> PyResult<()> {
    let logger = py.import(intern!(py, "logging"))?.call_method1(intern!(py, "getLogger"), ("remuda",))?;
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "exc_info"), error)?;
    let text = "the exception of a future was never retrieved";
    logger.call_method(intern!(py, "error"), (text,), Some(&keywords)).map(drop)
}

fn pending(py: Python<'_>) -> PyErr {
    errors::invalid_state(py, "expected a future that is done, but nobody has resolved it yet")
}

/// One await of a future.
#[pyclass(frozen, module = "remuda._kernel")]
#[derive(Debug)]
pub struct Waiting {
    future: Py<Future>,
    waits: Guarded<Option<WaiterKey>>,
}

impl Waiting {
    fn leave(&self) {
        let key = self.waits.lock().take();
        if let Some(key) = key {
            self.future.get().unwatch(key);
        }
    }
}

impl Awaitable for Waiting {
    fn poll(slf: &Bound<'_, Self>) -> PyResult<Poll> {
        let py = slf.py();
        let this = slf.get();
        if let Some(outcome) = this.future.get().outcome(py) {
            *this.waits.lock() = None;
            return outcome.map(Poll::Ready);
        }
        this.leave();
        let (waiter, poll) = Waiter::of_current(py)?;
        let key = waiter.key();
        match this.future.get().watch(waiter) {
            Ok(()) => *this.waits.lock() = Some(key),
            // It was resolved since the look before: the next look will find it so.
            Err(waiter) => waiter.wake(py),
        }
        Ok(poll)
    }
}

#[pymethods]
impl Waiting {
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
        self.leave();
        Err(thrown(py, kind, value, traceback))
    }

    fn close(&self) {
        self.leave();
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.future)
    }
}

impl Released for Waiting {
    #[inline]
    fn release(self, py: Python<'_>) {
        drop(self.future.into_bound(py));
    }
}
