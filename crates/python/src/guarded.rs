//! A lock that costs nothing where the interpreter's own lock does its work.
//!
//! Whoever reaches an object of ours is attached to the interpreter. On a build with a GIL that means that it is alone,
//! for as long as it doesn't run Python code, and no code of ours runs Python with a guard in hand (design invariant:
//! never run Python, nor drop a Python reference, under a native lock). So there the guard is a flag that catches a
//! mistake; on a free-threaded build it is a real lock, of one byte.

#[cfg(Py_GIL_DISABLED)]
pub use remuda_kernel::sync::Mutex as Guarded;

#[cfg(not(Py_GIL_DISABLED))]
pub use alone::Guarded;

#[cfg(not(Py_GIL_DISABLED))]
mod alone {
    use std::cell::{Cell, UnsafeCell};
    use std::ops::{Deref, DerefMut};

    /// A value that is reached through a guard; one guard at a time.
    #[derive(Debug)]
    pub struct Guarded<T> {
        held: Cell<bool>,
        value: UnsafeCell<T>,
    }

    // SAFETY: every access happens on a thread that holds the GIL and does not let go of it while it has a guard: see
    // the top of this file.
    unsafe impl<T: Send> Sync for Guarded<T> {}

    /// The right to use the value.
    pub struct Guard<'a, T>(&'a Guarded<T>);

    impl<T> Guarded<T> {
        pub const fn new(value: T) -> Self {
            Self { held: Cell::new(false), value: UnsafeCell::new(value) }
        }

        #[inline]
        pub fn lock(&self) -> Guard<'_, T> {
            self.try_lock().expect("a guard is never held while other code of Remuda runs")
        }

        #[inline]
        pub fn into_inner(self) -> T {
            self.value.into_inner()
        }

        #[inline]
        pub fn try_lock(&self) -> Option<Guard<'_, T>> {
            (!self.held.replace(true)).then_some(Guard(self))
        }
    }

    impl<T> Deref for Guard<'_, T> {
        type Target = T;

        #[inline]
        fn deref(&self) -> &T {
            // SAFETY: `held` is set by this guard alone.
            unsafe { &*self.0.value.get() }
        }
    }

    impl<T> DerefMut for Guard<'_, T> {
        #[inline]
        fn deref_mut(&mut self) -> &mut T {
            // SAFETY: `held` is set by this guard alone.
            unsafe { &mut *self.0.value.get() }
        }
    }

    impl<T> Drop for Guard<'_, T> {
        #[inline]
        fn drop(&mut self) {
            self.0.held.set(false);
        }
    }
}
