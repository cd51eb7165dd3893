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
use crate::alloc::Allocated;
use crate::awaitable::attached;
use crate::mailbox::Mailbox;
use crate::oneshot::{Future, await_future};
use crate::receive::Receive;
use crate::receiver::Receiver;
use crate::resolver::Resolver;
use crate::send::Send;
use crate::sender::Sender;
use crate::{alloc, awaitable, errors};

/// Runs a body with panics turned into errors, and gives the interpreter its result.
#[inline]
fn guarded(body: impl FnOnce(Python<'_>) -> PyResult<*mut ffi::PyObject>) -> *mut ffi::PyObject {
    attached(|py| match catch_unwind(AssertUnwindSafe(|| body(py))) {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => {
            error.restore(py);
            std::ptr::null_mut()
        }
        Err(_) => {
            PySystemError::new_err(errors::PANIC).restore(py);
            std::ptr::null_mut()
        }
    })
}

/// Makes an object that is to be awaited.
#[inline]
fn made<T: Allocated>(value: T) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls methods on attached threads only.
    let py = unsafe { Python::assume_attached() };
    match alloc::try_new(py, value) {
        Ok(object) => object.into_ptr(),
        Err(value) => guarded(|py| alloc::new(py, value).map(Bound::into_ptr)),
    }
}

/// Delivers a message: at once if that is all that is to be done, with every care otherwise.
///
/// # Safety
/// `agent` is an agent, and both live.
#[inline]
unsafe fn deliver(agent: *mut ffi::PyObject, message: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls methods on attached threads only; the objects are what the contract says.
    let (py, agent, message) = unsafe {
        let py = Python::assume_attached();
        let agent = Borrowed::from_ptr(py, agent).cast_unchecked::<AgentRef>();
        (py, agent, Borrowed::from_ptr(py, message).to_owned().unbind())
    };
    match AgentRef::deliver_smoothly(&agent, message) {
        Ok(()) => py.None().into_ptr(),
        Err(message) => guarded(|py| {
            AgentRef::deliver_now(&agent, message)?;
            Ok(py.None().into_ptr())
        }),
    }
}

unsafe extern "C" fn send(slf: *mut ffi::PyObject, message: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: a method descriptor checks the type of its object; the arguments are borrowed from the caller.
    let (agent, message) = unsafe {
        let py = Python::assume_attached();
        (Borrowed::from_ptr(py, slf).cast_unchecked::<AgentRef>(), Borrowed::from_ptr(py, message))
    };
    made(Send::new(agent.to_owned().unbind(), message.to_owned().unbind()))
}

unsafe extern "C" fn send_nowait(slf: *mut ffi::PyObject, message: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as in `send`.
    unsafe { deliver(slf, message) }
}

unsafe extern "C" fn signal(
    _module: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: the interpreter gives as many arguments as it says; only an agent's type is that of agents.
    unsafe {
        if count == 2 && ffi::Py_TYPE(*arguments) == AgentRef::layout().class() {
            return deliver(*arguments, *arguments.add(1));
        }
    }
    guarded(|py| {
        if count != 2 {
            return Err(PyTypeError::new_err(format!("expected signal(agent, message), got {count} arguments")));
        }
        // SAFETY: as above.
        let kind = unsafe { Borrowed::from_ptr(py, *arguments) }.get_type().name()?;
        Err(PyTypeError::new_err(format!("expected signal(agent, message) with an AgentRef, got {kind}")))
    })
}

unsafe extern "C" fn recv(slf: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as in `send`.
    let mailbox = unsafe { Borrowed::from_ptr(Python::assume_attached(), slf).cast_unchecked::<Mailbox>() };
    made(Receive::new(mailbox.to_owned().unbind()))
}

unsafe extern "C" fn channel_send_nowait(slf: *mut ffi::PyObject, item: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as in `send`.
    let (py, sender, item) = unsafe {
        let py = Python::assume_attached();
        let sender = Borrowed::from_ptr(py, slf).cast_unchecked::<Sender>();
        (py, sender, Borrowed::from_ptr(py, item).to_owned().unbind())
    };
    match sender.get().send_smoothly(py, item) {
        Ok(()) => py.None().into_ptr(),
        Err(item) => guarded(|py| {
            sender.get().send_now(py, item)?;
            Ok(py.None().into_ptr())
        }),
    }
}

unsafe extern "C" fn channel_recv_nowait(slf: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as in `send`.
    let receiver = unsafe { Borrowed::from_ptr(Python::assume_attached(), slf).cast_unchecked::<Receiver>() };
    match receiver.get().take_smoothly() {
        Some(item) => item.into_ptr(),
        None => guarded(|_| Receiver::take_now(&receiver).map(Py::into_ptr)),
    }
}

unsafe extern "C" fn make_future(_module: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    guarded(|py| await_future(py).map(Bound::into_ptr))
}

unsafe extern "C" fn set_result(slf: *mut ffi::PyObject, result: *mut ffi::PyObject) -> *mut ffi::PyObject {
    guarded(|py| {
        // SAFETY: as in `send`.
        let (resolver, result) = unsafe {
            let resolver = Borrowed::from_ptr(py, slf).cast_unchecked::<Resolver>();
            (resolver, Borrowed::from_ptr(py, result).to_owned().unbind())
        };
        resolver.get().set_result(py, result)?;
        Ok(py.None().into_ptr())
    })
}

unsafe extern "C" fn wait_for_future(slf: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the slot is called with an object of its type.
    let future = unsafe { Borrowed::from_ptr(Python::assume_attached(), slf).cast_unchecked::<Future>() };
    if future.get().is_done() {
        return future.to_owned().into_ptr();
    }
    guarded(|_| Future::__await__(&future).map(Bound::into_ptr))
}

/// Puts the functions of this file on their types, and into the module.
pub fn install(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    replace_function(module, c"signal", ffi::PyMethodDefPointer { PyCFunctionFast: signal }, ffi::METH_FASTCALL)?;
    let make_future = ffi::PyMethodDefPointer { PyCFunction: make_future };
    replace_function(module, c"await_future", make_future, ffi::METH_NOARGS)?;
    awaitable::install_resumed::<Future>(py);
    // SAFETY: a type that PyO3 has just made, with an `am_await`; the slot has the signature that belongs there.
    unsafe { (*(*Future::type_object_raw(py)).tp_as_async).am_await = Some(wait_for_future) };
    replace::<Resolver>(py, c"set_result", set_result, ffi::METH_O)?;
    replace::<Sender>(py, c"send_nowait", channel_send_nowait, ffi::METH_O)?;
    replace::<Receiver>(py, c"recv_nowait", channel_recv_nowait, ffi::METH_NOARGS)?;
    replace::<AgentRef>(py, c"send", send, ffi::METH_O)?;
    replace::<AgentRef>(py, c"send_nowait", send_nowait, ffi::METH_O)?;
    replace::<Mailbox>(py, c"recv", recv, ffi::METH_NOARGS)
}

/// Replaces a function of the module by one that is called directly.
fn replace_function(
    module: &Bound<'_, PyModule>,
    name: &'static CStr,
    function: ffi::PyMethodDefPointer,
    flags: std::ffi::c_int,
) -> PyResult<()> {
    let py = module.py();
    let bare = name.to_str().expect("names of functions are ASCII");
    let documentation = described(&module.getattr(bare)?, bare)?;
    let definition = Box::leak(Box::new(ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: function,
        ml_flags: flags,
        ml_doc: documentation,
    }));
    let home = module.name()?;
    // SAFETY: a definition that lives for ever.
    let function = unsafe {
        Bound::from_owned_ptr_or_err(py, ffi::PyCFunction_NewEx(definition, module.as_ptr(), home.as_ptr()))
    }?;
    module.setattr(bare, function)
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
