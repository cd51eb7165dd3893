//! Functions to be called when something is done, each in the event loop in which it was given, as asyncio does it.

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{ffi, intern};

use crate::interop;

/// A done-callback.
#[derive(Debug)]
pub struct Callback {
    pub function: Py<PyAny>,
    pub context: Py<PyAny>,
    /// None: it was given where no event loop ran.
    event_loop: Option<Py<PyAny>>,
}

impl Callback {
    /// For the event loop that runs here, in `context` or a copy of the caller's.
    pub fn here(function: Bound<'_, PyAny>, context: Option<Py<PyAny>>) -> PyResult<Self> {
        let py = function.py();
        if !function.is_callable() {
            let kind = function.get_type().name()?;
            return Err(PyTypeError::new_err(format!("expected a callable, got {kind}")));
        }
        let context = match context {
            Some(context) => context,
            // SAFETY: returns a new reference or null with an error.
            None => unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }?.unbind(),
        };
        let event_loop = interop::running_loop(py)?.map(Bound::unbind);
        Ok(Self { function: function.unbind(), context, event_loop })
    }

    /// Calls it soon with what is done; in the event loop of `home`, or at once without one, if it has none of its own.
    pub fn call(&self, done: &Bound<'_, PyAny>, home: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let py = done.py();
        let Some(event_loop) = self.event_loop.as_ref().map(|own| own.bind(py)).or(home) else {
            return self.context.call_method1(py, intern!(py, "run"), (&self.function, done)).map(drop);
        };
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "context"), &self.context)?;
        let here = interop::running_loop(py)?.is_some_and(|running| running.is(event_loop));
        let how = if here { "call_soon" } else { "call_soon_threadsafe" };
        event_loop.call_method(how, (&self.function, done), Some(&keywords)).map(drop)
    }

    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            function: self.function.clone_ref(py),
            context: self.context.clone_ref(py),
            event_loop: self.event_loop.as_ref().map(|event_loop| event_loop.clone_ref(py)),
        }
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        visit.call(&self.context)?;
        visit.call(&self.event_loop)
    }
}

/// Takes the callbacks out that equal one, in what `with` gives access to; returns how many they were.
///
/// They are compared without a lock, because that may run Python code, and taken out by identity.
pub fn remove(function: &Bound<'_, PyAny>, with: impl Fn(&mut dyn FnMut(&mut Vec<Callback>))) -> PyResult<usize> {
    let py = function.py();
    let mut all = Vec::new();
    with(&mut |callbacks| all.extend(callbacks.iter().map(|callback| callback.function.clone_ref(py))));
    let mut equal = Vec::new();
    for other in all {
        if other.bind(py).eq(function)? {
            equal.push(other);
        }
    }
    let mut removed = Vec::new();
    with(&mut |callbacks| {
        let is_equal = |other: &mut Callback| equal.iter().any(|it| it.is(&other.function));
        removed.extend(callbacks.extract_if(.., is_equal));
    });
    Ok(removed.len())
}
