//! The runtime's native half: what it knows of its machines, processors and agents, and what Python asks of it.
//!
//! How agents are queued and machines woken is in `schedule`, how they are run in `slice`, how more machines come and go
//! in `workers`. The file is long because PyO3 wants all methods of a class in one block.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use pyo3::exceptions::PyBaseException;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::{ffi, intern};
use remuda_kernel::chance::Chance;
use remuda_kernel::level::Level;
use remuda_kernel::mailbox::{Mailbox as Queue, Overflow};
use remuda_kernel::scheduler::{Scheduler, Settings};
use remuda_kernel::task::TaskState;
use remuda_kernel::watermark::Limits;

use crate::admission::{admit_all, give_all_back};
use crate::affinity::{Affinity, MOST_MACHINES, level_named};
use crate::agent::{AgentRef, BLOCKED, Extra, Outcome, Receiver, Shared};
use crate::callback::Callback;
use crate::guarded::Guarded;
use crate::load::Load;
use crate::machine::{Machine, Place};
use crate::processors::Processors;
use crate::spawn::{make_body, overflow_named, tell_born};
use crate::{alloc, current, errors, finish, interop, numbers, step};

const NEW: u8 = 0;
const RUNNING: u8 = 1;
const STOPPING: u8 = 2;
const STOPPED: u8 = 3;
/// It runs in another process, of which this one is a copy.
const FORKED: u8 = 4;

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
    /// Machine 0: the thread and the loop that the runtime was started on.
    pub home: Machine,
    /// The others, each made when it is needed.
    others: OnceLock<Box<[OnceLock<Box<Machine>>]>>,
    /// Boxed: it wants to be aligned to cache lines, which Python's memory is not.
    scheduler: OnceLock<Box<Scheduler<Py<AgentRef>>>>,
    pub processors: Guarded<Processors>,
    /// There is, or was, more than one machine.
    pub many: AtomicBool,
    /// How many machines' pumps are called, or at work.
    pub armed: AtomicUsize,
    /// What was run with each processor, and by machines without one.
    loads: OnceLock<Box<[Load]>>,
    phase: AtomicU8,
    /// Makes the scheduler's choices in a run that is to be repeatable.
    pub chance: OnceLock<Guarded<Chance>>,
    /// How many nanoseconds a step may take before it is reported; 0: nobody wants to know.
    pub slow_step: AtomicU64,
    /// Looks at messages before they are delivered, in a test that injects faults.
    interceptor: Guarded<Option<Py<PyAny>>>,
    intercepts: AtomicBool,
    /// Only what is safe to share, or given away, may be sent.
    strict: AtomicBool,
    /// Somebody listens for watermarks.
    watermarks: AtomicBool,
    /// Somebody wants to be told when nothing is left to do.
    quiet: AtomicBool,
    register: Guarded<Register>,
    /// What the mailboxes of agents that have ended had taken.
    messages: AtomicU64,
    dead_letters: AtomicU64,
}

/// What an interceptor has done to a message.
pub enum Fate {
    Untouched,
    /// It has taken the message, and will deliver it.
    Late,
    /// It has taken the message for good.
    Lost,
}

/// The number of the next agent; they are unique in the process.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Runtime {
    #[inline]
    pub fn scheduler(&self) -> &Scheduler<Py<AgentRef>> {
        self.scheduler.get().expect("there are agents only after the start, which makes it")
    }

    /// One of the machines that were made.
    pub fn machine(&self, index: usize) -> &Machine {
        let Some(other) = index.checked_sub(1) else { return &self.home };
        let others = self.others.get().expect("there are agents only after the start, which makes room for machines");
        others.get(other).and_then(OnceLock::get).expect("a machine is made before its number is known")
    }

    /// Makes a machine, whose thread is to be started; its pump counts as called.
    pub fn prepare_machine(&self, index: usize) {
        let others = self.others.get().expect("made by the start");
        // It is there already if its thread could not be started when it was needed last.
        let machine = others[index - 1].get_or_init(|| Box::new(Machine::new(index)));
        if machine.pump.arm() {
            self.armed.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// The machines that were made.
    pub fn machines(&self) -> impl Iterator<Item = &Machine> {
        let others = self.others.get().into_iter().flatten();
        std::iter::once(&self.home).chain(others.filter_map(|other| other.get().map(|machine| &**machine)))
    }

    /// Where a machine's runs are counted.
    #[inline]
    pub fn load(&self, machine: &Machine) -> &Load {
        let loads = self.loads.get().expect("made by the start");
        let last = loads.len() - 1;
        &loads[machine.processor().unwrap_or(last)]
    }

    /// The place of the machine on which the runtime was started.
    pub fn home_place(&self, py: Python<'_>) -> PyResult<&Place> {
        self.home.place(py).ok_or_else(|| {
            let text = "expected a runtime that was started, got one that was not: use `async with Runtime()`";
            errors::make(errors::no_runtime(py), (text,))
        })
    }

    /// The loop that an agent is bound to, or that it runs on now; the home loop, if it is none.
    pub fn loop_of<'py>(&self, agent: &Bound<'py, AgentRef>) -> PyResult<Bound<'py, PyAny>> {
        let py = agent.py();
        let machine = match agent.get().affinity.pinned() {
            Some(machine) => self.machine(machine),
            None => current::run_of(agent).and_then(|_| current::machine()).unwrap_or(&self.home),
        };
        let place = machine.place(py).map_or_else(|| self.home_place(py), Ok)?;
        Ok(place.event_loop.bind(py).clone())
    }

    /// Whether a loop is one of the runtime's.
    pub fn has_loop(&self, event_loop: &Bound<'_, PyAny>) -> bool {
        let py = event_loop.py();
        self.machines().any(|machine| machine.place(py).is_some_and(|place| place.event_loop.is(event_loop)))
    }

    #[inline]
    pub fn is_strict(&self) -> bool {
        self.strict.load(Ordering::Relaxed)
    }

    pub fn has_stopped(&self) -> bool {
        matches!(self.phase.load(Ordering::Acquire), STOPPED | FORKED)
    }

    pub fn has_forked(&self) -> bool {
        self.phase.load(Ordering::Acquire) == FORKED
    }

    pub fn is_running(&self) -> bool {
        matches!(self.phase.load(Ordering::Acquire), RUNNING | STOPPING)
    }

    /// Has the pump look whether all is quiet, if somebody waits for that.
    #[cold]
    pub fn look_for_quiet(runtime: &Bound<'_, Self>) {
        let this = runtime.get();
        if this.quiet.load(Ordering::Relaxed) && this.is_running() {
            this.arm(runtime, &this.home);
        }
    }

    /// Nothing is left to do: whoever has asked is told, in the home loop.
    pub fn tell_quiet(runtime: &Bound<'_, Self>) -> PyResult<()> {
        let py = runtime.py();
        let this = runtime.get();
        if !this.quiet.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        if this.home.is_this_thread() {
            return runtime.call_method0(intern!(py, "_on_quiet")).map(drop);
        }
        let tell = runtime.getattr(intern!(py, "_on_quiet"))?;
        let event_loop = this.home_place(py)?.event_loop.bind(py);
        event_loop.call_method1(intern!(py, "call_soon_threadsafe"), (tell,)).map(drop)
    }

    /// Calls an agent's done-callback soon, in the loop in which it was given.
    pub fn call_back(agent: &Bound<'_, AgentRef>, callback: &Callback) -> PyResult<()> {
        let home = agent.get().runtime.get().home_place(agent.py())?;
        callback.call(agent, Some(home.event_loop.bind(agent.py())))
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

    /// Whether messages are looked at before they are delivered.
    #[inline]
    pub fn intercepts(&self) -> bool {
        self.intercepts.load(Ordering::Relaxed)
    }

    /// Shows a message to the interceptor, and says what that has done to it.
    #[cold]
    pub fn intercept(&self, agent: &Bound<'_, AgentRef>, message: &Py<PyAny>) -> Fate {
        let py = agent.py();
        let Some(interceptor) = self.interceptor.lock().as_ref().map(|interceptor| interceptor.clone_ref(py)) else {
            return Fate::Untouched;
        };
        let answer = interceptor.bind(py).call1((agent, message)).and_then(|answer| {
            let lost = answer.cast::<PyString>().is_ok_and(|answer| answer == "lost");
            Ok(if lost {
                Fate::Lost
            } else if answer.is_truthy()? {
                Fate::Late
            } else {
                Fate::Untouched
            })
        });
        answer.unwrap_or_else(|error| {
            errors::unraisable(py, error, Some(agent));
            Fate::Untouched
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
}

#[pymethods]
impl Runtime {
    #[new]
    #[pyo3(signature = (*_args, **_keywords))]
    fn new(_args: &Bound<'_, PyTuple>, _keywords: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            home: Machine::new(0),
            others: OnceLock::new(),
            scheduler: OnceLock::new(),
            processors: Guarded::new(Processors::default()),
            many: AtomicBool::new(false),
            armed: AtomicUsize::new(0),
            loads: OnceLock::new(),
            phase: AtomicU8::new(NEW),
            chance: OnceLock::new(),
            slow_step: AtomicU64::new(0),
            interceptor: Guarded::new(None),
            intercepts: AtomicBool::new(false),
            strict: AtomicBool::new(true),
            watermarks: AtomicBool::new(false),
            quiet: AtomicBool::new(false),
            register: Guarded::new(Register::default()),
            messages: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
        }
    }

    /// Starts an agent.
    ///
    /// A plain call, nothing to await: the agent's first step comes when the event loop turns.
    #[pyo3(signature = (behaviour, /, *args, mailbox = 1000, high = None, low = None, overflow = None, name = None,
                        priority = None, pinned = false))]
    #[expect(clippy::too_many_arguments, reason = "they are the keywords of one Python call")]
    pub fn spawn<'py>(
        slf: &Bound<'py, Self>,
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
        let level = priority.map_or(Ok(Level::Normal), level_named)?;
        let affinity = Affinity::new(level);
        if pinned {
            affinity.pin(this.machine_of_this_thread().unwrap_or(&this.home).index);
        }
        let (args, moved) = admit_all(args, this.is_strict())?;
        let body = match make_body(behaviour, &args) {
            Ok(body) => body,
            Err(error) => {
                give_all_back(moved);
                return Err(error);
            }
        };
        // SAFETY: returns a new reference, or null with an error.
        let context = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyContext_CopyCurrent()) }?;
        let extra = name.map(|name| Box::new(Extra { name: Some(name), ..Extra::default() }));
        let agent = AgentRef {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            state: TaskState::scheduled(),
            signals: AtomicU8::new(0),
            affinity,
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
        } else if let Err(error) = tell_born(&agent) {
            give_all_back(moved);
            return Err(error);
        }
        this.register(&agent);
        if this.many.load(Ordering::Relaxed) {
            this.enqueue_among_many(py, agent.clone().unbind(), level, false);
        } else {
            this.enqueue(py, agent.clone().unbind(), level);
        }
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
            Self::call_pump(slf, &slf.get().home);
        }
        agents.into_iter().filter(AgentRef::kill).collect()
    }

    /// Binds the runtime to the loop that runs on this thread, and makes it this context's current runtime; the threads
    /// of the other workers have to join.
    #[pyo3(signature = (workers, stand_ins, *, strict, lifo, steal, throttle, interval, batch))]
    #[expect(clippy::too_many_arguments, reason = "they are the keywords of one Python call")]
    fn _start(
        slf: &Bound<'_, Self>,
        workers: usize,
        stand_ins: usize,
        strict: bool,
        lifo: bool,
        steal: bool,
        throttle: bool,
        interval: Option<u32>,
        batch: bool,
    ) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        debug_assert!((1..=MOST_MACHINES).contains(&(2 * workers + stand_ins)), "checked by the caller");
        let Some(event_loop) = interop::running_loop(py)? else {
            let text = "expected a running event loop to start the runtime in, found none on this thread";
            return Err(errors::make(errors::no_runtime(py), (text,)));
        };
        this.strict.store(strict, Ordering::Relaxed);
        let settings = Settings { workers, lifo, steal, throttle, interval, batch };
        if this.scheduler.set(Box::new(Scheduler::new(settings))).is_err() {
            let text = "expected a runtime that was not started before, got one that was: make a new one";
            return Err(errors::make(errors::runtime_stopped(py), (text,)));
        }
        // One more for each worker, whose loop may fail.
        let _ = this.others.set((1..2 * workers + stand_ins).map(|_| OnceLock::new()).collect());
        let _ = this.loads.set((0..=workers).map(|_| Load::default()).collect());
        *this.processors.lock() = Processors::new(workers, stand_ins);
        this.many.store(workers > 1, Ordering::Release);
        for worker in 1..workers {
            this.prepare_machine(worker);
            this.machine(worker).take(worker);
        }
        this.home.take(0);
        this.home.join(py, event_loop)?;
        current::set_runtime(slf)
    }

    /// All workers are there: agents may be spawned.
    fn _started(&self) {
        self.phase.store(RUNNING, Ordering::Release);
    }

    /// The calling thread, with the loop that runs on it, becomes the machine of this number.
    fn _join(slf: &Bound<'_, Self>, index: usize) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let Some(event_loop) = interop::running_loop(py)? else {
            return Err(errors::make(errors::no_runtime(py), ("expected a running event loop, found none",)));
        };
        let machine = this.machine(index);
        machine.join(py, event_loop)?;
        machine.employ_thread(this);
        if index >= this.scheduler().workers() {
            let processor = this.processors.lock().arrived(index);
            if let Some(processor) = processor {
                machine.take(processor);
            }
        }
        Self::call_pump(slf, machine);
        Ok(())
    }

    /// The calling thread was the machine of this number, and is no more.
    fn _part(&self, index: usize) {
        self.machine(index).leave();
    }

    /// The thread of a machine could not be started.
    fn _will_not_come(slf: &Bound<'_, Self>, index: usize) {
        slf.get().will_not_come(slf, index);
    }

    /// Refuses new agents from now on.
    fn _begin_stop(&self) {
        self.phase.store(STOPPING, Ordering::Release);
    }

    /// Refuses everything from now on.
    fn _end_stop(&self) {
        self.phase.store(STOPPED, Ordering::Release);
    }

    /// The process has been forked, and this is the child: the threads and loops of the runtime are the parent's.
    fn _forked(&self) {
        if self.phase.swap(FORKED, Ordering::AcqRel) != STOPPED {
            // Every delivery takes a closer look from now on.
            self.intercepts.store(true, Ordering::Relaxed);
        } else {
            self.phase.store(STOPPED, Ordering::Release);
        }
    }

    /// A worker's event loop is gone: what is bound to it goes on in the home loop, with this error. In the home loop.
    fn _lose(slf: &Bound<'_, Self>, index: usize, error: &Bound<'_, PyBaseException>) {
        let py = slf.py();
        let this = slf.get();
        this.machine(index).leave();
        this.many.store(true, Ordering::Release);
        for agent in this.agents(py) {
            if agent.get().affinity.pinned() == Some(index) && !agent.get().state.is_done() {
                agent.get().affinity.pin(0);
                finish::forget_future(&agent);
                step::throw_next(&agent, PyErr::from_value(error.clone().into_any()));
                AgentRef::signal(&agent, 0);
            }
        }
        let stranded = std::mem::take(&mut *this.machine(index).pinned.lock());
        for agent in stranded {
            let level = agent.get().affinity.level();
            this.enqueue_among_many(py, agent, level, false);
        }
        this.retire(slf, this.machine(index));
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
        if now {
            this.arm(slf, &this.home);
        }
    }

    /// Whether an agent is in the midst of something: it runs or will, or waits for what asyncio will bring, unless a task of its own
    /// waits for messages meanwhile.
    fn _is_busy(&self, py: Python<'_>) -> bool {
        self.agents(py).iter().any(|agent| {
            let this = agent.get();
            let waits = this.signals.load(Ordering::Acquire) & BLOCKED != 0
                && !matches!(this.shared.lock().receiver, Receiver::Future(_));
            waits || !(this.state.is_idle() || this.state.is_done())
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
        let loads = self.loads.get().into_iter().flatten().map(Load::read);
        let (runs, slices) = loads.fold((0, 0), |sum, load| (sum.0 + load.0, sum.1 + load.1));
        let register = self.register.lock();
        let dead_letters = self.dead_letters.load(Ordering::Relaxed);
        (register.agents.len(), register.spawned, register.failed, messages, runs, slices, dead_letters)
    }

    /// What each worker has done, as keywords of `WorkerStatistics`.
    fn _worker_statistics<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let Some(scheduler) = self.scheduler.get() else { return Ok(Vec::new()) };
        let each = self.loads.get().into_iter().flatten().take(scheduler.workers()).enumerate();
        each.map(|(processor, load)| {
            let (runs, slices, nanoseconds) = load.read();
            let counts = scheduler.counts(processor);
            let keywords = PyDict::new(py);
            keywords.set_item("runs", runs)?;
            keywords.set_item("slices", slices)?;
            keywords.set_item("busy", nanoseconds as f64 / 1e9)?;
            keywords.set_item("depth", scheduler.depth(processor))?;
            keywords.set_item("searches", counts.searches)?;
            keywords.set_item("steals", counts.steals)?;
            keywords.set_item("stolen", counts.stolen)?;
            keywords.set_item("parks", counts.parks)?;
            keywords.set_item("wakes", counts.wakes)?;
            keywords.set_item("batches", counts.batches)?;
            keywords.set_item("batched", counts.batched)?;
            keywords.set_item("overflows", counts.overflows)?;
            keywords.set_item("lifo_hits", counts.lifo_hits)?;
            Ok(keywords)
        })
        .collect()
    }

    /// The callback of a machine's loop that runs agents.
    fn _pump(slf: &Bound<'_, Self>, machine: usize) -> PyResult<()> {
        Self::pump(slf, slf.get().machine(machine))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for machine in self.machines() {
            machine.traverse(&visit)?;
        }
        if let Some(interceptor) = self.interceptor.try_lock() {
            visit.call(&*interceptor)?;
        }
        let mut result = Ok(());
        // SAFETY: the collector runs while nobody changes the queue: under the GIL, or with the world stopped.
        unsafe {
            if let Some(scheduler) = self.scheduler.get() {
                scheduler.visit(|agent| {
                    if result.is_ok() {
                        result = visit.call(agent);
                    }
                });
            }
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
        let text = if self.has_forked() {
            "expected a runtime of this process, got one of the process that this one was forked from"
        } else {
            "expected a runtime that runs, got one that is stopping or has stopped: it starts no more agents"
        };
        errors::make(errors::runtime_stopped(py), (text,))
    }
}
