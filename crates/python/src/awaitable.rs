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

/// What one look at an awaitable finds.
pub enum Poll {
    /// The value of the await.
    Ready(Py<PyAny>),
    /// The await is over, and its value is None.
    Done,
    /// What to yield to the task; look again after it resumes.
    Pending(Py<PyAny>),
}

/// Something that is its own iterator when it is awaited.
pub trait Awaitable: PyClass<Frozen = True> + Sync {
    /// The value of the await, if it is there and nothing out of the ordinary is to be done; [`Awaitable::poll`] is asked
    /// otherwise. It must not panic, so that it can be called without a net.
    #[inline]
    fn glance(_slf: &Bound<'_, Self>) -> Option<Py<PyAny>> {
        None
    }

    /// Whether it is ready. Called when the await begins, and each time the task is resumed.
    fn poll(slf: &Bound<'_, Self>) -> PyResult<Poll>;
}

/// Sets the slots of the type.
pub fn install<T: Awaitable>(py: Python<'_>) {
    let class = T::type_object_raw(py);
    // SAFETY: a heap type that PyO3 has just made, of which no instance exists; the slots have the signatures that the
    // interpreter expects, and PyO3 gave the type an `am_await`, so that its async table exists.
    unsafe {
        (*class).tp_iter = Some(ffi::PyObject_SelfIter);
        (*class).tp_iternext = Some(iternext::<T>);
        debug_assert!(!(*class).tp_as_async.is_null());
        let slots = (*class).tp_as_async;
        (*slots).am_send = Some(send::<T>);
        (*slots).am_await = Some(ffi::PyObject_SelfIter);
        if (*slots).am_anext.is_some() {
            (*slots).am_aiter = Some(ffi::PyObject_SelfIter);
            (*slots).am_anext = Some(ffi::PyObject_SelfIter);
        }
        ffi::PyType_Modified(class);
    }
}

/// Glances.
///
/// # Safety
/// `object` is an instance of `T`.
#[inline]
unsafe fn glance<T: Awaitable>(py: Python<'_>, object: *mut ffi::PyObject) -> Option<Py<PyAny>> {
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
    if let Some(value) = unsafe { glance::<T>(py, object) } {
        if !value.is_none(py) {
            raise_stop_iteration(py, value);
        }
        return std::ptr::null_mut();
    }
    match poll::<T>(py, object) {
        Ok(Poll::Pending(yielded)) => yielded.into_ptr(),
        Ok(Poll::Done) => std::ptr::null_mut(),
        Ok(Poll::Ready(value)) => {
            raise_stop_iteration(py, value);
            std::ptr::null_mut()
        }
        Err(error) => {
            error.restore(py);
            std::ptr::null_mut()
        }
    }
}

unsafe extern "C" fn send<T: Awaitable>(
    object: *mut ffi::PyObject,
    _value: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult {
    // SAFETY: as in `iternext`.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: the slot is called with an instance of its type, and a place for the result.
    unsafe {
        if let Some(value) = glance::<T>(py, object) {
            *result = value.into_ptr();
            return ffi::PySendResult::PYGEN_RETURN;
        }
    }
    let (value, outcome) = match poll::<T>(py, object) {
        Ok(Poll::Pending(yielded)) => (yielded.into_ptr(), ffi::PySendResult::PYGEN_NEXT),
        Ok(Poll::Ready(value)) => (value.into_ptr(), ffi::PySendResult::PYGEN_RETURN),
        Ok(Poll::Done) => (py.None().into_ptr(), ffi::PySendResult::PYGEN_RETURN),
        Err(error) => {
            error.restore(py);
            (std::ptr::null_mut(), ffi::PySendResult::PYGEN_ERROR)
        }
    };
    // SAFETY: the caller gives a place for the result.
    unsafe { *result = value };
    outcome
}

/// Sets `StopIteration(value)` as the raised exception.
#[cfg(all(Py_3_12, not(Py_GIL_DISABLED)))]
fn raise_stop_iteration(py: Python<'_>, value: Py<PyAny>) {
    let kept = STOP.load(std::sync::atomic::Ordering::Relaxed);
    // SAFETY: `kept` is null or a StopIteration that `STOP` holds a reference to; threads take turns under the GIL.
    unsafe {
        if !kept.is_null() && ffi::Py_REFCNT(kept) == 1 {
            let exception = kept.cast::<ffi::PyStopIterationObject>();
            let old = std::mem::replace(&mut (*exception).value, value.into_ptr());
            // Raised first: a destructor of `old` that comes here again must find the exception in use.
            ffi::PyErr_SetRaisedException(ffi::Py_NewRef(kept));
            ffi::Py_XDECREF(old);
            return;
        }
    }
    let error = pyo3::exceptions::PyStopIteration::new_err((value,));
    let fresh = error.into_value(py).into_ptr();
    // SAFETY: `fresh` is a new reference, which `STOP` keeps; the one set as raised is another. What `STOP` held before
    // was kept by somebody else too, and only its reference goes.
    unsafe {
        STOP.store(fresh, std::sync::atomic::Ordering::Relaxed);
        ffi::PyErr_SetRaisedException(ffi::Py_NewRef(fresh));
        ffi::Py_XDECREF(kept);
    }
}

#[cfg(all(Py_3_12, not(Py_GIL_DISABLED)))]
static STOP: std::sync::atomic::AtomicPtr<ffi::PyObject> = std::sync::atomic::AtomicPtr::new(std::ptr::null_mut());

/// Sets `StopIteration(value)` as the raised exception.
#[cfg(any(not(Py_3_12), Py_GIL_DISABLED))]
fn raise_stop_iteration(py: Python<'_>, value: Py<PyAny>) {
    pyo3::exceptions::PyStopIteration::new_err((value,)).restore(py);
}

/// Lets go of the last value that was received, when a run is over: nobody may find it alive by our doing.
#[inline]
pub fn forget_last_value() {
    #[cfg(all(Py_3_12, not(Py_GIL_DISABLED)))]
    {
        let kept = STOP.load(std::sync::atomic::Ordering::Relaxed);
        // SAFETY: as in `raise_stop_iteration`; if somebody kept the exception, its value is left alone.
        unsafe {
            if !kept.is_null() && ffi::Py_REFCNT(kept) == 1 {
                let exception = kept.cast::<ffi::PyStopIterationObject>();
                let old = std::mem::replace(&mut (*exception).value, ffi::Py_NewRef(ffi::Py_None()));
                ffi::Py_XDECREF(old);
            }
        }
    }
}

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
