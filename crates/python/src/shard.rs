//! One shard of a `ShardMap`, and what is hashed of it, and of a key.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt, PyString};
use pyo3::{ffi, intern};

use crate::agent::AgentRef;

/// Kinds of keys, which their hashes are told apart by: a text, bytes and a number are never the same key. They are what
/// other processes and versions reckon with: never change one.
const TEXT: u64 = 1;
const BYTES: u64 = 2;
const NUMBER: u64 = 3;

/// The kind of a key and what is hashed of it, given to a function.
#[inline]
pub fn with_bytes<R>(key: &Bound<'_, PyAny>, what: &str, take: impl FnOnce(u64, &[u8]) -> R) -> PyResult<R> {
    if let Ok(text) = key.cast::<PyString>() {
        return Ok(take(TEXT, text.to_str()?.as_bytes()));
    }
    if let Ok(bytes) = key.cast::<PyBytes>() {
        return Ok(take(BYTES, bytes.as_bytes()));
    }
    if let Ok(number) = key.cast::<PyInt>()
        && !key.is_instance_of::<PyBool>()
    {
        let mut overflow = 0;
        // SAFETY: an int, and a place for the flag.
        let small = unsafe { ffi::PyLong_AsLongLongAndOverflow(number.as_ptr(), &mut overflow) };
        if overflow == 0 {
            return Ok(take(NUMBER, &small.to_le_bytes()));
        }
        // As many bytes as it takes, more than the eight of a small one.
        let py = key.py();
        let length = number.call_method0(intern!(py, "bit_length"))?.extract::<usize>()? / 8 + 1;
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "signed"), true)?;
        let bytes = number.call_method(intern!(py, "to_bytes"), (length, "little"), Some(&keywords))?;
        return Ok(take(NUMBER, bytes.cast::<PyBytes>()?.as_bytes()));
    }
    let kind = key.get_type().name()?;
    Err(PyTypeError::new_err(format!("expected {what} to be a str, bytes or int, got {kind}")))
}

#[derive(Debug)]
pub struct Shard {
    pub object: Py<PyAny>,
    pub identity: Vec<u8>,
    pub weight: f64,
    pub load: u64,
}

impl Shard {
    /// What a shard is known by: agents go by their names, so that a map of agents agrees with one of names.
    pub fn identify(shard: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
        let identity = |kind: u64, bytes: &[u8]| {
            let mut identity = kind.to_le_bytes().to_vec();
            identity.extend_from_slice(bytes);
            identity
        };
        if let Ok(agent) = shard.cast::<AgentRef>() {
            return Ok(identity(TEXT, AgentRef::display(agent).as_bytes()));
        }
        with_bytes(shard, "a shard that is no agent", identity)
    }

    pub fn new(shard: &Bound<'_, PyAny>, weight: f64) -> PyResult<Self> {
        if !(weight > 0.0 && weight <= 1e6) {
            return Err(PyValueError::new_err(format!("expected 0 < weight <= 1e6, got {weight}")));
        }
        Ok(Self { object: shard.clone().unbind(), identity: Self::identify(shard)?, weight, load: 0 })
    }
}
