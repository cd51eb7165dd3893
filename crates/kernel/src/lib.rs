//! The native core of Remuda, generic over what it schedules and what it carries; it knows no Python.
//!
//! The layers, lowest first:
//!
//! - [`sync`]: the one seam for atomics and locks: the standard library in production, loom under test;
//! - [`task`]: the state of one agent: idle, scheduled, running, notified, done;
//! - [`level`]: how urgent a task is;
//! - [`chance`]: the choices of a run that is to be repeatable;
//! - [`local_queue`], [`injector`]: a processor's own queue, from which others steal, and those that all share;
//! - [`interval`]: how often the latter are looked at;
//! - [`idle`]: which processors sleep, and how many search;
//! - `processor`, [`scheduler`]: who runs next, and on which processor;
//! - [`pump`]: whether the callback that runs a machine's tasks is called;
//! - [`budget`]: how long an agent may keep the processor in one run;
//! - [`watermark`]: a mailbox's bound and the two marks between which its senders wait;
//! - [`mailbox`]: the bounded queue of one agent, and the senders that wait for room in it;
//! - [`channel`]: a bounded queue between many senders and many receivers;
//! - [`ring`]: consistent hashing.

pub mod budget;
pub mod chance;
pub mod channel;
pub mod idle;
pub mod injector;
pub mod interval;
pub mod level;
pub mod local_queue;
pub mod mailbox;
mod processor;
pub mod pump;
pub mod ring;
pub mod scheduler;
pub mod sync;
pub mod task;
pub mod watermark;
