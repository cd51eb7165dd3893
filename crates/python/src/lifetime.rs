//! What happens when the last reference to an agent goes; the top of `agent` tells why.

use pyo3::prelude::*;
use pyo3::{PyTypeInfo, ffi};

use crate::agent::AgentRef;
use crate::awaitable::attached;
use crate::{errors, finish};

impl AgentRef {
    /// The agent goes: its mailbox must not lead to it any more.
    ///
    /// # Safety
    /// Nobody has a reference to the agent.
    unsafe fn forget_mailbox(&self) {
        // SAFETY: by the contract nobody runs it.
        if let Some(mailbox) = unsafe { (*self.body.get()).mailbox() } {
            mailbox.forget_owner();
        }
    }
}

static DEALLOC: std::sync::OnceLock<ffi::destructor> = std::sync::OnceLock::new();

/// Gives the type the finaliser that the top of this file speaks of; PyO3 has no hook for one.
pub fn install_finaliser(py: Python<'_>) {
    let class = AgentRef::type_object_raw(py);
    // SAFETY: a heap type that PyO3 has just made, of which no instance exists. PyO3's destructor is called by ours.
    unsafe {
        let original = (*class).tp_dealloc.expect("PyO3 gives every class a destructor");
        DEALLOC.get_or_init(|| original);
        (*class).tp_dealloc = Some(dealloc);
        (*class).tp_finalize = Some(finalise);
        ffi::PyType_Modified(class);
    }
}

thread_local! {
    /// The agent whose destructor asks for its finaliser; the collector's own calls of finalisers are not for us.
    static DYING: std::cell::Cell<*mut ffi::PyObject> = const { std::cell::Cell::new(std::ptr::null_mut()) };
}

unsafe extern "C" fn dealloc(object: *mut ffi::PyObject) {
    // SAFETY: the interpreter calls destructors on attached threads, with an object whose last reference has gone.
    unsafe {
        let outer = DYING.replace(object);
        let resurrected = ffi::PyObject_CallFinalizerFromDealloc(object) != 0;
        DYING.set(outer);
        if resurrected {
            return;
        }
        // What follows may run Python, which must not come upon an object without references.
        ffi::PyObject_GC_UnTrack(object.cast());
        attached(|py| {
            let _aside = errors::Aside::new(py);
            let agent = Borrowed::from_ptr(py, object).cast_unchecked::<AgentRef>();
            agent.get().forget_mailbox();
            finish::deregister(&agent);
        });
        (DEALLOC.get().expect("set when the slot was"))(object);
    }
}

unsafe extern "C" fn finalise(object: *mut ffi::PyObject) {
    if DYING.get() != object {
        return;
    }
    attached(|py| {
        let _aside = errors::Aside::new(py);
        // SAFETY: the interpreter calls finalisers with an object that it keeps alive meanwhile.
        let agent = unsafe { Borrowed::from_ptr(py, object).cast_unchecked::<AgentRef>() };
        finish::last_reference_gone(&agent);
    });
}
