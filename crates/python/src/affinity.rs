//! Where an agent may run, and how urgent it is: two facts in two bytes, looked at whenever it is scheduled.

use std::sync::atomic::{AtomicU16, Ordering};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use remuda_kernel::level::Level;

const LEVEL_SHIFT: u32 = 14;
const MACHINE: u16 = (1 << LEVEL_SHIFT) - 1;

/// The most machines that a runtime may have.
pub const MOST_MACHINES: usize = MACHINE as usize;

/// An agent's level, and the machine that it is pinned to, plus one.
#[derive(Debug)]
pub struct Affinity(AtomicU16);

impl Affinity {
    pub fn new(level: Level) -> Self {
        Self(AtomicU16::new((level as u16) << LEVEL_SHIFT))
    }

    #[inline]
    pub fn level(&self) -> Level {
        Level::from_u8((self.0.load(Ordering::Relaxed) >> LEVEL_SHIFT) as u8)
    }

    /// The number of the machine that alone may run the agent.
    #[inline]
    pub fn pinned(&self) -> Option<usize> {
        // Relaxed: it is set by the agent's own run, and whoever schedules the agent afterwards has synchronised with
        // that run through the agent's state.
        (self.0.load(Ordering::Relaxed) & MACHINE).checked_sub(1).map(usize::from)
    }

    /// Pins the agent to a machine, for good. In its own run, or before anybody else knows it.
    pub fn pin(&self, machine: usize) {
        let level = self.0.load(Ordering::Relaxed) & !MACHINE;
        self.0.store(level | (machine as u16 + 1), Ordering::Relaxed);
    }
}

/// The level that `spawn` is given by name.
pub fn level_named(name: &str) -> PyResult<Level> {
    match name {
        "low" => Ok(Level::Low),
        "normal" => Ok(Level::Normal),
        "high" => Ok(Level::High),
        other => {
            let text = format!("expected priority to be 'low', 'normal' or 'high', got '{other}'");
            Err(PyValueError::new_err(text))
        }
    }
}
