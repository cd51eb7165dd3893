//! Making objects of our classes at the price of an allocation.
//!
//! PyO3 makes an object as Python code would, through the type's `tp_new`, which for a spawn or a send costs as much as
//! everything else. Here the memory is taken from the interpreter and the value written where PyO3 expects it; that
//! place is learned from one object that PyO3 has made.

use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use pyo3::pyclass::boolean_struct::True;
use pyo3::types::PyType;
use pyo3::{PyClass, ffi, prelude::*};

#[cfg(not(Py_GIL_DISABLED))]
use crate::guarded::Guarded;

/// Where a class's value lies in its objects, the class itself, and the memory of its last objects.
pub struct Layout {
    class: AtomicPtr<ffi::PyTypeObject>,
    offset: AtomicUsize,
    spare: Spare,
}

/// The memory of objects that have gone, for the next ones: only of a class with our destructor, and only under a GIL.
#[cfg(not(Py_GIL_DISABLED))]
struct Spare(Guarded<([*mut ffi::PyObject; 8], usize)>);

// SAFETY: memory that nobody refers to, behind a guard.
#[cfg(not(Py_GIL_DISABLED))]
unsafe impl Sync for Spare {}

#[cfg(not(Py_GIL_DISABLED))]
impl Spare {
    const fn new() -> Self {
        Self(Guarded::new(([std::ptr::null_mut(); 8], 0)))
    }

    #[inline]
    fn take(&self) -> Option<*mut ffi::PyObject> {
        let (memory, kept) = &mut *self.0.try_lock()?;
        *kept = kept.checked_sub(1)?;
        memory.get(*kept).copied()
    }

    #[inline]
    fn keep(&self, object: *mut ffi::PyObject) -> bool {
        let Some(mut spare) = self.0.try_lock() else { return false };
        let (memory, kept) = &mut *spare;
        let Some(place) = memory.get_mut(*kept) else { return false };
        *place = object;
        *kept += 1;
        true
    }
}

/// On a free-threaded build the interpreter's own allocator, one for each thread, is better than a shared list.
#[cfg(Py_GIL_DISABLED)]
struct Spare;

#[cfg(Py_GIL_DISABLED)]
impl Spare {
    const fn new() -> Self {
        Self
    }

    fn take(&self) -> Option<*mut ffi::PyObject> {
        None
    }

    fn keep(&self, _object: *mut ffi::PyObject) -> bool {
        false
    }
}

impl Layout {
    pub const fn new() -> Self {
        Self { class: AtomicPtr::new(std::ptr::null_mut()), offset: AtomicUsize::new(0), spare: Spare::new() }
    }

    /// The class, for a quick look whether an object is of it; null before the first object was made.
    #[inline]
    pub fn class(&self) -> *mut ffi::PyTypeObject {
        // Acquire pairs with the release in `learn`: whoever sees the class sees the offset.
        self.class.load(Ordering::Acquire)
    }
}

/// A class whose objects are made by [`new`]; implemented by [`allocated!`].
///
/// # Safety
/// `layout` must be the class's own, used for no other class.
pub unsafe trait Allocated: PyClass<Frozen = True> + Sync {
    fn layout() -> &'static Layout;
    /// Makes an object in PyO3's way.
    fn make(self, py: Python<'_>) -> PyResult<Bound<'_, Self>>;
}

/// Lets [`new`] make objects of a class.
macro_rules! allocated {
    ($class:ty) => {
        // SAFETY: the static is this class's own.
        unsafe impl $crate::alloc::Allocated for $class {
            fn layout() -> &'static $crate::alloc::Layout {
                static LAYOUT: $crate::alloc::Layout = $crate::alloc::Layout::new();
                &LAYOUT
            }

            fn make(self, py: pyo3::Python<'_>) -> pyo3::PyResult<pyo3::Bound<'_, Self>> {
                pyo3::Bound::new(py, self)
            }
        }
    };
}
pub(crate) use allocated;

/// Learns the layout of a class from an object of it.
#[cold]
fn learn<T: Allocated>(example: &Bound<'_, T>) {
    let offset = std::ptr::from_ref(example.get()) as usize - example.as_ptr() as usize;
    T::layout().offset.store(offset, Ordering::Relaxed);
    T::layout().class.store(example.as_any().get_type().as_type_ptr(), Ordering::Release);
}

/// A class whose objects are taken apart without PyO3.
pub trait Released: Allocated {
    /// Drops the parts of an object. Each reference is bound first, because PyO3 may not know that the thread is attached
    /// (see `awaitable::attached`).
    fn release(self, py: Python<'_>);
}

/// Gives a class a destructor without detours.
pub fn install_destructor<T: Released>(py: Python<'_>) {
    let class = T::type_object_raw(py);
    // SAFETY: a heap type that PyO3 has just made, of which no instance exists.
    unsafe {
        (*class).tp_dealloc = Some(dealloc::<T>);
        ffi::PyType_Modified(class);
    }
}

unsafe extern "C" fn dealloc<T: Released>(object: *mut ffi::PyObject) {
    // SAFETY: an object of the class whose last reference has gone: its value is moved out, and its memory not looked at
    // again.
    unsafe {
        let py = Python::assume_attached();
        let class = ffi::Py_TYPE(object);
        let collected = ffi::PyType_HasFeature(class, ffi::Py_TPFLAGS_HAVE_GC) != 0;
        if collected {
            ffi::PyObject_GC_UnTrack(object.cast());
        }
        if has_weak_references(object) {
            ffi::PyObject_ClearWeakRefs(object);
        }
        let value = std::ptr::from_ref(Borrowed::from_ptr(py, object).cast_unchecked::<T>().get());
        value.read().release(py);
        if T::layout().spare.keep(object) {
            // For the next one. The collector goes on counting it as one that is there.
        } else if collected {
            ffi::PyObject_GC_Del(object.cast());
        } else {
            ffi::PyObject_Free(object.cast());
        }
        ffi::Py_DECREF(class.cast());
    }
}

/// Whether there may be any.
///
/// # Safety
/// A living object.
#[inline]
unsafe fn has_weak_references(object: *mut ffi::PyObject) -> bool {
    // SAFETY: the contract; the list is where the type says.
    unsafe {
        match (*ffi::Py_TYPE(object)).tp_weaklistoffset {
            0 => false,
            // Without a GIL another thread may be at it: the interpreter looks itself.
            _ if cfg!(Py_GIL_DISABLED) => true,
            place if place > 0 => !object.byte_offset(place).cast::<*mut ffi::PyObject>().read().is_null(),
            _ => true,
        }
    }
}

/// Makes an object, the first of its class in PyO3's way.
#[inline]
pub fn new<T: Allocated>(py: Python<'_>, value: T) -> PyResult<Bound<'_, T>> {
    match try_new(py, value) {
        Ok(object) => Ok(object),
        Err(value) => {
            let object = value.make(py)?;
            learn(&object);
            Ok(object)
        }
    }
}

/// Makes an object whose destructor somebody waits for: it runs when and where the last reference goes.
///
/// Without a GIL an object belongs to the thread that made it. If its last reference goes on another thread, the
/// destructor waits until the owner runs Python again, and a thread that sleeps in its event loop does not. So the object
/// has no owner from the start: it is counted like one that was merged (`_Py_REF_MERGED` in CPython's `refcount.h`).
#[inline]
pub fn new_unowned<T: Allocated>(py: Python<'_>, value: T) -> PyResult<Bound<'_, T>> {
    let object = new(py, value)?;
    #[cfg(Py_GIL_DISABLED)]
    disown(&object);
    Ok(object)
}

#[cfg(Py_GIL_DISABLED)]
fn disown<T>(object: &Bound<'_, T>) {
    const SHARED_SHIFT: isize = 2;
    const MERGED: isize = 3;
    // SAFETY: a new object, to which only this thread has a reference, and only one; the collector looks at it when this
    // thread has stopped, which it does not in between.
    unsafe {
        let object = object.as_ptr();
        let references = (*object).ob_ref_local.load(Ordering::Relaxed);
        if references == 1 && (*object).ob_ref_shared.load(Ordering::Relaxed) == 0 {
            (*object).ob_tid = 0;
            (*object).ob_ref_local.store(0, Ordering::Relaxed);
            (*object).ob_ref_shared.store((1 << SHARED_SHIFT) | MERGED, Ordering::Release);
        }
    }
}

/// Makes an object of a subclass that Python code has defined, the first one by `make`, which calls that class. Only one
/// subclass of a class is made faster, the first that is asked for; its `__init__` is not called, and its slots are empty.
#[inline]
pub fn new_of<'py, T: Allocated>(
    class: &Bound<'py, PyType>,
    mut value: T,
    make: impl FnOnce(&T) -> PyResult<Bound<'py, T>>,
) -> PyResult<Bound<'py, T>> {
    if T::layout().class() == class.as_type_ptr() {
        match try_new(class.py(), value) {
            Ok(object) => return Ok(object),
            Err(back) => value = back,
        }
    }
    let object = make(&value)?;
    // SAFETY: the class of a living object.
    let is_fixed = unsafe { (*class.as_type_ptr()).tp_dictoffset == 0 && (*class.as_type_ptr()).tp_itemsize == 0 };
    if is_fixed && T::layout().class().is_null() {
        learn(&object);
    }
    Ok(object)
}

/// Makes an object, or hands the value back: it is the first of its class, or there is no memory.
#[inline]
pub fn try_new<T: Allocated>(py: Python<'_>, value: T) -> Result<Bound<'_, T>, T> {
    let class = T::layout().class();
    if class.is_null() {
        return Err(value);
    }
    let offset = T::layout().offset.load(Ordering::Relaxed);
    // SAFETY: `learn` has seen a complete object of this class, which is of fixed size. The memory is that of a new
    // object; all of it that is not ours (weak references, slots) starts as zero, and the value is written before
    // anybody, the collector included, can see the object.
    unsafe {
        let collected = ffi::PyType_HasFeature(class, ffi::Py_TPFLAGS_HAVE_GC) != 0;
        let object: *mut ffi::PyObject = match T::layout().spare.take() {
            Some(spare) => ffi::PyObject_Init(spare, class),
            None if collected => ffi::PyObject_GC_New(class),
            None => ffi::PyObject_New(class),
        };
        if object.is_null() {
            ffi::PyErr_Clear();
            return Err(value);
        }
        let end = offset + size_of::<T>();
        let rest = (*class).tp_basicsize as usize - end;
        if rest > 0 {
            std::ptr::write_bytes(object.cast::<u8>().add(end), 0, rest);
        }
        object.cast::<u8>().add(offset).cast::<T>().write(value);
        if collected {
            ffi::PyObject_GC_Track(object.cast());
        }
        Ok(Bound::from_owned_ptr(py, object).cast_into_unchecked())
    }
}
