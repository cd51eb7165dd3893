//! What `spawn` takes: a behaviour and its arguments, and how its mailbox is bounded.

use std::cell::{Cell, RefCell};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple, PyType};
use pyo3::{ffi, intern};
use remuda_kernel::mailbox::Overflow;

use crate::agent::AgentRef;
use crate::body::Body;
use crate::mailbox::Mailbox;
use crate::runtime::Runtime;
use crate::{alloc, current, errors, interop, numbers};

/// Starts an agent on the current runtime: `Runtime.spawn` without naming the runtime.
#[pyfunction]
#[pyo3(signature = (behaviour, /, *args, mailbox = 1000, high = None, low = None, overflow = None, name = None,
                    priority = None, pinned = false))]
#[expect(clippy::too_many_arguments, reason = "they are the keywords of one Python call")]
pub fn spawn<'py>(
    behaviour: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    #[pyo3(from_py_with = numbers::mailbox)] mailbox: i64,
    #[pyo3(from_py_with = numbers::high)] high: Option<i64>,
    #[pyo3(from_py_with = numbers::low)] low: Option<i64>,
    overflow: Option<&str>,
    name: Option<Py<PyString>>,
    priority: Option<&str>,
    pinned: bool,
) -> PyResult<Bound<'py, AgentRef>> {
    let runtime = current::current_runtime(behaviour.py())?;
    Runtime::spawn(&runtime, behaviour, args, mailbox, high, low, overflow, name, priority, pinned)
}

pub fn overflow_named(name: &str) -> PyResult<Overflow> {
    match name {
        "wait" => Ok(Overflow::Wait),
        "fail" => Ok(Overflow::Fail),
        "drop_newest" => Ok(Overflow::DropNewest),
        "drop_oldest" => Ok(Overflow::DropOldest),
        other => Err(PyValueError::new_err(format!(
            "expected overflow to be 'wait', 'fail', 'drop_newest' or 'drop_oldest', got '{other}'"
        ))),
    }
}

/// Makes what the agent runs: a coroutine, or an object with `receive`.
#[inline]
pub fn make_body(behaviour: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>) -> PyResult<Body> {
    let py = behaviour.py();
    // SAFETY: a type check of a live object.
    let is_function = unsafe { ffi::PyFunction_Check(behaviour.as_ptr()) } != 0;
    if !is_function {
        if let Ok(class) = behaviour.cast::<PyType>() {
            return instance_of(class, args);
        }
        if behaviour.getattr_opt(intern!(py, "receive"))?.is_some_and(|receive| receive.is_callable()) {
            if !args.is_empty() {
                let text = format!(
                    "expected no arguments with {behaviour:?}, which is an agent already, got {}",
                    args.repr()?
                );
                return Err(errors::make(errors::behaviour_error(py), (text,)));
            }
            return Ok(Body::Instance { object: behaviour.clone().unbind(), handling: None });
        }
        if !behaviour.is_callable() {
            let text = format!(
                "expected an async function `async def f(mailbox, *args)` or a class with `receive`, got {} of type {}",
                behaviour.repr()?,
                behaviour.get_type().name()?
            );
            return Err(errors::make(errors::behaviour_error(py), (text,)));
        }
    }
    let mailbox = alloc::new(py, Mailbox::new())?;
    let called = if args.is_empty() {
        behaviour.call1((&mailbox,))
    } else {
        let all: Vec<_> = std::iter::once(mailbox.as_any().clone()).chain(args.iter()).collect();
        behaviour.call1(PyTuple::new(py, all)?)
    };
    let coroutine = called.map_err(|error| wrong_signature(behaviour, args, error))?;
    if !interop::is_coroutine(&coroutine) {
        let text = format!(
            "expected an async function `async def f(mailbox, *args)`, but {} returned {} of type {}",
            behaviour.repr()?,
            coroutine.repr()?,
            coroutine.get_type().name()?
        );
        return Err(errors::make(errors::behaviour_error(py), (text,)));
    }
    Ok(Body::Coroutine { coroutine: coroutine.unbind(), mailbox: mailbox.unbind() })
}

fn instance_of(class: &Bound<'_, PyType>, args: &Bound<'_, PyTuple>) -> PyResult<Body> {
    let py = class.py();
    if !class.getattr_opt(intern!(py, "receive"))?.is_some_and(|receive| receive.is_callable()) {
        let text = format!("expected a class with a method `receive(self, message)`, {} has none", class.repr()?);
        return Err(errors::make(errors::behaviour_error(py), (text,)));
    }
    let made = {
        let _constructing = Constructing::begin();
        class.call1(args)
    };
    let object = made.map_err(|error| {
        tell_unborn(py, unborn());
        wrong_signature(class.as_any(), args, error)
    })?;
    Ok(Body::Instance { object: object.unbind(), handling: None })
}

thread_local! {
    static CONSTRUCTING: Cell<u32> = const { Cell::new(0) };
    /// Whether `UNBORN` has something, which it seldom has.
    static SOMEBODY_WAITS: Cell<bool> = const { Cell::new(false) };
    /// What waits for the agents that are being constructed, and how deep in each other these are.
    static UNBORN: RefCell<Vec<(u32, Py<PyAny>)>> = const { RefCell::new(Vec::new()) };
}

/// An agent is being constructed on this thread, while this lives.
struct Constructing;

impl Constructing {
    fn begin() -> Self {
        CONSTRUCTING.set(CONSTRUCTING.get() + 1);
        Self
    }
}

impl Drop for Constructing {
    fn drop(&mut self) {
        CONSTRUCTING.set(CONSTRUCTING.get() - 1);
    }
}

/// While an agent's class is being called by `spawn`, there is no agent yet that what it makes could belong to:
/// `_born(agent)` of it is called as soon as there is, or `_born(None)` if there will be none. False: no class is being
/// called.
#[pyfunction]
#[pyo3(signature = (waiting, /))]
pub fn _await_birth(waiting: Py<PyAny>) -> bool {
    let depth = CONSTRUCTING.get();
    if depth > 0 {
        UNBORN.with_borrow_mut(|unborn| unborn.push((depth, waiting)));
        SOMEBODY_WAITS.set(true);
    }
    depth > 0
}

/// What waits for the agent that was constructed last.
fn unborn() -> Vec<(u32, Py<PyAny>)> {
    if !SOMEBODY_WAITS.get() {
        return Vec::new();
    }
    let around = CONSTRUCTING.get();
    UNBORN.with_borrow_mut(|unborn| {
        let from = unborn.partition_point(|&(depth, _)| depth <= around);
        SOMEBODY_WAITS.set(from > 0);
        unborn.split_off(from)
    })
}

/// Tells those who wait for an agent that it is there. It hasn't run yet.
#[inline]
pub fn tell_born(agent: &Bound<'_, AgentRef>) -> PyResult<()> {
    let py = agent.py();
    let mut all = unborn().into_iter();
    while let Some((depth, waiting)) = all.next() {
        if let Err(error) = waiting.call_method1(py, intern!(py, "_born"), (agent,)) {
            tell_unborn(py, std::iter::once((depth, waiting)).chain(all));
            return Err(error);
        }
    }
    Ok(())
}

/// Tells those who wait for an agent that there will be none.
fn tell_unborn(py: Python<'_>, all: impl IntoIterator<Item = (u32, Py<PyAny>)>) {
    for (_, waiting) in all {
        // None of them is more important than the error for which there is no agent.
        drop(waiting.call_method1(py, intern!(py, "_born"), (py.None(),)));
    }
}

/// A `TypeError` of the call itself, in which no line of the behaviour was run, is about the arguments of `spawn`.
#[cold]
fn wrong_signature(behaviour: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>, error: PyErr) -> PyErr {
    let py = behaviour.py();
    if !error.is_instance_of::<PyTypeError>(py) || error.traceback(py).is_some() {
        return error;
    }
    let what = if behaviour.is_instance_of::<PyType>() { "" } else { "the mailbox and " };
    let text = format!(
        "expected a behaviour that takes {what}the {} arguments given to spawn, but {}",
        args.len(),
        error.value(py)
    );
    let wrapped = errors::make(errors::behaviour_error(py), (text,));
    wrapped.set_cause(py, Some(error));
    wrapped
}
