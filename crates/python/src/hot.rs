//! The methods that are called for every message, as plain C functions.
//!
//! PyO3's methods parse their arguments generally; a method that takes exactly one object, or none, can be called by the
//! interpreter directly, and from 3.11 on it has bytecodes for just that. What PyO3 generated stays underneath for
//! documentation and signatures: these take its place on the type when the module is initialised.

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::PySystemError;
use pyo3::{PyTypeInfo, ffi, prelude::*};

use crate::agent::AgentRef;
use crate::mailbox::{Mailbox, Receive};
use crate::send::Send;
use crate::{alloc, errors};

/// Runs a body with panics turned into errors, and gives the interpreter its result.
#[inline]
fn guarded(body: impl FnOnce(Python<'_>) -> PyResult<*mut ffi::PyObject>) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls methods on attached threads only.
    let py = unsafe { Python::assume_attached() };
    match catch_unwind(AssertUnwindSafe(|| body(py))) {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => {
            error.restore(py);
            std::ptr::null_mut()
        }
        Err(_) => {
            PySystemError::new_err(errors::PANIC).restore(py);
            std::ptr::null_mut()
        }
    }
}

fn none() -> *mut ffi::PyObject {
    // SAFETY: None is alive as long as the interpreter.
    unsafe { ffi::Py_NewRef(ffi::Py_None()) }
}

unsafe extern "C" fn send(slf: *mut ffi::PyObject, message: *mut ffi::PyObject) -> *mut ffi::PyObject {
    guarded(|py| {
        // SAFETY: a method descriptor checks the type of its object; the arguments are borrowed from the caller.
        let (agent, message) =
            unsafe { (Borrowed::from_ptr(py, slf).cast_unchecked::<AgentRef>(), Borrowed::from_ptr(py, message)) };
        let send = Send::new(agent.to_owned().unbind(), message.to_owned().unbind());
        alloc::new(py, send).map(Bound::into_ptr)
    })
}

unsafe extern "C" fn send_nowait(slf: *mut ffi::PyObject, message: *mut ffi::PyObject) -> *mut ffi::PyObject {
    guarded(|py| {
        // SAFETY: as in `send`.
        let (agent, message) =
            unsafe { (Borrowed::from_ptr(py, slf).cast_unchecked::<AgentRef>(), Borrowed::from_ptr(py, message)) };
        AgentRef::deliver_now(&agent, message.to_owned().unbind())?;
        Ok(none())
    })
}

unsafe extern "C" fn recv(slf: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    guarded(|py| {
        // SAFETY: as in `send`.
        let mailbox = unsafe { Borrowed::from_ptr(py, slf).cast_unchecked::<Mailbox>() };
        alloc::new(py, Receive::new(mailbox.to_owned().unbind())).map(Bound::into_ptr)
    })
}

/// Puts the functions of this file on their types.
pub fn install(py: Python<'_>) -> PyResult<()> {
    replace::<AgentRef>(py, c"send", send, ffi::METH_O)?;
    replace::<AgentRef>(py, c"send_nowait", send_nowait, ffi::METH_O)?;
    replace::<Mailbox>(py, c"recv", recv, ffi::METH_NOARGS)
}

/// Replaces a method by one that is called directly; its documentation and signature are kept.
fn replace<T: PyTypeInfo>(
    py: Python<'_>,
    name: &'static CStr,
    function: ffi::PyCFunction,
    flags: std::ffi::c_int,
) -> PyResult<()> {
    let class = T::type_object(py);
    let bare = name.to_str().expect("names of methods are ASCII");
    let original = class.getattr(bare)?;
    let documentation = original.getattr("__doc__")?.extract::<String>()?;
    let signature = original.getattr("__text_signature__")?.extract::<String>()?;
    // The form in which C functions carry their signature.
    let documentation = std::ffi::CString::new(format!("{bare}{signature}\n--\n\n{documentation}"))?;
    // Leaked, once per method: a type refers to its methods' definitions for as long as the process lives.
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: function },
        ml_flags: flags,
        ml_doc: Box::leak(documentation.into_boxed_c_str()).as_ptr(),
    }));
    // SAFETY: a definition that lives for ever, on a type that PyO3 has just made.
    let method = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyDescr_NewMethod(class.as_type_ptr(), definition)) }?;
    class.setattr(bare, method)
}
