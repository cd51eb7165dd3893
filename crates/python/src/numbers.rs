//! Numbers among the arguments: a bool is none of them, and one that is too large is refused like any other that makes no
//! sense. Each function reads the argument of its name.

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyType};

use crate::errors;

/// Ints with more bits than this are not shown: they fill the screen.
const SHOWN: u64 = 256;

type Class = for<'py> fn(Python<'py>) -> PyResult<&'py Bound<'py, PyType>>;

/// What an error is made of that says why a number was refused.
struct Expected {
    name: &'static str,
    kind: &'static str,
    range: &'static str,
    class: Option<Class>,
}

impl Expected {
    fn read<'a, 'py, T>(&self, given: &'a Bound<'py, PyAny>) -> PyResult<T>
    where
        T: FromPyObject<'a, 'py, Error = PyErr>,
    {
        let py = given.py();
        if given.is_instance_of::<PyBool>() {
            return Err(self.wrong_kind(given));
        }
        given.extract().map_err(|error: PyErr| {
            if error.is_instance_of::<PyOverflowError>(py) {
                self.out_of_range(given)
            } else if error.is_instance_of::<PyTypeError>(py) {
                self.wrong_kind(given)
            } else {
                error
            }
        })
    }

    #[cold]
    fn wrong_kind(&self, given: &Bound<'_, PyAny>) -> PyErr {
        match given.get_type().name() {
            Ok(kind) => PyTypeError::new_err(format!("expected {} as {}, got {kind}", self.name, self.kind)),
            Err(error) => error,
        }
    }

    #[cold]
    fn out_of_range(&self, given: &Bound<'_, PyAny>) -> PyErr {
        let bits = given.call_method0(intern!(given.py(), "bit_length")).and_then(|bits| bits.extract::<u64>());
        let came = match bits {
            Ok(bits) if bits > SHOWN => format!("an int of {bits} bits"),
            _ => format!("{given:?}"),
        };
        let text = format!("expected {}, got {came}", self.range);
        match self.class {
            Some(class) => errors::make(class(given.py()), (text,)),
            None => PyValueError::new_err(text),
        }
    }
}

fn unless_none<T>(given: &Bound<'_, PyAny>, read: impl FnOnce() -> PyResult<T>) -> PyResult<Option<T>> {
    if given.is_none() { Ok(None) } else { read().map(Some) }
}

/// The number of items that a channel holds.
pub fn capacity(given: &Bound<'_, PyAny>) -> PyResult<i64> {
    let range = "capacity >= 0 (items) and < 2**32";
    Expected { name: "capacity", kind: "an int", range, class: Some(errors::limits_error) }.read(given)
}

/// The number of messages that a mailbox holds.
pub fn mailbox(given: &Bound<'_, PyAny>) -> PyResult<i64> {
    let range = "mailbox >= 1 (messages) and < 2**32";
    Expected { name: "mailbox", kind: "an int", range, class: Some(errors::limits_error) }.read(given)
}

/// The upper mark of a mailbox or a channel.
pub fn high(given: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    let range = "1 <= high < 2**32";
    let expected = Expected { name: "high", kind: "an int or None", range, class: Some(errors::limits_error) };
    unless_none(given, || expected.read(given))
}

/// The lower one.
pub fn low(given: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    let range = "0 <= low < 2**32";
    let expected = Expected { name: "low", kind: "an int or None", range, class: Some(errors::limits_error) };
    unless_none(given, || expected.read(given))
}

/// A number of shards to look for.
pub fn count(given: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    let range = "1 <= count <= the number of shards";
    let expected = Expected { name: "count", kind: "an int or None", range, class: None };
    unless_none(given, || expected.read(given))
}

/// How many shards have the same keys.
pub fn replicas(given: &Bound<'_, PyAny>) -> PyResult<i64> {
    let range = "1 <= replicas <= the number of shards";
    Expected { name: "replicas", kind: "an int", range, class: None }.read(given)
}

/// The weight of a shard.
pub fn weight(given: &Bound<'_, PyAny>) -> PyResult<f64> {
    Expected { name: "weight", kind: "a number", range: "0 < weight <= 1e6", class: None }.read(given)
}

/// How much more than its part a shard may have.
pub fn load_factor(given: &Bound<'_, PyAny>) -> PyResult<f64> {
    Expected { name: "load_factor", kind: "a number", range: "load_factor > 1, and finite", class: None }.read(given)
}

/// Seconds to wait.
pub fn timeout(given: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    let expected = Expected {
        name: "timeout",
        kind: "a number of seconds or None",
        range: "timeout >= 0 and < 2**1024 (seconds) or None",
        class: None,
    };
    let Some(seconds) = unless_none(given, || expected.read::<f64>(given))? else { return Ok(None) };
    if seconds.is_nan() || seconds < 0.0 {
        return Err(PyValueError::new_err(format!("expected timeout >= 0 (seconds) or None, got {seconds}")));
    }
    Ok(Some(seconds))
}
