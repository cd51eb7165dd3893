//! What is asked of asyncio: who is the current task, futures for foreign tasks, and waking a loop from a thread.
//!
//! asyncio keeps the current task in a dict `_current_tasks` up to 3.13, and in the thread state after that, where only
//! `_swap_current_task` reaches it. Both are names that `asyncio.tasks` exports, and from 3.14 the dict is there and
//! means nothing; which one counts is tried out at import, never told from a version number.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyModule};
use pyo3::{ffi, intern};

struct Asyncio {
    running_loop: Py<PyAny>,
    current_tasks: Option<Py<PyDict>>,
    swap_current_task: Option<Py<PyAny>>,
    #[cfg(Py_3_12)]
    current_task: Py<PyAny>,
    iscoroutine: Py<PyAny>,
    /// The built-in function, which makes no exception of an attribute that is missing. `getattr_opt` does, up to 3.12.
    getattr: Py<PyAny>,
}

static ASYNCIO: PyOnceLock<Asyncio> = PyOnceLock::new();

/// What an awaitable of ours yields to the agent's step when it has to wait, and when the run's budget is used up.
struct Sentinels {
    park: Py<PyAny>,
    requeue: Py<PyAny>,
}

static SENTINELS: PyOnceLock<Sentinels> = PyOnceLock::new();

/// Looks up, once, what later calls must not fail to find.
pub fn initialise(py: Python<'_>) -> PyResult<()> {
    let builtins = PyModule::import(py, "builtins")?;
    let object = builtins.getattr("object")?;
    let sentinels = Sentinels { park: object.call0()?.unbind(), requeue: object.call0()?.unbind() };
    let tasks = PyModule::import(py, "asyncio.tasks")?;
    let found = |name: &str| tasks.getattr_opt(name);
    let current_task = tasks.getattr("current_task")?;
    let current_tasks = match found("_current_tasks")?.map(Bound::cast_into_exact::<PyDict>) {
        Some(Ok(dict)) => {
            // A stand-in for a loop, whose current task is itself.
            let probe = object.call0()?;
            dict.set_item(&probe, &probe)?;
            let counts = current_task.call1((&probe,)).is_ok_and(|task| task.is(&probe));
            dict.del_item(&probe)?;
            counts.then(|| dict.unbind())
        }
        _ => None,
    };
    let swap_current_task = found("_swap_current_task")?.map(Bound::unbind);
    if current_tasks.is_none() && swap_current_task.is_none() {
        return Err(PyRuntimeError::new_err(
            "expected asyncio.tasks to have _current_tasks (a dict) or _swap_current_task, found neither: this \
             Python keeps its current task in a way that Remuda doesn't know",
        ));
    }
    let asyncio = Asyncio {
        running_loop: PyModule::import(py, "asyncio.events")?.getattr("_get_running_loop")?.unbind(),
        current_tasks,
        swap_current_task,
        #[cfg(Py_3_12)]
        current_task: current_task.unbind(),
        getattr: builtins.getattr("getattr")?.unbind(),
        iscoroutine: PyModule::import(py, "asyncio.coroutines")?.getattr("iscoroutine")?.unbind(),
    };
    // A second initialisation (of a reloaded module) keeps what the first has found.
    let _ = SENTINELS.set(py, sentinels);
    let _ = ASYNCIO.set(py, asyncio);
    Ok(())
}

fn asyncio(py: Python<'_>) -> &Asyncio {
    ASYNCIO.get(py).expect("the module is initialised before anything in it is called")
}

/// What is yielded to wait for a wake-up.
pub fn park(py: Python<'_>) -> &Py<PyAny> {
    &SENTINELS.get(py).expect("the module is initialised before anything in it is called").park
}

/// What is yielded to go to the back of the queue.
pub fn requeue(py: Python<'_>) -> &Py<PyAny> {
    &SENTINELS.get(py).expect("the module is initialised before anything in it is called").requeue
}

/// The event loop that runs on this thread.
pub fn running_loop(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let running = asyncio(py).running_loop.bind(py).call0()?;
    Ok((!running.is_none()).then_some(running))
}

/// A number from the running loop's source of chance, if it has one, as that of `remuda.testing` does: its run is to be
/// repeatable.
pub fn seed_of_loop(py: Python<'_>) -> PyResult<Option<u64>> {
    let Some(event_loop) = running_loop(py)? else { return Ok(None) };
    let chance = asyncio(py).getattr.bind(py).call1((event_loop, intern!(py, "random"), py.None()))?;
    if chance.is_none() {
        return Ok(None);
    }
    chance.call_method1(intern!(py, "getrandbits"), (u64::BITS,))?.extract().map(Some)
}

/// Makes `task` the current task of `event_loop`, the one that runs on this thread.
#[inline]
pub fn enter_task(py: Python<'_>, event_loop: &Bound<'_, PyAny>, task: &Bound<'_, PyAny>) -> PyResult<()> {
    let asyncio = asyncio(py);
    if let Some(tasks) = &asyncio.current_tasks {
        return tasks.bind(py).set_item(event_loop, task);
    }
    swap(py, asyncio, event_loop, task.as_any())
}

/// Leaves `event_loop` without a current task, as the pump found it.
pub fn leave_task(py: Python<'_>, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
    let asyncio = asyncio(py);
    if let Some(tasks) = &asyncio.current_tasks {
        let tasks = tasks.bind(py);
        return if tasks.contains(event_loop)? { tasks.del_item(event_loop) } else { Ok(()) };
    }
    swap(py, asyncio, event_loop, py.None().bind(py))
}

fn swap(py: Python<'_>, asyncio: &Asyncio, event_loop: &Bound<'_, PyAny>, task: &Bound<'_, PyAny>) -> PyResult<()> {
    let swap = asyncio.swap_current_task.as_ref().expect("initialise found one of the two");
    swap.bind(py).call1((event_loop, task)).map(drop)
}

/// The current task of `event_loop`; `None` between tasks.
#[cfg(Py_3_12)]
pub fn current_task<'py>(py: Python<'py>, event_loop: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let asyncio = asyncio(py);
    if let Some(tasks) = &asyncio.current_tasks {
        return tasks.bind(py).get_item(event_loop);
    }
    let task = asyncio.current_task.bind(py).call1((event_loop,))?;
    Ok((!task.is_none()).then_some(task))
}

/// Whether an object is a coroutine, native or of a generator.
pub fn is_coroutine(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: a type check of a live object.
    if unsafe { ffi::PyCoro_CheckExact(object.as_ptr()) } != 0 {
        return true;
    }
    let py = object.py();
    asyncio(py).iscoroutine.bind(py).call1((object,)).and_then(|yes| yes.is_truthy()).unwrap_or(false)
}

/// A fresh future of the loop that runs on this thread, ready to be yielded to a foreign task.
pub fn blocking_future(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let Some(event_loop) = running_loop(py)? else {
        return Err(PyRuntimeError::new_err("expected a running event loop to wait in, found none on this thread"));
    };
    let future = event_loop.call_method0(intern!(py, "create_future"))?;
    future.setattr(intern!(py, "_asyncio_future_blocking"), true)?;
    Ok(future)
}

/// Completes a waiting future, from whatever thread. False: its loop is closed, and whoever waits will never run.
pub fn complete(py: Python<'_>, future: &Bound<'_, PyAny>) -> PyResult<bool> {
    let event_loop = future.call_method0(intern!(py, "get_loop"))?;
    if running_loop(py)?.is_some_and(|running| running.is(&event_loop)) {
        return set_unless_done(future).map(|()| true);
    }
    let is_closed = || event_loop.call_method0(intern!(py, "is_closed"))?.is_truthy();
    if is_closed()? {
        return Ok(false);
    }
    let setter = pyo3::wrap_pyfunction!(set_unless_done, py)?;
    match event_loop.call_method1(intern!(py, "call_soon_threadsafe"), (setter, future)) {
        Ok(_) => Ok(true),
        Err(_) if is_closed()? => Ok(false), // since the look before
        Err(error) => Err(error),
    }
}

#[pyfunction]
fn set_unless_done(future: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = future.py();
    if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
        future.call_method1(intern!(py, "set_result"), (py.None(),))?;
    }
    Ok(())
}
