//! Which machine holds which processor: as Go does, a worker that blocks hands its processor to another thread.
//!
//! There are as many processors as workers, and a processor is held by one machine or by none. The protocol:
//!
//! 1. A worker that enters a blocking section gives its processor up, if a machine that can stand in is there or may
//!    still be made. A processor that is given up with work in its reach goes to such a machine at once; otherwise it
//!    sleeps in the scheduler like any idle one, and gets a machine when the scheduler wakes it.
//! 2. A machine that stands in gives the processor up when it finds nothing more to do, or when the worker wants it back.
//! 3. A worker that comes back takes its processor if nobody holds it. Otherwise it says that it wants it, and goes on
//!    without: what it wakes goes to the injector, and when its step is over it runs only what is pinned to it, until
//!    the machine that stands in has finished a step and hands the processor over.
//!
//! Invariant: there are never more processors without a machine than machines that could take one. Therefore whoever is
//! told to wake a processor finds a machine for it, or may make one.

/// A machine for a processor.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// This one holds it.
    Holder(usize),
    /// This one was given it, and has to be woken.
    StandIn(usize),
    /// A thread has to be started, for the machine of this number; the processor will be its.
    NewThread(usize),
    /// A thread that will take it is being started.
    Coming,
}

/// The books; the owner keeps them behind a lock.
#[derive(Debug, Default)]
pub struct Processors {
    /// The machine that holds each, if any.
    holders: Vec<Option<usize>>,
    /// Whose worker wants it back.
    wanted: Vec<bool>,
    /// A thread is being started for it.
    promised: Vec<Option<usize>>,
    /// Machines that can stand in, and have nothing.
    spare: Vec<usize>,
    /// Numbers of machines whose threads could not be started, for the next ones.
    unborn: Vec<usize>,
    machines: usize,
    most_machines: usize,
}

impl Processors {
    /// Each of the workers has its own; so many threads may be started to stand in for them.
    pub fn new(workers: usize, stand_ins: usize) -> Self {
        Self {
            holders: (0..workers).map(Some).collect(),
            wanted: vec![false; workers],
            promised: vec![None; workers],
            spare: Vec::new(),
            unborn: Vec::new(),
            machines: workers,
            most_machines: workers + stand_ins,
        }
    }

    /// A machine is gone for good: another one may be made in its place.
    pub fn is_gone(&mut self, machine: usize) {
        self.most_machines += 1;
        self.spare.retain(|&spare| spare != machine);
        if let Some(wanted) = self.wanted.get_mut(machine) {
            *wanted = false;
        }
    }

    fn without_machine(&self) -> usize {
        let free = self.holders.iter().zip(&self.promised);
        free.filter(|(holder, promised)| holder.is_none() && promised.is_none()).count()
    }

    /// Whether another processor may be given up.
    pub fn may_give_up(&self) -> bool {
        let more = self.unborn.len() + self.most_machines - self.machines;
        self.without_machine() < self.spare.len() + more
    }

    /// A machine gives its processor up. Returns the worker that wants it back, and has it now.
    pub fn give_up(&mut self, processor: usize, machine: usize) -> Option<usize> {
        debug_assert_eq!(self.holders[processor], Some(machine));
        let wanted = std::mem::take(&mut self.wanted[processor]) && machine != processor;
        self.holders[processor] = wanted.then_some(processor);
        wanted.then_some(processor)
    }

    /// A machine that stands in has nothing more to do, unless it was given something just now.
    pub fn is_spare(&mut self, machine: usize) {
        if !self.spare.contains(&machine) && !self.holders.contains(&Some(machine)) {
            self.spare.push(machine);
        }
    }

    /// A worker without its processor wants it. True: it is the worker's to take. False: it gets it when the machine that
    /// stands in gives it up, or has given it up already and is about to hand it over.
    pub fn claim(&mut self, worker: usize) -> bool {
        let free = self.holders[worker].is_none();
        if free {
            // A thread that is being started for it will find nothing to do.
            self.holders[worker] = Some(worker);
        }
        self.wanted[worker] = self.holders[worker] != Some(worker);
        free
    }

    /// Whether a worker wants this processor back.
    pub fn is_wanted(&self, processor: usize) -> bool {
        self.wanted[processor]
    }

    /// Finds a machine for a processor that is to be woken.
    pub fn find_machine(&mut self, processor: usize) -> Found {
        if let Some(holder) = self.holders[processor] {
            return Found::Holder(holder);
        }
        if self.promised[processor].is_some() {
            return Found::Coming;
        }
        if let Some(machine) = self.spare.pop() {
            self.holders[processor] = Some(machine);
            return Found::StandIn(machine);
        }
        let machine = self.unborn.pop().unwrap_or_else(|| {
            self.machines += 1;
            self.machines - 1
        });
        self.promised[processor] = Some(machine);
        Found::NewThread(machine)
    }

    /// The thread of a machine that stands in is there. Returns the processor that it was started for, unless somebody
    /// has it by now; then the machine is spare.
    pub fn arrived(&mut self, machine: usize) -> Option<usize> {
        let processor = self.promised.iter().position(|promised| *promised == Some(machine))?;
        self.promised[processor] = None;
        if self.holders[processor].is_some() {
            self.spare.push(machine);
            return None;
        }
        self.holders[processor] = Some(machine);
        Some(processor)
    }

    /// The thread of a machine could not be started. Returns the processor that it was started for, if nobody has it.
    pub fn will_not_come(&mut self, machine: usize) -> Option<usize> {
        self.unborn.push(machine);
        let processor = self.promised.iter().position(|promised| *promised == Some(machine))?;
        self.promised[processor] = None;
        self.holders[processor].is_none().then_some(processor)
    }
}
