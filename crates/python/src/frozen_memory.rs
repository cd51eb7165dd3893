//! The memory of an array that nobody can write any more.
//!
//! A numpy array that owns its memory can be made writeable again by who has it. One that is laid over a `_FrozenMemory`
//! can't: this hands the memory out for reading only, and gives no way to the array that owns it.

use std::ffi::c_int;

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

/// Keeps the memory of a read-only array of bytes, to which the caller keeps no other way.
#[pyclass(frozen, immutable_type, name = "_FrozenMemory", module = "remuda._kernel")]
#[derive(Debug)]
pub struct FrozenMemory {
    memory: PyBuffer<u8>,
}

#[pymethods]
impl FrozenMemory {
    #[new]
    #[pyo3(signature = (array, /))]
    fn new(array: &Bound<'_, PyAny>) -> PyResult<Self> {
        let memory = PyBuffer::get(array)?;
        if !memory.readonly() || !memory.is_c_contiguous() {
            return Err(PyBufferError::new_err("expected bytes in one piece that can only be read"));
        }
        Ok(Self { memory })
    }

    /// # Safety
    /// The interpreter's: `view` is to be filled.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let memory = &slf.get().memory;
        // SAFETY: the caller's contract; the memory is `slf`'s, which the view keeps alive. It refuses to be written.
        let filled = unsafe {
            ffi::PyBuffer_FillInfo(view, slf.as_ptr(), memory.buf_ptr(), memory.len_bytes() as isize, 1, flags)
        };
        if filled == 0 { Ok(()) } else { Err(PyErr::fetch(slf.py())) }
    }
}
