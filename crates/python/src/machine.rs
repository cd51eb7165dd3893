//! One thread with an event loop, on which agents run: a worker, or one that stands in for a worker that blocks.
//!
//! A machine (Go's M) runs agents by its *pump*, a callback of its loop. It runs those that are pinned to it, because they
//! have awaited something of its loop, and, while it holds a processor (Go's P), any others. Machine 0 is the thread on
//! which the runtime was started; the other workers' follow, and then those that stand in. `processors` tells which
//! machine holds which processor.
//!
//! Who touches what: `thread`, `run` and `pumping` are written by the machine's own thread; `processor` is cleared by
//! its own thread, and set by whoever gives it one while it has none; the rest is for all.

use std::cell::Cell;
use std::collections::VecDeque;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use remuda_kernel::pump::Pump;

use crate::agent::AgentRef;
use crate::current::Run;
use crate::guarded::Guarded;
use crate::runtime::Runtime;
use crate::{current, errors};

/// Instead of a processor's number: none.
const NONE: usize = usize::MAX;

/// The event loop of a machine, and the context of its callbacks that belong to no agent.
pub struct Place {
    pub event_loop: Py<PyAny>,
    pub context: Py<PyAny>,
}

/// A thread with an event loop that runs agents.
pub struct Machine {
    pub index: usize,
    place: PyOnceLock<Place>,
    /// Its thread's token; 0 before it has one, and when it has left.
    thread: AtomicUsize,
    pub run: Run,
    pub pumping: AtomicBool,
    processor: AtomicUsize,
    /// The agent that it runs is in a blocking section.
    pub blocked: AtomicBool,
    /// It has given its processor up for that.
    pub gave_up: AtomicBool,
    pub pump: Pump,
    /// Agents that are to run, and only here.
    pub pinned: Guarded<VecDeque<Py<AgentRef>>>,
}

thread_local! {
    /// The machine that this thread is, and its runtime, while the thread works for it.
    static WORKS_FOR: Cell<(*const Runtime, *const Machine)> = const { Cell::new((ptr::null(), ptr::null())) };
}

impl Machine {
    pub fn new(index: usize) -> Self {
        Self {
            index,
            place: PyOnceLock::new(),
            thread: AtomicUsize::new(0),
            run: Run::new(),
            pumping: AtomicBool::new(false),
            processor: AtomicUsize::new(NONE),
            blocked: AtomicBool::new(false),
            gave_up: AtomicBool::new(false),
            pump: Pump::new(),
            pinned: Guarded::new(VecDeque::new()),
        }
    }

    /// Binds it to the calling thread and the loop that runs on it.
    pub fn join(&self, py: Python<'_>, event_loop: Bound<'_, PyAny>) -> PyResult<()> {
        let context = errors::import(py, "contextvars")?.getattr("Context")?.call0()?.unbind();
        // The first loop counts: a machine joins once.
        let _ = self.place.set(py, Place { event_loop: event_loop.unbind(), context });
        self.thread.store(current::thread_token(), Ordering::Release);
        Ok(())
    }

    /// Its thread works for it from now on, also between pumps.
    pub fn employ_thread(&self, runtime: &Runtime) {
        WORKS_FOR.set((ptr::from_ref(runtime), ptr::from_ref(self)));
    }

    /// Its thread ends, or works for itself again.
    pub fn leave(&self) {
        self.thread.store(0, Ordering::Release);
        if ptr::eq(WORKS_FOR.get().1, self) {
            WORKS_FOR.set((ptr::null(), ptr::null()));
        }
    }

    /// The machine of this runtime that the calling thread is, if it is one other than the home machine.
    pub fn of_this_thread(runtime: &Runtime) -> Option<&Self> {
        let (employer, machine) = WORKS_FOR.get();
        // SAFETY: machines live as long as their runtime, which `runtime` is, and whose worker this thread is.
        ptr::eq(employer, runtime).then(|| unsafe { &*machine })
    }

    pub fn place(&self, py: Python<'_>) -> Option<&Place> {
        self.place.get(py)
    }

    #[inline]
    pub fn is_this_thread(&self) -> bool {
        // Relaxed: only the machine's own thread can find its own token.
        self.thread.load(Ordering::Relaxed) == current::thread_token()
    }

    /// The processor that it holds.
    #[inline]
    pub fn processor(&self) -> Option<usize> {
        // Acquire pairs with `take`: what the last holder did with the processor is seen.
        let processor = self.processor.load(Ordering::Acquire);
        (processor != NONE).then_some(processor)
    }

    /// Gives it a processor. It has none, and nobody else has this one.
    pub fn take(&self, processor: usize) {
        self.processor.store(processor, Ordering::Release);
    }

    /// Takes its processor away; on its own thread.
    pub fn yield_processor(&self) {
        self.processor.store(NONE, Ordering::Release);
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // SAFETY: the collector runs on an attached thread; the token only reads what was set long ago.
        if let Some(place) = self.place.get(unsafe { Python::assume_attached() }) {
            visit.call(&place.event_loop)?;
            visit.call(&place.context)?;
        }
        match self.pinned.try_lock() {
            Some(pinned) => pinned.iter().try_for_each(|agent| visit.call(agent)),
            None => Ok(()),
        }
    }
}
