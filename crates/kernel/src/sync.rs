//! The one seam for atomics, cells and locks: production code takes them from here, and loom's models replace them.

#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

#[cfg(loom)]
pub use loom::cell::UnsafeCell;

#[cfg(not(loom))]
pub use cell::UnsafeCell;

#[cfg(not(loom))]
mod cell {
    /// The standard cell in the shape of loom's, which sees who is in it.
    #[derive(Debug)]
    pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// Calls `body` with a pointer to read through.
        #[inline]
        pub fn with<R>(&self, body: impl FnOnce(*const T) -> R) -> R {
            body(self.0.get())
        }

        /// Calls `body` with a pointer to write through.
        #[inline]
        pub fn with_mut<R>(&self, body: impl FnOnce(*mut T) -> R) -> R {
            body(self.0.get())
        }
    }
}

/// A byte that changes in steps which nobody else's change comes between.
pub trait Word {
    /// A word with this value.
    fn new(value: u8) -> Self;
    /// The value, and with it all that was written before it was set.
    fn load(&self) -> u8;
    /// Sets the value if it is the expected one; hands back the one that it is otherwise.
    fn exchange(&self, expected: u8, value: u8) -> Result<(), u8>;
    /// Sets the value, and returns the one that it was.
    fn swap(&self, value: u8) -> u8;
}

/// For threads that run at the same time.
impl Word for AtomicU8 {
    fn new(value: u8) -> Self {
        Self::new(value)
    }

    #[inline]
    fn load(&self) -> u8 {
        self.load(Ordering::Acquire)
    }

    #[inline]
    fn exchange(&self, expected: u8, value: u8) -> Result<(), u8> {
        // Release: what was written before is seen by whoever finds the value; acquire: the other way round.
        self.compare_exchange(expected, value, Ordering::AcqRel, Ordering::Acquire).map(drop)
    }

    #[inline]
    fn swap(&self, value: u8) -> u8 {
        self.swap(value, Ordering::AcqRel)
    }
}

/// For threads that take turns under a lock of somebody else's, such as an interpreter's: no locked instructions, of
/// which each costs as much as twenty others.
#[derive(Debug)]
pub struct InTurns(std::sync::atomic::AtomicU8);

impl Word for InTurns {
    fn new(value: u8) -> Self {
        Self(std::sync::atomic::AtomicU8::new(value))
    }

    #[inline]
    fn load(&self) -> u8 {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }

    #[inline]
    fn exchange(&self, expected: u8, value: u8) -> Result<(), u8> {
        match Word::load(self) {
            found if found == expected => {
                self.0.store(value, std::sync::atomic::Ordering::Relaxed);
                Ok(())
            }
            found => Err(found),
        }
    }

    #[inline]
    fn swap(&self, value: u8) -> u8 {
        let found = Word::load(self);
        self.0.store(value, std::sync::atomic::Ordering::Relaxed);
        found
    }
}

#[cfg(not(loom))]
pub use parking_lot::{Mutex, MutexGuard};

#[cfg(loom)]
pub use model::{Mutex, MutexGuard};

#[cfg(loom)]
mod model {
    pub use loom::sync::MutexGuard;

    /// loom's mutex in the shape of parking_lot's, which is never poisoned.
    #[derive(Debug)]
    pub struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("a loom model that panics has failed already")
        }
    }
}
