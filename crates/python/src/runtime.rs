//! The runtime's native half: spawning agents, and the pump that runs them inside an event loop.
//!
//! The pump is a callback of the loop. It runs agents for at most a slice, then asks the loop to be called again if
//! work is left, so that the loop's timers and sockets are never starved. `RunQueue::arm` decides who asks: see
//! `remuda_kernel::run_queue`. The file is long because PyO3 wants all methods of a class in one block.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::guarded::Guarded;
use pyo3::exceptions::PySystemError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::{ffi, intern};
use remuda_kernel::budget::{self, Budget};
use remuda_kernel::chance::Chance;
use remuda_kernel::mailbox::{Mailbox as Queue, Overflow};
use remuda_kernel::run_queue::RunQueue;
use remuda_kernel::task::TaskState;
use remuda_kernel::watermark::Limits;

use crate::agent::{AgentRef, BLOCKED, Extra, Outcome, Receiver, Shared};
use crate::awaitable::attached;
use crate::current::Run;
use crate::spawn::{make_body, overflow_named};
use crate::step::{self, After};
use crate::{alloc, current, errors, finish, interop};

/// How long the pump runs before it lets the event loop turn.
const SLICE: Duration = Duration::from_millis(1);
/// How many agents it runs before it does, if that comes earlier.
const SLICE_STEPS: u32 = 1024;

/// After less time than this since the clock was last read, it is read again only after `GLANCE_RUNS` more runs.
const GLANCE: Duration = Duration::from_micros(20);
const GLANCE_RUNS: u32 = 16;

const NEW: u8 = 0;
const RUNNING: u8 = 1;
const STOPPING: u8 = 2;
const STOPPED: u8 = 3;

/// The event loop that a runtime was started on.
struct Home {
    event_loop: Py<PyAny>,
    context: Py<PyAny>,
    thread: usize,
}

/// The living agents. Borrowed pointers: an agent leaves before its memory goes.
#[derive(Default)]
struct Register {
    agents: Vec<usize>,
    spawned: u64,
    failed: u64,
}

/// The native half of `remuda.Runtime`.
#[pyclass(frozen, subclass, weakref, module = "remuda._kernel")]
pub struct Runtime {
    queue: RunQueue<Py<AgentRef>>,
    pub run: Run,
    home: PyOnceLock<Home>,
    home_thread: AtomicUsize,
    phase: AtomicU8,
    pumping: AtomicBool,
    /// Makes the scheduler's choices in a run that is to be repeatable.
    chance: OnceLock<Guarded<Chance>>,
    /// How many nanoseconds a step may take before it is reported; 0: nobody wants to know.
    slow_step: AtomicU64,
    /// Looks at messages before they are delivered, in a test that injects faults.
    interceptor: Guarded<Option<Py<PyAny>>>,
    intercepts: AtomicBool,
    /// Somebody listens for watermarks.
    watermarks: AtomicBool,
    /// Somebody wants to be told when the pump finds nothing to do.
    quiet: AtomicBool,
    register: Guarded<Register>,
    /// What the mailboxes of agents that have ended had taken.
    messages: AtomicU64,
    // Written by the pump alone, read by anybody.
    runs: AtomicU64,
    slices: AtomicU64,
    dead_letters: AtomicU64,
}

/// The number of the next agent; they are unique in the process.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Runtime {
    fn home(&self, py: Python<'_>) -> PyResult<&Home> {
        self.home.get(py).ok_or_else(|| {
            let text = "expected a runtime that was started, got one that was not: use `async with Runtime()`";
            errors::make(errors::no_runtime(py), (text,))
        })
    }

    /// The loop that the runtime was started on.
    pub fn event_loop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.home(py)?.event_loop.bind(py).clone())
    }

    /// The context of callbacks that belong to no agent.
    pub fn context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(self.home(py)?.context.bind(py).clone())
    }

    pub fn has_stopped(&self) -> bool {
        self.phase.load(Ordering::Acquire) == STOPPED
    }

    pub fn is_running(&self) -> bool {
        matches!(self.phase.load(Ordering::Acquire), RUNNING | STOPPING)
    }

    /// Puts a scheduled agent into a queue and sees to it that the pump runs.
    #[inline]
    pub fn enqueue(&self, py: Python<'_>, agent: Py<AgentRef>) {
        if self.on_home_thread() {
            // Only taken if the pump has to be started: while it runs, the agent may be gone after the push.
            let runtime = (!self.pumping.load(Ordering::Relaxed)).then(|| agent.get().runtime.bind(py).clone());
            // SAFETY: this is the home thread.
            unsafe { self.queue.push_local(agent) };
            if let Some(runtime) = runtime
                && self.queue.arm()
            {
                Self::call_pump(&runtime, "call_soon");
            }
        } else {
            let runtime = agent.get().runtime.bind(py).clone();
            self.queue.push_remote(agent);
            if self.queue.arm() {
                Self::call_pump(&runtime, "call_soon_threadsafe");
            }
        }
    }

    #[cold]
    fn call_pump(runtime: &Bound<'_, Self>, how: &str) {
        attached(|py| {
            let called = runtime.get().home(py).and_then(|home| {
                let pump = runtime.getattr(intern!(py, "_pump"))?;
                let keywords = PyDict::new(py);
                keywords.set_item(intern!(py, "context"), &home.context)?;
                home.event_loop.bind(py).call_method(how, (pump,), Some(&keywords)).map(drop)
            });
            if let Err(error) = called {
                // The loop is closed: nothing will run any more.
                errors::unraisable(py, error, Some(runtime));
            }
        });
    }

    /// Has the pump look whether all is quiet, if somebody waits for that.
    #[cold]
    pub fn look_for_quiet(runtime: &Bound<'_, Self>) {
        let this = runtime.get();
        if this.quiet.load(Ordering::Relaxed) && this.is_running() && this.queue.arm() {
            let how = if this.on_home_thread() { "call_soon" } else { "call_soon_threadsafe" };
            Self::call_pump(runtime, how);
        }
    }

    /// Calls an agent's done-callback soon, in the loop.
    pub fn call_back(&self, agent: &Bound<'_, AgentRef>, callback: &Py<PyAny>, context: &Py<PyAny>) -> PyResult<()> {
        let py = agent.py();
        let home = self.home(py)?;
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "context"), context)?;
        let how = if home.thread == current::thread_token() { "call_soon" } else { "call_soon_threadsafe" };
        home.event_loop.bind(py).call_method(how, (callback, agent), Some(&keywords)).map(drop)
    }

    /// Tells of a mailbox that has reached one of its marks.
    pub fn tell_watermark(&self, agent: &Bound<'_, AgentRef>, high: bool, depth: usize) {
        if !self.watermarks.load(Ordering::Relaxed) {
            return;
        }
        let py = agent.py();
        let runtime = agent.get().runtime.bind(py);
        if let Err(error) = runtime.call_method1(intern!(py, "_on_watermark"), (agent, high, depth)) {
            errors::unraisable(py, error, Some(agent));
        }
    }

    /// Tells of an agent that has kept everybody else from running.
    #[cold]
    fn tell_slow_step(agent: &Bound<'_, AgentRef>, took: Duration) {
        let py = agent.py();
        let runtime = agent.get().runtime.bind(py);
        if let Err(error) = runtime.call_method1(intern!(py, "_on_slow_step"), (agent, took.as_secs_f64())) {
            errors::unraisable(py, error, Some(agent));
        }
    }

    /// Whether messages are looked at before they are delivered.
    #[inline]
    pub fn intercepts(&self) -> bool {
        self.intercepts.load(Ordering::Relaxed)
    }

    /// Shows a message to the interceptor. True: it has taken the message.
    #[cold]
    pub fn intercept(&self, agent: &Bound<'_, AgentRef>, message: &Py<PyAny>) -> bool {
        let py = agent.py();
        let Some(interceptor) = self.interceptor.lock().as_ref().map(|interceptor| interceptor.clone_ref(py)) else {
            return false;
        };
        let taken = interceptor.bind(py).call1((agent, message)).and_then(|taken| taken.is_truthy());
        taken.unwrap_or_else(|error| {
            errors::unraisable(py, error, Some(agent));
            false
        })
    }

    /// A message that nobody will receive.
    pub fn bury(&self, agent: &Bound<'_, AgentRef>, message: Py<PyAny>, reason: &str) {
        let py = agent.py();
        self.dead_letters.fetch_add(1, Ordering::Relaxed);
        let runtime = agent.get().runtime.bind(py);
        if let Err(error) = runtime.call_method1(intern!(py, "_on_dead_letter"), (agent, message, reason)) {
            errors::unraisable(py, error, Some(agent));
        }
    }

    /// Counts the messages that an agent had taken before it ended.
    pub fn ended(&self, messages: u64) {
        self.messages.fetch_add(messages, Ordering::Relaxed);
    }

    /// Counts an agent that failed.
    pub fn failed(&self) {
        self.register.lock().failed += 1;
    }

    #[inline]
    fn register(&self, agent: &Bound<'_, AgentRef>) {
        #[cfg(Py_GIL_DISABLED)]
        // SAFETY: a live object.
        unsafe {
            ffi::PyUnstable_EnableTryIncRef(agent.as_ptr());
        }
        let mut register = self.register.lock();
        register.spawned += 1;
        agent.get().place.store(register.agents.len() as u32, Ordering::Relaxed);
        register.agents.push(agent.as_ptr() as usize);
    }

    /// Takes an agent out of the register, once.
    pub fn deregister(&self, agent: &Bound<'_, AgentRef>) {
        let mut register = self.register.lock();
        let place = agent.get().place.swap(u32::MAX, Ordering::Relaxed) as usize;
        if place >= register.agents.len() {
            return;
        }
        register.agents.swap_remove(place);
        let last = register.agents.is_empty();
        if let Some(&moved) = register.agents.get(place) {
            // SAFETY: what is in the register is alive, and its place is only touched under this lock.
            let moved = unsafe { Borrowed::from_ptr(agent.py(), moved as *mut ffi::PyObject) };
            // SAFETY: only agents are in the register.
            let moved = unsafe { moved.cast_unchecked::<AgentRef>() };
            moved.get().place.store(place as u32, Ordering::Relaxed);
        }
        drop(register);
        if last {
            // Its last reference may have gone without the pump: whoever waits for the end of all is told by the pump.
            Self::look_for_quiet(agent.get().runtime.bind(agent.py()));
        }
    }

    #[inline]
    pub fn on_home_thread(&self) -> bool {
        self.home_thread.load(Ordering::Relaxed) == current::thread_token()
    }

    /// Runs agents until the slice is over; an error is one that must leave the loop.
    ///
    /// To read the clock costs as much as to run a small agent: while runs are short it is read for each 16th only.
    fn run_slice(
        &self,
        py: Python<'_>,
        event_loop: &Bound<'_, PyAny>,
        put_off: &mut Vec<Py<AgentRef>>,
    ) -> PyResult<()> {
        let mut now = Instant::now();
        let end = now + SLICE;
        let (mut runs, mut glance_at, mut result) = (0, 1, Ok(()));
        let chance = self.chance.get();
        let slow_step = self.slow_step.load(Ordering::Relaxed);
        let steps = chance.map_or(SLICE_STEPS, |chance| chance.lock().up_to(SLICE_STEPS));
        while runs < steps {
            let (agent, budget) = match chance {
                // SAFETY: the pump runs on the home thread.
                None => (unsafe { self.queue.pop() }, Budget::starting(now)),
                Some(chance) => {
                    let mut chance = chance.lock();
                    let budget = Budget::of_messages(chance.up_to(budget::MESSAGES));
                    // SAFETY: as above.
                    (unsafe { self.queue.pop_any(&mut chance) }, budget)
                }
            };
            let Some(agent) = agent else {
                break;
            };
            let agent = agent.into_bound(py);
            runs += 1;
            let began = (slow_step > 0).then(Instant::now);
            let after = step::run(&agent, event_loop, budget);
            if let Some(took) = began.map(|began| began.elapsed())
                && took.as_nanos() >= u128::from(slow_step)
            {
                Self::tell_slow_step(&agent, took);
            }
            match after {
                Ok(After::Nothing) => {}
                // SAFETY: as above.
                Ok(After::Requeue) => unsafe { self.queue.push_local(agent.unbind()) },
                Ok(After::NextTurn) => put_off.push(agent.unbind()),
                Err(fatal) => {
                    result = Err(fatal);
                    break;
                }
            }
            if runs == glance_at && chance.is_none() {
                let then = std::mem::replace(&mut now, Instant::now());
                if now >= end {
                    break;
                }
                glance_at += if now - then < GLANCE { GLANCE_RUNS } else { 1 };
            }
        }
        // Only the pump writes these.
        self.runs.store(self.runs.load(Ordering::Relaxed) + u64::from(runs), Ordering::Relaxed);
        self.slices.store(self.slices.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        result
    }
}

#[pymethods]
impl Runtime {
    #[new]
    #[pyo3(signature = (*_args, **_keywords))]
    fn new(_args: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            queue: RunQueue::new(),
            run: Run::new(),
            home: PyOnceLock::new(),
            home_thread: AtomicUsize::new(0),
            phase: AtomicU8::new(NEW),
            pumping: AtomicBool::new(false),
            chance: OnceLock::new(),
            slow_step: AtomicU64::new(0),
            interceptor: Guarded::new(None),
            intercepts: AtomicBool::new(false),
            watermarks: AtomicBool::new(false),
            quiet: AtomicBool::new(false),
            register: Guarded::new(Register::default()),
            messages: AtomicU64::new(0),
            runs: AtomicU64::new(0),
            slices: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
        }
    }

    /// Starts an agent.
    ///
    /// A plain call, nothing to await: the agent's first step comes when the event loop turns.
    #[pyo3(signature = (behaviour, /, *args, mailbox = 1000, high = None, low = None, overflow = None, name = None))]
    #[expect(clippy::too_many_arguments, reason = "they are the keywords of one Python call")]
    pub fn spawn<'py>(
        slf: &Bound<'py, Self>,
        behaviour: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        mailbox: i64,
        high: Option<i64>,
        low: Option<i64>,
        overflow: Option<&str>,
        name: Option<Py<PyString>>,
    ) -> PyResult<Bound<'py, AgentRef>> {
        let py = slf.py();
        let this = slf.get();
        if this.phase.load(Ordering::Acquire) != RUNNING {
            return Err(this.refuse_spawn(py));
        }
        let limits = if mailbox == 1000 && high.is_none() && low.is_none() {
            Limits::DEFAULT
        } else {
            Limits::new(mailbox, high, low)
                .map_err(|error| errors::make(errors::limits_error(py), (error.to_string(),)))?
        };
        let overflow = overflow.map_or(Ok(Overflow::Wait), overflow_named)?;
        let body = make_body(behaviour, args)?;
        // SAFETY: returns a new reference, or null with an error.
        let context = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }?;
        let extra = name.map(|name| Box::new(Extra { name: Some(name), ..Extra::default() }));
        let agent = AgentRef {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            state: TaskState::scheduled(),
            signals: AtomicU8::new(0),
            place: AtomicU32::new(u32::MAX),
            runtime: slf.clone().unbind(),
            behaviour: behaviour.clone().unbind(),
            context: context.unbind(),
            shared: Guarded::new(Shared {
                queue: Queue::new(limits, overflow),
                receiver: Receiver::Nobody,
                outcome: Outcome::Pending,
                extra,
            }),
            body: body.into(),
        };
        let agent = alloc::new(py, agent)?;
        // SAFETY: nobody else knows the agent yet.
        if let Some(mailbox) = unsafe { (*agent.get().body.get()).mailbox() } {
            mailbox.set_owner(&agent);
        }
        this.register(&agent);
        this.enqueue(py, agent.clone().unbind());
        Ok(agent)
    }

    /// The living agents.
    fn agents<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, AgentRef>> {
        let register = self.register.lock();
        register.agents.iter().filter_map(|&agent| finish::upgrade(py, agent as *mut ffi::PyObject)).collect()
    }

    /// Kills all living agents, and returns them: in one go, so that no signal handler comes in between.
    ///
    /// A pump is called in any case: Ctrl-C may have thrown away the callback that everybody relies on, when it was raised
    /// between the loop's taking it and calling it.
    fn _kill_all<'py>(slf: &Bound<'py, Self>) -> Vec<Bound<'py, AgentRef>> {
        let agents = slf.get().agents(slf.py());
        if !agents.is_empty() {
            Self::call_pump(slf, "call_soon");
        }
        agents.into_iter().filter(AgentRef::kill).collect()
    }

    /// Binds the runtime to the loop that runs on this thread, and makes it this context's current runtime.
    fn _start(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        if slf.get().phase.load(Ordering::Acquire) != NEW {
            let text = "expected a runtime that was not started before, got one that was: make a new one";
            return Err(errors::make(errors::runtime_stopped(py), (text,)));
        }
        let Some(event_loop) = interop::running_loop(py)? else {
            let text = "expected a running event loop to start the runtime in, found none on this thread";
            return Err(errors::make(errors::no_runtime(py), (text,)));
        };
        let empty = errors::import(py, "contextvars")?.getattr("Context")?.call0()?;
        let thread = current::thread_token();
        let home = Home { event_loop: event_loop.unbind(), context: empty.unbind(), thread };
        let this = slf.get();
        if this.home.set(py, home).is_ok() {
            current::set_runtime(slf)?;
            this.home_thread.store(thread, Ordering::Release);
            this.phase.store(RUNNING, Ordering::Release);
        }
        Ok(())
    }

    /// Refuses new agents from now on.
    fn _begin_stop(&self) {
        self.phase.store(STOPPING, Ordering::Release);
    }

    /// Refuses everything from now on.
    fn _end_stop(&self) {
        self.phase.store(STOPPED, Ordering::Release);
    }

    /// "new", "running", "stopping" or "stopped".
    #[getter]
    fn phase(&self) -> &'static str {
        match self.phase.load(Ordering::Acquire) {
            NEW => "new",
            RUNNING => "running",
            STOPPING => "stopping",
            _ => "stopped",
        }
    }

    /// Leaves the scheduler's choices to chance, of which the seed is given: for the same seed they are the same.
    fn _choose_by(&self, seed: u64) {
        self.chance.get_or_init(|| Guarded::new(Chance::of_seed(seed)));
    }

    /// Calls `_on_slow_step` after each step that takes longer than this.
    fn _report_slow_steps(&self, nanoseconds: u64) {
        self.slow_step.store(nanoseconds, Ordering::Relaxed);
    }

    /// Has a function look at each message before it is delivered; what it returns true for, it has taken.
    fn _intercept(&self, interceptor: Option<Py<PyAny>>) {
        self.intercepts.store(interceptor.is_some(), Ordering::Relaxed);
        let old = std::mem::replace(&mut *self.interceptor.lock(), interceptor);
        drop(old);
    }

    /// Whether `_on_watermark` is to be called.
    fn _watch_watermarks(&self, watch: bool) {
        self.watermarks.store(watch, Ordering::Relaxed);
    }

    /// Calls `_on_quiet` once, when the pump next finds nothing more to do; with `now`, the pump looks at once.
    fn _watch_quiet(slf: &Bound<'_, Self>, now: bool) {
        let this = slf.get();
        this.quiet.store(true, Ordering::Relaxed);
        if now && this.queue.arm() {
            Self::call_pump(slf, "call_soon");
        }
    }

    /// Whether an agent is in the midst of something: it waits for what asyncio will bring, unless a task of its own
    /// waits for messages meanwhile.
    fn _is_busy(&self, py: Python<'_>) -> bool {
        self.agents(py).iter().any(|agent| {
            agent.get().signals.load(Ordering::Acquire) & BLOCKED != 0
                && !matches!(agent.get().shared.lock().receiver, Receiver::Future(_))
        })
    }

    /// How many agents live.
    #[getter]
    fn _living(&self) -> usize {
        self.register.lock().agents.len()
    }

    /// Agents, spawned, failed, messages, runs, slices, dead letters.
    fn _statistics(&self, py: Python<'_>) -> (usize, u64, u64, u64, u64, u64, u64) {
        let agents = self.agents(py);
        let living = agents.iter().map(|agent| agent.get().shared.lock()).filter(|shared| !shared.has_ended());
        let messages =
            self.messages.load(Ordering::Relaxed) + living.map(|shared| shared.queue.received()).sum::<u64>();
        let register = self.register.lock();
        (
            register.agents.len(),
            register.spawned,
            register.failed,
            messages,
            self.runs.load(Ordering::Relaxed),
            self.slices.load(Ordering::Relaxed),
            self.dead_letters.load(Ordering::Relaxed),
        )
    }

    /// The loop's callback that runs agents.
    fn _pump(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let home = this.home(py)?;
        if home.thread != current::thread_token() || this.pumping.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let event_loop = home.event_loop.bind(py);
        // Agents that want the loop to turn first.
        let mut put_off = Vec::new();
        let outer = this.run.enter();
        let slice = AssertUnwindSafe(|| this.run_slice(py, event_loop, &mut put_off));
        // After a panic, which is a mistake of ours in one agent's step, the others go on.
        let result = catch_unwind(slice).unwrap_or_else(|_| Err(PySystemError::new_err(errors::PANIC)));
        this.run.end();
        Run::leave(outer);
        interop::leave_task(py, event_loop)?;
        for agent in put_off {
            // SAFETY: this is the home thread.
            unsafe { this.queue.push_local(agent) };
        }
        this.pumping.store(false, Ordering::Relaxed);
        // SAFETY: as above.
        if unsafe { this.queue.disarm() } {
            Self::call_pump(slf, "call_soon");
        } else if this.quiet.swap(false, Ordering::Relaxed) {
            slf.call_method0(intern!(py, "_on_quiet"))?;
        }
        result
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // SAFETY: the collector runs on an attached thread; the token only reads what was set long ago.
        if let Some(home) = self.home.get(unsafe { Python::assume_attached() }) {
            visit.call(&home.event_loop)?;
            visit.call(&home.context)?;
        }
        if let Some(interceptor) = self.interceptor.try_lock() {
            visit.call(&*interceptor)?;
        }
        let mut result = Ok(());
        // SAFETY: the collector runs while nobody changes the queue: under the GIL, or with the world stopped.
        unsafe {
            self.queue.visit_local(|agent| {
                if result.is_ok() {
                    result = visit.call(agent);
                }
            });
        }
        result
    }
}

impl Runtime {
    #[cold]
    fn refuse_spawn(&self, py: Python<'_>) -> PyErr {
        if self.phase.load(Ordering::Acquire) == NEW {
            let text = "expected a runtime that was started, got one that was not: use `async with Runtime()`";
            return errors::make(errors::no_runtime(py), (text,));
        }
        let text = "expected a runtime that runs, got one that is stopping or has stopped: it starts no more agents";
        errors::make(errors::runtime_stopped(py), (text,))
    }
}
