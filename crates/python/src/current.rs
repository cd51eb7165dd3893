//! Which agent runs on this thread, in which runtime, and what is left of its budget.
//!
//! What is asked for every message, "does this agent run here?", is answered without thread-local storage where it can
//! be, which a shared library reaches through a function call: each machine has its own `Run`, which only its own thread
//! touches, and a thread is known by its thread pointer. Only who is not on the runtime's home thread, or doesn't know
//! the agent, has to ask the thread.

use std::cell::{Cell, UnsafeCell};
use std::ptr;
use std::time::Instant;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::{ffi, intern};
use remuda_kernel::budget::Budget;

use crate::agent::AgentRef;
use crate::errors;
#[cfg(Py_3_12)]
use crate::interop;
use crate::machine::Machine;
use crate::runtime::Runtime;

/// The run that is under way on a machine.
#[derive(Debug)]
pub struct Run {
    /// Borrowed: the pump holds a reference for as long as it is set. Null: no agent runs.
    agent: Cell<*mut ffi::PyObject>,
    budget: UnsafeCell<Budget>,
}

// SAFETY: only the machine's thread touches it: the pump, and who looks at the thread first.
unsafe impl Sync for Run {}
// SAFETY: the pointer is not followed but on the machine's thread.
unsafe impl Send for Run {}

thread_local! {
    /// The machine whose pump is on this thread; null between slices.
    static HERE: Cell<*const Machine> = const { Cell::new(ptr::null()) };
}

/// A pump begins a slice on this thread; returns what was there, for [`leave`].
pub fn enter(machine: &Machine) -> *const Machine {
    HERE.replace(ptr::from_ref(machine))
}

/// The pump's slice is over.
pub fn leave(outer: *const Machine) {
    HERE.set(outer);
}

/// The machine whose pump is on this thread.
pub fn machine<'a>() -> Option<&'a Machine> {
    // SAFETY: the pump that has set it is on this thread, below the caller, and holds the runtime, which has the machine.
    unsafe { HERE.get().as_ref() }
}

impl Run {
    pub fn new() -> Self {
        Self { agent: Cell::new(ptr::null_mut()), budget: UnsafeCell::new(Budget::starting(Instant::now())) }
    }

    /// Makes an agent the running one; without a budget of its own, it shares that of the run before. For the pump
    /// alone, on the machine's thread.
    #[inline]
    pub fn begin(&self, agent: &Bound<'_, AgentRef>, budget: Option<Budget>) {
        self.agent.set(agent.as_ptr());
        if let Some(budget) = budget {
            // SAFETY: only the machine's thread is here, and no reference into the budget outlives a method.
            unsafe { *self.budget.get() = budget };
        }
    }

    /// Whether it is this agent's.
    #[inline]
    fn is_of(&self, agent: *mut ffi::PyObject) -> bool {
        self.agent.get() == agent
    }

    /// No agent runs any more.
    #[inline]
    pub fn end(&self) {
        self.agent.set(ptr::null_mut());
    }

    /// Pays for one message without a look at the clock. False: one is due, and [`Run::pay`] decides.
    #[inline]
    pub fn pay_unseen(&self) -> bool {
        // SAFETY: as in `begin`.
        unsafe { (*self.budget.get()).pay_unseen() }
    }

    /// Pays for one message, with a look at the clock if one is due.
    #[inline]
    pub fn pay(&self) -> bool {
        // SAFETY: as in `begin`.
        unsafe { (*self.budget.get()).pay() }
    }
}

/// The run of an agent, if it runs, on this thread.
#[inline]
pub fn run_of<'a>(agent: &'a Bound<'_, AgentRef>) -> Option<&'a Run> {
    let home = &agent.get().runtime.get().home;
    if home.is_this_thread() {
        return home.run.is_of(agent.as_ptr()).then_some(&home.run);
    }
    machine().map(|machine| &machine.run).filter(|run| run.is_of(agent.as_ptr()))
}

/// The agent that runs on this thread; null if none does.
fn here() -> *mut ffi::PyObject {
    machine().map_or(ptr::null_mut(), |machine| machine.run.agent.get())
}

/// Whether this agent runs on this thread; nobody follows the pointer.
#[inline]
pub fn runs(agent: *mut ffi::PyObject) -> bool {
    here() == agent
}

/// Whether an agent runs on this thread.
#[inline]
pub fn any() -> bool {
    !here().is_null()
}

/// A number that tells this thread from every other living one: its thread pointer, as in CPython's `_Py_ThreadId`.
#[inline]
pub fn thread_token() -> usize {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    {
        let token;
        // SAFETY: the first word of a thread's control block is its own address, by the ABI.
        unsafe {
            std::arch::asm!("mov {}, fs:0", out(reg) token, options(pure, readonly, nostack, preserves_flags));
        }
        token
    }
    #[cfg(all(target_arch = "aarch64", target_os = "linux"))]
    {
        let token;
        // SAFETY: reads the thread pointer.
        unsafe {
            std::arch::asm!("mrs {}, tpidr_el0", out(reg) token, options(pure, nomem, nostack, preserves_flags));
        }
        token
    }
    #[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux")))]
    HERE.with(|here| ptr::from_ref(here) as usize)
}

/// Pays for one message that is none of the mailbox. False: the agent that runs here has used up its budget.
#[inline]
pub fn pay() -> bool {
    machine().is_none_or(|machine| machine.run.agent.get().is_null() || machine.run.pay())
}

/// The same without a look at the clock. False: one is due, and [`pay`] decides.
#[inline]
pub fn pay_unseen() -> bool {
    machine().is_none_or(|machine| machine.run.agent.get().is_null() || machine.run.pay_unseen())
}

/// The agent that runs here *and* is the current asyncio task: only it may wait natively. It is not, for instance, when
/// it starts a task eagerly: that one waits through a future like every foreign task.
pub fn agent_task(py: Python<'_>) -> PyResult<Option<Bound<'_, AgentRef>>> {
    let Some(agent) = sender(py) else { return Ok(None) };
    // Before 3.12 there are no eager tasks, and nothing else runs in the midst of an agent's step.
    #[cfg(Py_3_12)]
    {
        let Some(place) = machine().and_then(|machine| machine.place(py)) else { return Ok(None) };
        let current = interop::current_task(py, place.event_loop.bind(py))?;
        Ok(current.is_some_and(|task| task.is(&agent)).then_some(agent))
    }
    #[cfg(not(Py_3_12))]
    Ok(Some(agent))
}

/// The agent that runs here, for messages that it sends.
pub fn sender<'py>(py: Python<'py>) -> Option<Bound<'py, AgentRef>> {
    let pointer = here();
    if pointer.is_null() {
        return None;
    }
    // SAFETY: a run borrows from the pump, which holds a reference while the pointer is set.
    Some(unsafe { Bound::from_borrowed_ptr(py, pointer).cast_into_unchecked() })
}

static RUNTIME: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The context variable that holds the runtime of the block that code runs in.
fn variable(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    let made = RUNTIME.get_or_try_init(py, || {
        // SAFETY: returns a new reference, or null with an error.
        unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContextVar_New(c"remuda_runtime".as_ptr(), ptr::null_mut())) }
            .map(Bound::unbind)
    });
    made.map(|made| made.bind(py))
}

/// Makes a runtime the current one of this context.
pub fn set_runtime(runtime: &Bound<'_, Runtime>) -> PyResult<()> {
    variable(runtime.py())?.call_method1(intern!(runtime.py(), "set"), (runtime,)).map(drop)
}

/// The runtime in whose block the calling code runs, whatever state it is in.
fn runtime_of_block(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let mut found = ptr::null_mut();
    // SAFETY: a context variable, no default, and a place for the result, which is a new reference or null.
    unsafe {
        if ffi::PyContextVar_Get(variable(py)?.as_ptr(), ptr::null_mut(), &mut found) < 0 {
            return Err(PyErr::fetch(py));
        }
        Ok(Bound::from_owned_ptr_or_opt(py, found))
    }
}

/// Whether what is shared here has to be shareable: unless the runtime here trusts its users.
pub fn is_strict(py: Python<'_>) -> PyResult<bool> {
    if let Some(agent) = sender(py) {
        return Ok(agent.get().runtime.get().is_strict());
    }
    let runtime = runtime_of_block(py)?;
    Ok(runtime.is_none_or(|runtime| runtime.cast::<Runtime>().is_ok_and(|runtime| runtime.get().is_strict())))
}

/// The runtime whose agent, or in whose block, the calling code runs.
#[pyfunction]
pub fn current_runtime(py: Python<'_>) -> PyResult<Bound<'_, Runtime>> {
    if let Some(agent) = sender(py) {
        return Ok(agent.get().runtime.bind(py).clone());
    }
    let found = runtime_of_block(py)?;
    let Some(runtime) = found else {
        let text = "expected a current runtime, found none: use `async with Runtime()` around this";
        return Err(errors::make(errors::no_runtime(py), (text,)));
    };
    let runtime = runtime.cast_into::<Runtime>()?;
    if runtime.get().has_stopped() {
        let text = "expected a current runtime that runs, found one that has stopped";
        return Err(errors::make(errors::runtime_stopped(py), (text,)));
    }
    Ok(runtime)
}

/// The agent that runs the calling code, or None.
#[pyfunction]
pub fn current_agent(py: Python<'_>) -> PyResult<Option<Bound<'_, AgentRef>>> {
    agent_task(py)
}
