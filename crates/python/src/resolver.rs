//! The side of a future that resolves it; what goes on behind is in `oneshot`.

use pyo3::exceptions::{PyBaseException, PyStopIteration, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::admission::{Moves, admit_for_many};
use crate::alloc::{self, Released, allocated};
use crate::awaitable::attached;
use crate::errors;
use crate::oneshot::{Future, Outcome};

/// The side that resolves.
#[pyclass(frozen, generic, weakref, module = "remuda")]
#[derive(Debug)]
pub struct Resolver {
    future: Py<Future>,
}

allocated!(Resolver);

impl Resolver {
    pub fn of<'py>(future: &Bound<'py, Future>) -> PyResult<Bound<'py, Self>> {
        alloc::new_unowned(future.py(), Self { future: future.clone().unbind() })
    }

    fn settle(&self, py: Python<'_>, outcome: Outcome, is_to_be_seen: bool) -> PyResult<()> {
        Future::settle(self.future.bind(py), outcome, is_to_be_seen).map_err(|_| already_resolved(py))
    }

    fn expect_pending(&self, py: Python<'_>) -> PyResult<()> {
        if self.future.get().is_done() { Err(already_resolved(py)) } else { Ok(()) }
    }
}

#[cold]
fn already_resolved(py: Python<'_>) -> PyErr {
    let text = "expected a future that is not resolved, got one that is";
    errors::make(errors::already_resolved(py), (text,))
}

#[pymethods]
impl Resolver {
    /// Gives the future its result.
    #[pyo3(signature = (result, /))]
    pub fn set_result(&self, py: Python<'_>, result: Py<PyAny>) -> PyResult<()> {
        self.expect_pending(py)?;
        let (value, moves) = admit_for_many(py, result, "result", self.future.get().strict)?;
        let settled = self.settle(py, Outcome::Value(value), false);
        if settled.is_err() {
            drop(moves.map(Moves::give_back)); // somebody else was quicker
        }
        settled
    }

    /// Gives the future an exception, which those who wait raise.
    #[pyo3(signature = (exception, /))]
    fn set_exception(&self, py: Python<'_>, exception: &Bound<'_, PyAny>) -> PyResult<()> {
        let made = if exception.is_instance_of::<PyType>() { exception.call0()? } else { exception.clone() };
        if !made.is_instance_of::<PyBaseException>() {
            let kind = exception.get_type().name()?;
            return Err(PyTypeError::new_err(format!("expected an exception, got an object of type {kind}")));
        }
        if made.is_instance_of::<PyStopIteration>() {
            let text = "expected an exception that an await can raise, got a StopIteration, which would end it instead";
            return Err(PyTypeError::new_err(text));
        }
        self.expect_pending(py)?;
        self.settle(py, Outcome::Error(made.unbind()), true)
    }

    /// Whether it is resolved.
    fn done(&self) -> bool {
        self.future.get().is_done()
    }

    fn __repr__(&self) -> String {
        format!("<Resolver of {}>", self.future.get().__repr__())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.future)
    }
}

impl Released for Resolver {
    #[inline]
    fn release(self, py: Python<'_>) {
        let future = self.future.into_bound(py);
        if !future.get().is_done() {
            attached(|_| break_promise(&future));
        }
    }
}

#[cold]
fn break_promise(future: &Bound<'_, Future>) {
    let py = future.py();
    let _aside = errors::Aside::new(py);
    let text = "expected the future to be resolved, but its resolver is gone";
    let error = errors::make(errors::broken_promise(py), (text,)).into_value(py).into_any();
    drop(Future::settle(future, Outcome::Error(error), false));
}
