//! The native core of Remuda, generic over what it schedules and what it carries; it knows no Python.
//!
//! The layers, lowest first:
//!
//! - [`sync`]: the one seam for atomics and locks: the standard library in production, loom under test;
//! - [`task`]: the state of one agent: idle, scheduled, running, notified, done;
//! - [`run_queue`]: who runs next: the home worker's local queue, the injector, and the arming of its pump;
//! - [`chance`]: the choices of a run that is to be repeatable;
//! - [`budget`]: how long an agent may keep the processor in one run;
//! - [`watermark`]: a mailbox's bound and the two marks between which its senders wait;
//! - [`mailbox`]: the bounded queue of one agent, and the senders that wait for room in it.

pub mod budget;
pub mod chance;
pub mod mailbox;
pub mod run_queue;
pub mod sync;
pub mod task;
pub mod watermark;
