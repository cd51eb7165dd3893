//! Where in a program something happened, noted at the price of a few references and told when somebody asks.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::{ffi, intern};

/// A place in a program: a code object, and how far into it.
#[derive(Debug)]
pub struct Place {
    code: Py<PyAny>,
    instruction: i32,
}

impl Place {
    /// Where the Python code that runs on this thread is.
    pub fn here(py: Python<'_>) -> Option<Self> {
        // SAFETY: on an attached thread, which the token shows; the frame is borrowed, and runs, while it is looked at.
        unsafe {
            let frame = ffi::PyEval_GetFrame();
            if frame.is_null() {
                return None;
            }
            let instruction = ffi::PyFrame_GetLasti(frame);
            let code = Bound::from_owned_ptr_or_opt(py, ffi::PyFrame_GetCode(frame).cast())?;
            Some(Self { code: code.unbind(), instruction })
        }
    }

    pub fn copy(&self, py: Python<'_>) -> Self {
        Self { code: self.code.clone_ref(py), instruction: self.instruction }
    }

    /// The file and the line.
    pub fn display(&self, py: Python<'_>) -> PyResult<String> {
        let code = self.code.bind(py);
        let file: String = code.getattr(intern!(py, "co_filename"))?.extract()?;
        // SAFETY: a code object, which `here` has got as one.
        let line = unsafe { ffi::PyCode_Addr2Line(code.as_ptr().cast(), self.instruction) };
        Ok(format!("{file}:{line}"))
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.code)
    }
}
