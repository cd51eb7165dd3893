//! The methods that are called for every message, as plain C functions.
//!
//! PyO3's methods parse their arguments generally; a method that takes exactly one object, or none, can be called by the
//! interpreter directly, and from 3.11 on it has bytecodes for just that. What PyO3 generated stays underneath for
//! documentation and signatures: these take its place on the type when the module is initialised.

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::{PySystemError, PyTypeError};
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

unsafe extern "C" fn signal(
    _module: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    guarded(|py| {
        if count == 2 {
            // SAFETY: the interpreter gives as many arguments as it says.
            let (agent, message) =
                unsafe { (Borrowed::from_ptr(py, *arguments), Borrowed::from_ptr(py, *arguments.add(1))) };
            if let Ok(agent) = agent.cast::<AgentRef>() {
                AgentRef::deliver_now(&agent, message.to_owned().unbind())?;
                return Ok(none());
            }
            let kind = agent.get_type().name()?;
            return Err(PyTypeError::new_err(format!("expected signal(agent, message) with an AgentRef, got {kind}")));
        }
        Err(PyTypeError::new_err(format!("expected signal(agent, message), got {count} arguments")))
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

/// Puts `signal` into the module.
pub fn install_signal(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let original = module.getattr("signal")?;
    let documentation = described(&original, "signal")?;
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: c"signal".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFast: signal },
        ml_flags: ffi::METH_FASTCALL,
        ml_doc: documentation,
    }));
    let name = module.name()?;
    // SAFETY: a definition that lives for ever.
    let function = unsafe {
        Bound::from_owned_ptr_or_err(py, ffi::PyCFunction_NewEx(definition, module.as_ptr(), name.as_ptr()))
    }?;
    module.setattr("signal", function)
}

/// The documentation of a function, in the form in which C functions carry their signature; leaked, once for each.
fn described(original: &Bound<'_, PyAny>, name: &str) -> PyResult<*const std::ffi::c_char> {
    let documentation = original.getattr("__doc__")?.extract::<String>()?;
    let signature = original.getattr("__text_signature__")?.extract::<String>()?;
    let text = std::ffi::CString::new(format!("{name}{signature}\n--\n\n{documentation}"))?;
    Ok(Box::leak(text.into_boxed_c_str()).as_ptr())
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
    let documentation = described(&original, bare)?;
    // Leaked, once per method: a type refers to its methods' definitions for as long as the process lives.
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: function },
        ml_flags: flags,
        ml_doc: documentation,
    }));
    // SAFETY: a definition that lives for ever, on a type that PyO3 has just made.
    let method = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyDescr_NewMethod(class.as_type_ptr(), definition)) }?;
    class.setattr(bare, method)
}
