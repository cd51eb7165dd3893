//! Whether an object may be sent, told at a glance: by its type, or by those of a few parts, which were met before.
//!
//! No Python is run, and what is not known is not said: `sendable` then takes a close look.

#[cfg(not(Py_GIL_DISABLED))]
use std::ffi::{c_int, c_void};

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyString, PyTuple, PyType, PyTzInfoAccess};
use pyo3::{PyTypeInfo, ffi, intern};

use crate::agent::AgentRef;
use crate::alloc::Allocated;
use crate::frozen_dict::FrozenDict;
use crate::sendable::{Rule, RuleOf, learn, with_current_rules};

/// What most messages are: told by the type alone, in a few comparisons.
#[inline]
pub fn is_plain(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: a living object.
    unsafe { is_plain_object(object.as_ptr()) }
}

/// # Safety
/// A living object.
#[inline]
pub unsafe fn is_plain_object(object: *mut ffi::PyObject) -> bool {
    // SAFETY: the contract; of static types the addresses are compared, nothing is read.
    unsafe {
        let class = ffi::Py_TYPE(object);
        class == &raw mut ffi::PyLong_Type
            || class == &raw mut ffi::PyUnicode_Type
            || class == &raw mut ffi::PyBytes_Type
            || class == &raw mut ffi::PyFloat_Type
            || class == &raw mut ffi::PyBool_Type
            || object == ffi::Py_None()
            || class == AgentRef::layout().class()
    }
}

/// What is in the name of a function that was made within another one. To be made before no other thread may run: who
/// makes it waits for whoever is about to.
pub fn mark_of_nested(py: Python<'_>) -> &Bound<'_, PyString> {
    intern!(py, "<locals>")
}

/// Whether a function has caught variables of the one around it, or was made within another one, as its name tells.
///
/// # Safety
/// A living function.
pub unsafe fn is_nested(py: Python<'_>, function: *mut ffi::PyObject) -> bool {
    let locals = mark_of_nested(py).as_ptr();
    let function = function.cast::<ffi::PyFunctionObject>();
    // SAFETY: the contract; to search in a string runs no Python.
    unsafe {
        !(*function).func_closure.is_null()
            || ffi::PyUnicode_Find((*function).func_qualname, locals, 0, isize::MAX, 1) >= 0
    }
}

/// Whether a function has caught nothing, and its name shows at once that it is not nested: a quicker way to that answer.
///
/// # Safety
/// A living function.
unsafe fn is_simply_named(function: *mut ffi::PyObject) -> bool {
    let function = function.cast::<ffi::PyFunctionObject>();
    // SAFETY: the contract; the text lives as long as the name. An error, of a name that is no text, is not passed on.
    unsafe {
        if !(*function).func_closure.is_null() {
            return false;
        }
        let mut length = 0;
        let text = ffi::PyUnicode_AsUTF8AndSize((*function).func_qualname, &raw mut length).cast::<u8>();
        if text.is_null() {
            ffi::PyErr_Clear();
            return false;
        }
        !std::slice::from_raw_parts(text, length as usize).contains(&b'<')
    }
}

/// Whether an object is immutable, all the way down, as far as that can be told without running Python, from what is
/// known of types. False says nothing. Does not panic.
pub fn is_known(object: &Bound<'_, PyAny>) -> bool {
    with_current_rules(|of| {
        let mut glance = Glance::new(object.py(), of);
        // SAFETY: the caller holds the object, which holds its parts: whatever is looked into can't be changed.
        unsafe { glance.knows(object.as_ptr()) }
    })
    .unwrap_or(false)
}

/// At which places there is something that isn't known, as [`is_known`] says it, to be immutable. Types that are met for
/// the first time are asked for.
pub fn unknown_in(py: Python<'_>, parts: &[Bound<'_, PyAny>]) -> PyResult<Vec<usize>> {
    let mut unknown = Vec::new();
    let mut learned: Option<Bound<'_, PyType>> = None;
    let mut at = 0;
    while at < parts.len() {
        let stopped = with_current_rules(|of| {
            for part in &parts[at..] {
                let mut glance = Glance::new(py, of);
                // SAFETY: the caller holds the part.
                if !unsafe { glance.knows(part.as_ptr()) } {
                    // SAFETY: the type of something that lives.
                    let new = glance.new_type.map(|class| unsafe { Borrowed::from_ptr(py, class.cast()) });
                    match new {
                        Some(class) if !learned.as_ref().is_some_and(|last| last.is(&*class)) => {
                            // SAFETY: it is a type.
                            return Some(unsafe { class.to_owned().cast_into_unchecked::<PyType>() });
                        }
                        _ => unknown.push(at),
                    }
                }
                at += 1;
            }
            None
        });
        match stopped {
            Some(None) => {}
            Some(Some(class)) => {
                match learn(&class) {
                    // It stays unknown.
                    Err(error) if error.is_instance_of::<PyException>(py) => {}
                    other => other?,
                }
                learned = Some(class);
            }
            // Nothing is known at the end of a thread.
            None => {
                unknown.extend(at..parts.len());
                at = parts.len();
            }
        }
    }
    Ok(unknown)
}

/// What has more parts is looked at with an eye on signals.
const PARTS_IN_A_GLANCE: u32 = 64;
const DEPTH_OF_A_GLANCE: u32 = 4;

struct Glance<'a, 'py> {
    py: Python<'py>,
    of: Option<&'a RuleOf>,
    parts: u32,
    depth: u32,
    /// The type that it would have had to know.
    new_type: Option<*mut ffi::PyTypeObject>,
}

impl<'a, 'py> Glance<'a, 'py> {
    #[inline]
    fn new(py: Python<'py>, of: Option<&'a RuleOf>) -> Self {
        Self { py, of, parts: PARTS_IN_A_GLANCE, depth: DEPTH_OF_A_GLANCE, new_type: None }
    }

    /// # Safety
    /// A living object.
    #[inline]
    unsafe fn knows(&mut self, object: *mut ffi::PyObject) -> bool {
        // SAFETY: the contract.
        unsafe { is_plain_object(object) || self.knows_inside(object) }
    }

    /// # Safety
    /// As for [`Glance::knows`].
    unsafe fn knows_inside(&mut self, object: *mut ffi::PyObject) -> bool {
        // SAFETY: the contract, for this and for the parts of it.
        unsafe {
            let class = ffi::Py_TYPE(object);
            if class == &raw mut ffi::PyTuple_Type {
                return self.knows_items(object);
            }
            if class == &raw mut ffi::PyFrozenSet_Type {
                return self.knows_what_it_refers_to(object, class);
            }
            if class == &raw mut ffi::PyFunction_Type {
                // One that has caught variables may be a decorated one, which is looked for in its module.
                return is_simply_named(object) || !is_nested(self.py, object);
            }
            match self.of.and_then(|rules| rules.get(&(class as usize))).map(|rule| &**rule) {
                None => {
                    self.new_type = Some(class);
                    false
                }
                Some(Rule::Yes) => true,
                Some(Rule::Items) if ffi::PyTuple_Check(object) != 0 => self.knows_items(object),
                Some(Rule::Items | Rule::InSight(_)) => self.knows_what_it_refers_to(object, class),
                Some(Rule::Moment) => {
                    let zone = Borrowed::from_ptr(self.py, object).cast_unchecked::<PyDateTime>().get_tzinfo();
                    zone.is_none_or(|zone| {
                        let is_utc = zone.as_ptr() == (*ffi::PyDateTimeAPI()).TimeZone_UTC;
                        is_utc || self.goes_deeper(|deeper| deeper.knows(zone.as_ptr()))
                    })
                }
                Some(Rule::Asks(_)) if class == FrozenDict::type_object_raw(self.py) => self.knows_mapping(object),
                _ => false,
            }
        }
    }

    /// # Safety
    /// As for [`Glance::knows`]; the object is a tuple.
    #[inline]
    unsafe fn knows_items(&mut self, object: *mut ffi::PyObject) -> bool {
        self.goes_deeper(|deeper| {
            // SAFETY: the contract; the items live as long as the tuple.
            unsafe {
                let items = Borrowed::from_ptr(deeper.py, object).cast_unchecked::<PyTuple>();
                deeper.counts(items.len()) && items.iter_borrowed().all(|item| deeper.knows(item.as_ptr()))
            }
        })
    }

    /// # Safety
    /// As for [`Glance::knows`]; the object is a `FrozenDict`.
    unsafe fn knows_mapping(&mut self, object: *mut ffi::PyObject) -> bool {
        self.goes_deeper(|deeper| {
            // SAFETY: the contract; nothing changes the dict inside, which holds its keys and values.
            unsafe {
                let mapping = Borrowed::from_ptr(deeper.py, object).cast_unchecked::<FrozenDict>();
                let dict = mapping.get().inside(deeper.py);
                let (mut place, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
                deeper.counts(dict.len())
                    && loop {
                        if ffi::PyDict_Next(dict.as_ptr(), &raw mut place, &raw mut key, &raw mut value) == 0 {
                            break true;
                        }
                        if !(deeper.knows(key) && deeper.knows(value)) {
                            break false;
                        }
                    }
            }
        })
    }

    #[inline]
    fn counts(&mut self, parts: usize) -> bool {
        let left = (self.parts as usize).checked_sub(parts);
        self.parts = left.unwrap_or_default() as u32;
        left.is_some()
    }

    #[inline]
    fn goes_deeper(&mut self, look: impl FnOnce(&mut Self) -> bool) -> bool {
        if self.depth == 0 {
            return false;
        }
        self.depth -= 1;
        let known = look(self);
        self.depth += 1;
        known
    }

    /// Whether it knows all that the garbage collector is shown by an object.
    ///
    /// # Safety
    /// As for [`Glance::knows`]; the object has the type.
    #[cfg(not(Py_GIL_DISABLED))]
    unsafe fn knows_what_it_refers_to(&mut self, object: *mut ffi::PyObject, class: *mut ffi::PyTypeObject) -> bool {
        extern "C" fn visit(part: *mut ffi::PyObject, look: *mut c_void) -> c_int {
            // SAFETY: what is passed below, where nothing else uses it meanwhile.
            let (glance, class) = unsafe { &mut *look.cast::<(&mut Glance<'_, '_>, *mut ffi::PyTypeObject)>() };
            // SAFETY: a living object has living parts, and the interpreter has called its function on this thread.
            let known = part == class.cast() || glance.counts(1) && unsafe { glance.knows(part) };
            c_int::from(!known)
        }
        // SAFETY: the type of a living object.
        let Some(traverse) = (unsafe { (*class).tp_traverse }) else { return false };
        self.goes_deeper(|deeper| {
            let mut look = (deeper, class);
            // SAFETY: the object's own function, which runs no Python; the argument is what `visit` takes it for.
            unsafe { traverse(object, visit, (&raw mut look).cast()) == 0 }
        })
    }

    /// Another thread might be at the attributes, by `object.__setattr__`: they are asked for one by one.
    ///
    /// # Safety
    /// None is needed.
    #[cfg(Py_GIL_DISABLED)]
    unsafe fn knows_what_it_refers_to(&mut self, _object: *mut ffi::PyObject, _class: *mut ffi::PyTypeObject) -> bool {
        false
    }
}
