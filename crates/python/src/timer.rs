//! A timer of an event loop, for what waits with a time-out. It may be stopped by a thread that is not the loop's.

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

use crate::{errors, interop};

/// What `call_later` has returned, and the loop that it is of.
#[derive(Debug)]
pub struct Timer {
    handle: Py<PyAny>,
    event_loop: Py<PyAny>,
}

impl Timer {
    /// Has the loop that runs here call something after some seconds.
    pub fn start(seconds: f64, call: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = call.py();
        let Some(event_loop) = interop::running_loop(py)? else {
            return Err(PyTypeError::new_err("expected a running event loop for the timeout, found none"));
        };
        let handle = event_loop.call_method1(intern!(py, "call_later"), (seconds, call))?;
        Ok(Self { handle: handle.unbind(), event_loop: event_loop.unbind() })
    }

    /// Stops the clock. A loop's timers are not for other threads: who waits may be on another one than it began on.
    pub fn cancel(self, py: Python<'_>) {
        let cancelled = self.handle.bind(py).getattr(intern!(py, "cancel")).and_then(|cancel| {
            if interop::running_loop(py)?.is_some_and(|running| running.is(&self.event_loop)) {
                return cancel.call0();
            }
            if self.event_loop.bind(py).call_method0(intern!(py, "is_closed"))?.is_truthy()? {
                return Ok(cancel);
            }
            self.event_loop.bind(py).call_method1(intern!(py, "call_soon_threadsafe"), (cancel,))
        });
        if let Err(error) = cancelled {
            errors::unraisable(py, error, None);
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.handle)?;
        visit.call(&self.event_loop)
    }
}
