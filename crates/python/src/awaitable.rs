//! Objects that can be awaited without the cost of an exception.
//!
//! The interpreter resumes what a coroutine awaits in one of two ways, and PyO3 has hooks for neither at the price we
//! need, so `install` sets the type's slots itself, once, when the module is initialised:
//!
//! - On 3.11 it calls `am_send`, which returns the value together with the word that it is the last one.
//! - From 3.12 on it calls `tp_iternext`, and takes the value out of a StopIteration. No exception at all stands for
//!   None. For other values, building that exception is half the cost of a message, so one is kept and used again while
//!   its reference count shows that nobody else kept it. (Not on a free-threaded build, where threads would share it.)

use pyo3::PyClass;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;

use crate::current;

/// What one look at an awaitable finds.
pub enum Poll {
    /// The value of the await.
    Ready(Py<PyAny>),
    /// The await is over, and its value is None.
    Done,
    /// What to yield to the task; look again after it resumes.
    Pending(Py<PyAny>),
}

/// Something that is iterated over when it is awaited.
pub trait Awaitable: PyClass<Frozen = True> + Sync {
    /// Whether `__await__` returns the object itself; what the class defines is called otherwise.
    const IS_ITS_OWN_ITERATOR: bool = true;

    /// The same for what is ordinary, such as that the value is there; [`Awaitable::poll`] is asked otherwise. It must
    /// not panic, so that it can be called without a net.
    #[inline]
    fn glance(_slf: &Bound<'_, Self>) -> Option<Poll> {
        None
    }

    /// Whether it is ready. Called when the await begins, and each time the task is resumed.
    fn poll(slf: &Bound<'_, Self>) -> PyResult<Poll>;
}

/// Sets the slots of the type.
pub fn install<T: Awaitable>(py: Python<'_>) {
    install_resumed::<T>(py);
    let class = T::type_object_raw(py);
    // SAFETY: as in `install_resumed`.
    unsafe {
        (*class).tp_iter = Some(ffi::PyObject_SelfIter);
        let slots = (*class).tp_as_async;
        if T::IS_ITS_OWN_ITERATOR {
            (*slots).am_await = Some(ffi::PyObject_SelfIter);
        }
        if (*slots).am_anext.is_some() {
            (*slots).am_aiter = Some(ffi::PyObject_SelfIter);
            (*slots).am_anext = Some(ffi::PyObject_SelfIter);
        }
        ffi::PyType_Modified(class);
    }
}

/// Sets those alone by which the interpreter resumes it.
pub fn install_resumed<T: Awaitable>(py: Python<'_>) {
    let class = T::type_object_raw(py);
    // SAFETY: a heap type that PyO3 has just made, of which no instance exists; the slots have the signatures that the
    // interpreter expects, and PyO3 gave the type an `am_await`, so that its async table exists.
    unsafe {
        (*class).tp_iternext = Some(iternext::<T>);
        debug_assert!(!(*class).tp_as_async.is_null());
        (*(*class).tp_as_async).am_send = Some(send::<T>);
        ffi::PyType_Modified(class);
    }
}

/// Runs what may drop references of PyO3's, with PyO3 knowing that the thread is attached: otherwise it would put them
/// into a pool, to be dropped by whoever comes next, on whatever thread. Inside of the pump this costs nothing much.
///
/// Only for code that the interpreter has called, whose thread *is* attached.
#[inline]
pub fn attached<R>(body: impl for<'py> FnOnce(Python<'py>) -> R) -> R {
    if current::any() {
        // SAFETY: by the contract. And PyO3 knows it: the pump is a method of PyO3's.
        return body(unsafe { Python::assume_attached() });
    }
    let mut body = Some(body);
    let mut run = |py: Python<'_>| body.take().map(|body| body(py));
    // PyO3 refuses while the interpreter shuts down, and then the pool is as good as anything.
    // SAFETY: the contract above.
    let result = Python::try_attach(&mut run).unwrap_or_else(|| run(unsafe { Python::assume_attached() }));
    result.expect("the body is run once")
}

/// Glances. What it finds is moved, never dropped: PyO3 may not know that the thread is attached.
///
/// # Safety
/// `object` is an instance of `T`.
#[inline]
unsafe fn glance<T: Awaitable>(py: Python<'_>, object: *mut ffi::PyObject) -> Option<Poll> {
    // SAFETY: by the contract.
    let slf = unsafe { Borrowed::from_ptr(py, object).cast_unchecked::<T>() };
    T::glance(&slf)
}

/// Polls, with panics turned into Python errors.
#[inline(never)]
fn poll<T: Awaitable>(py: Python<'_>, object: *mut ffi::PyObject) -> PyResult<Poll> {
    // SAFETY: the slot is called with an instance of its type.
    let slf = unsafe { Borrowed::from_ptr(py, object).cast_unchecked::<T>() };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| T::poll(&slf)))
        .unwrap_or_else(|_| Err(pyo3::exceptions::PySystemError::new_err(crate::errors::PANIC)))
}

unsafe extern "C" fn iternext<T: Awaitable>(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the interpreter calls slots on attached threads only.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: the slot is called with an instance of its type.
    match unsafe { glance::<T>(py, object) } {
        Some(found) => next_of(py, found),
        None => attached(|py| match poll::<T>(py, object) {
            Ok(found) => next_of(py, found),
            Err(error) => {
                error.restore(py);
                std::ptr::null_mut()
            }
        }),
    }
}

/// What was found, in the way of `tp_iternext`.
#[inline]
fn next_of(py: Python<'_>, found: Poll) -> *mut ffi::PyObject {
    match found {
        Poll::Pending(yielded) => return yielded.into_ptr(),
        Poll::Ready(value) if !value.is_none(py) => raise_stop_iteration(value.into_bound(py)),
        // No exception at all stands for None.
        Poll::Ready(none) => drop(none.into_bound(py)),
        Poll::Done => {}
    }
    std::ptr::null_mut()
}

unsafe extern "C" fn send<T: Awaitable>(
    object: *mut ffi::PyObject,
    _value: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult {
    // SAFETY: as in `iternext`.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: the slot is called with an instance of its type.
    let (value, outcome) = match unsafe { glance::<T>(py, object) } {
        Some(found) => sent_of(py, found),
        None => attached(|py| match poll::<T>(py, object) {
            Ok(found) => sent_of(py, found),
            Err(error) => {
                error.restore(py);
                (std::ptr::null_mut(), ffi::PySendResult::PYGEN_ERROR)
            }
        }),
    };
    // SAFETY: the caller gives a place for the result.
    unsafe { *result = value };
    outcome
}

/// What was found, in the way of `am_send`.
#[inline]
fn sent_of(py: Python<'_>, found: Poll) -> (*mut ffi::PyObject, ffi::PySendResult) {
    match found {
        Poll::Pending(yielded) => (yielded.into_ptr(), ffi::PySendResult::PYGEN_NEXT),
        Poll::Ready(value) => (value.into_ptr(), ffi::PySendResult::PYGEN_RETURN),
        Poll::Done => (py.None().into_ptr(), ffi::PySendResult::PYGEN_RETURN),
    }
}

/// Raises a fresh `StopIteration(value)`.
#[cold]
fn raise_fresh(value: &Bound<'_, PyAny>) {
    // SAFETY: live objects on an attached thread; what `SetObject` takes it counts itself.
    unsafe {
        let fresh = ffi::PyObject_CallOneArg(ffi::PyExc_StopIteration, value.as_ptr());
        if !fresh.is_null() {
            ffi::PyErr_SetObject(ffi::PyExc_StopIteration, fresh);
            ffi::Py_DECREF(fresh);
        }
    }
}

#[cfg(any(not(Py_3_12), Py_GIL_DISABLED))]
mod stop {
    use pyo3::prelude::*;

    /// Sets `StopIteration(value)` as the raised exception.
    pub fn raise_stop_iteration(value: Bound<'_, PyAny>) {
        super::raise_fresh(&value);
    }

    /// Nothing is kept here.
    #[inline]
    pub fn forget_last_value() {}
}

#[cfg(all(Py_3_12, not(Py_GIL_DISABLED)))]
mod stop {
    use std::ptr;
    use std::sync::atomic::{AtomicPtr, Ordering};

    use pyo3::ffi;
    use pyo3::prelude::*;

    use crate::current;

    /// The one that is used again; without arguments, so that nothing but its `value` can keep a message alive.
    static KEPT: AtomicPtr<ffi::PyObject> = AtomicPtr::new(ptr::null_mut());

    /// The kept exception, if nobody else has a reference to it, and nobody has left a trace in it.
    ///
    /// # Safety
    /// On a thread that has the GIL, and keeps it while it uses what is returned.
    #[inline]
    unsafe fn unshared() -> Option<*mut ffi::PyStopIterationObject> {
        let kept = KEPT.load(Ordering::Relaxed);
        // SAFETY: `kept` is null or a StopIteration that `KEPT` holds a reference to; threads take turns under the GIL.
        unsafe {
            if kept.is_null() || ffi::Py_REFCNT(kept) != 1 {
                return None;
            }
            let exception = kept.cast::<ffi::PyStopIterationObject>();
            let clean = (*exception).traceback.is_null() && (*exception).context.is_null();
            clean.then_some(exception)
        }
    }

    /// Sets `StopIteration(value)` as the raised exception.
    ///
    /// Outside of the pump it is always a fresh one: nobody would come by to forget the value of a kept one.
    #[inline]
    pub fn raise_stop_iteration(value: Bound<'_, PyAny>) {
        if !current::any() {
            return super::raise_fresh(&value);
        }
        // SAFETY: the bound value shows that this thread has the GIL; nothing below lets go of it but the last lines.
        unsafe {
            if let Some(exception) = unshared() {
                let old = std::mem::replace(&mut (*exception).value, value.into_ptr());
                // Raised first: a destructor of `old` that comes here again must find the exception in use.
                ffi::PyErr_SetRaisedException(ffi::Py_NewRef(exception.cast()));
                ffi::Py_XDECREF(old);
                return;
            }
        }
        keep_another(value);
    }

    #[cold]
    fn keep_another(value: Bound<'_, PyAny>) {
        // SAFETY: as above. What comes out of `KEPT` is dropped by whoever took it out, at the end.
        unsafe {
            let fresh = ffi::PyObject_CallNoArgs(ffi::PyExc_StopIteration);
            if fresh.is_null() {
                return;
            }
            let nothing = std::mem::replace(&mut (*fresh.cast::<ffi::PyStopIterationObject>()).value, value.into_ptr());
            let kept = KEPT.swap(fresh, Ordering::Relaxed);
            ffi::PyErr_SetRaisedException(ffi::Py_NewRef(fresh));
            ffi::Py_XDECREF(nothing);
            ffi::Py_XDECREF(kept);
        }
    }

    /// Lets go of the last value that was received, when a run is over: nobody may find it alive by our doing.
    #[inline]
    pub fn forget_last_value() {
        // SAFETY: only the pump calls this, which has the GIL.
        unsafe {
            if let Some(exception) = unshared() {
                if (*exception).value != ffi::Py_None() {
                    let old = std::mem::replace(&mut (*exception).value, ffi::Py_NewRef(ffi::Py_None()));
                    ffi::Py_XDECREF(old);
                }
            } else if !KEPT.load(Ordering::Relaxed).is_null() {
                // Somebody has it, or has left a trace in it: the next value gets another.
                let kept = KEPT.swap(ptr::null_mut(), Ordering::Relaxed);
                ffi::Py_XDECREF(kept);
            }
        }
    }
}

pub use stop::{forget_last_value, raise_stop_iteration};

/// The methods that Python code may call on an awaitable by name: `send`, `throw`, `close`.
pub fn thrown<'py>(
    py: Python<'py>,
    kind: Bound<'py, PyAny>,
    value: Option<Bound<'py, PyAny>>,
    traceback: Option<Bound<'py, PyAny>>,
) -> PyErr {
    let exception = match (kind.is_instance_of::<pyo3::types::PyType>(), value.filter(|value| !value.is_none())) {
        (true, Some(value)) if value.is_instance_of::<pyo3::exceptions::PyBaseException>() => Ok(value),
        (true, Some(value)) => kind.call1((value,)),
        (true, None) => kind.call0(),
        (false, _) => Ok(kind),
    };
    match exception {
        Ok(exception) => {
            let error = PyErr::from_value(exception);
            if let Some(traceback) = traceback.and_then(|given| given.cast_into().ok()) {
                error.set_traceback(py, Some(traceback));
            }
            error
        }
        Err(error) => error,
    }
}
