//! Raising the exceptions of `remuda.errors`, which are Python classes.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyModule, PyType};

/// The exceptions that the kernel raises, found by name at their first use.
macro_rules! exceptions {
    ($($function:ident => $name:literal),* $(,)?) => {$(
        #[doc = concat!("The class `remuda.errors.", $name, "`.")]
        pub fn $function(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
            static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
            CLASS.import(py, "remuda.errors", $name)
        }
    )*};
}

exceptions! {
    agent_failed => "AgentFailed",
    agent_killed => "AgentKilled",
    already_awaited => "AlreadyAwaited",
    already_replied => "AlreadyReplied",
    already_resolved => "AlreadyResolved",
    ask_timeout => "AskTimeout",
    broken_promise => "BrokenPromise",
    behaviour_error => "BehaviourError",
    capability_error => "CapabilityError",
    channel_closed => "ChannelClosed",
    channel_empty => "ChannelEmpty",
    channel_full => "ChannelFull",
    deadlock_detected => "DeadlockDetected",
    limits_error => "LimitsError",
    mailbox_closed => "MailboxClosed",
    mailbox_empty => "MailboxEmpty",
    mailbox_full => "MailboxFull",
    moved_error => "MovedError",
    no_reply => "NoReply",
    no_runtime => "NoRuntime",
    not_isolated => "NotIsolated",
    not_sendable => "NotSendable",
    not_the_owner => "NotTheOwner",
    select_timeout => "SelectTimeout",
    runtime_stopped => "RuntimeStopped",
}

/// An instance of an exception class, as the error to raise; if even that fails, the error of making it.
pub fn make<'py, A>(class: PyResult<&Bound<'py, PyType>>, arguments: A) -> PyErr
where
    A: pyo3::call::PyCallArgs<'py>,
{
    match class.and_then(|class| class.call1(arguments)) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// What is said of a panic that was caught.
pub const PANIC: &str = "a panic in Remuda's kernel: please report it";

/// Tells of an error that nobody can be given, as Python does for one in `__del__`.
pub fn unraisable(py: Python<'_>, error: PyErr, place: Option<&Bound<'_, PyAny>>) {
    error.write_unraisable(py, place);
}

/// `asyncio.CancelledError`.
pub fn cancelled_error(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "asyncio", "CancelledError")
}

/// `asyncio.InvalidStateError`.
pub fn invalid_state(py: Python<'_>, text: &'static str) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    make(CLASS.import(py, "asyncio", "InvalidStateError"), (text,))
}

/// Keeps the exception that is being raised out of the way of what a destructor has to do, and puts it back afterwards.
///
/// References are dropped while the interpreter unwinds. Whatever runs Python then must find no exception set, and must
/// leave the one that was.
pub struct Aside {
    #[cfg(Py_3_12)]
    raised: *mut ffi::PyObject,
    #[cfg(not(Py_3_12))]
    raised: [*mut ffi::PyObject; 3],
}

impl Aside {
    pub fn new(_py: Python<'_>) -> Self {
        // SAFETY: on an attached thread, which the token shows; what is taken is put back by `drop`.
        #[cfg(Py_3_12)]
        return Self { raised: unsafe { ffi::PyErr_GetRaisedException() } };
        #[cfg(not(Py_3_12))]
        {
            let mut raised = [std::ptr::null_mut(); 3];
            let [kind, value, traceback] = &mut raised;
            // SAFETY: as above.
            unsafe { ffi::PyErr_Fetch(kind, value, traceback) };
            Self { raised }
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // SAFETY: it lives within a function that has a token, on that thread; the references are those that were taken.
        #[cfg(Py_3_12)]
        unsafe {
            ffi::PyErr_SetRaisedException(self.raised);
        }
        #[cfg(not(Py_3_12))]
        // SAFETY: as above.
        unsafe {
            let [kind, value, traceback] = self.raised;
            ffi::PyErr_Restore(kind, value, traceback);
        }
    }
}

/// Gives a warning of the class `RuntimeWarning`; one that was made an error is told as unraisable.
pub fn warn(py: Python<'_>, text: &std::ffi::CStr) {
    let _aside = Aside::new(py);
    let class = py.get_type::<pyo3::exceptions::PyRuntimeWarning>();
    if let Err(error) = PyErr::warn(py, class.as_any(), text, 1) {
        unraisable(py, error, None);
    }
}

/// A module imported by name.
pub fn import<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyModule>> {
    PyModule::import(py, name)
}

/// Something of a module of ours, looked up once.
pub fn imported<'a, 'py>(
    py: Python<'py>,
    cell: &'a PyOnceLock<Py<PyAny>>,
    module: &str,
    name: &str,
) -> PyResult<&'a Bound<'py, PyAny>> {
    let found = cell.get_or_try_init(py, || import(py, module)?.getattr(name).map(Bound::unbind))?;
    Ok(found.bind(py))
}
