//! Whether a machine's pump, the callback that runs its agents, is called or at work.
//!
//! The protocol between whoever makes work and the pump that runs it:
//!
//! 1. Who makes work pushes it first, and then arms; the one that armed must call the pump.
//! 2. A pump that finds nothing more disarms first, and *then* looks once more: whoever pushed between its first look and
//!    the disarming saw the pump armed, and left. If there is something, it arms itself anew, or somebody else has.

use crate::sync::{AtomicBool, Ordering};

/// The word that the two sides meet at.
#[derive(Debug)]
pub struct Pump(AtomicBool);

impl Default for Pump {
    fn default() -> Self {
        Self::new()
    }
}

impl Pump {
    /// A pump that sleeps.
    pub fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Says that there is work. True: the caller must call the pump.
    #[inline]
    #[must_use]
    pub fn arm(&self) -> bool {
        // A plain look first: the common case, armed, then needs no locked instruction. SeqCst pairs with `disarm`: either
        // this sees the disarming, or the pump's second look sees what was pushed before.
        !self.0.load(Ordering::SeqCst) && !self.0.swap(true, Ordering::SeqCst)
    }

    /// The pump goes to sleep; it must look for work once more.
    pub fn disarm(&self) {
        self.0.swap(false, Ordering::SeqCst);
    }

    /// Whether it is called, or at work.
    pub fn is_armed(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_to_arm_calls_the_pump() {
        let pump = Pump::new();
        assert!(pump.arm());
        assert!(!pump.arm());
        pump.disarm();
        assert!(!pump.is_armed());
        assert!(pump.arm());
    }
}
