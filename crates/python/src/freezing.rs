//! The quick part of `freeze`: containers of the interpreter's own types, with nothing in them but more of them and what
//! is known to be immutable. All else, and what is nested deeply, contains itself or raises, is left to Python
//! (`remuda.capabilities.freezing`), which hands the parts of what it takes apart back to here.
//!
//! What was shared stays shared by a memo, which is Python's, too. A container that only its parent refers to can't be
//! met again, and needs no place in it. What was left to Python once isn't tried again, so that whatever the order, each
//! container is looked through here at most twice.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use pyo3::exceptions::PyException;
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyFrozenSet, PyList, PySet, PyTuple};

use crate::frozen_dict::FrozenDict;
use crate::glance::{is_plain, unknown_in};
use crate::sendable::Address;

/// How deep a container may be in others: this recurses.
const DEPTH: u32 = 50;

/// Signal handlers are given a chance this often.
const CONTAINERS_BETWEEN_SIGNALS: u32 = 1 << 16;

#[derive(Debug)]
enum Entry {
    /// Left to Python, by address alone: should another object get it, that is left to Python as well.
    Left,
    /// Python is in it, with a frame.
    Within(Py<PyAny>, Py<PyAny>),
    /// The object, and what has become of it.
    Done(Py<PyAny>, Py<PyAny>),
}

/// What a walk has frozen already, by identity.
#[pyclass(module = "remuda", name = "_Memo")]
#[derive(Debug)]
pub struct Memo {
    of: HashMap<usize, Entry, BuildHasherDefault<Address>>,
    seen: u32,
}

#[pymethods]
impl Memo {
    #[new]
    fn new() -> Self {
        Self { of: HashMap::default(), seen: 0 }
    }

    #[pyo3(signature = (obj, /))]
    fn get(&self, obj: &Bound<'_, PyAny>) -> Option<Py<PyAny>> {
        match self.of.get(&address(obj))? {
            Entry::Left => None,
            Entry::Within(_, frame) => Some(frame.clone_ref(obj.py())),
            Entry::Done(_, frozen) => Some(frozen.clone_ref(obj.py())),
        }
    }

    #[pyo3(signature = (obj, frozen, /))]
    fn put(&mut self, obj: &Bound<'_, PyAny>, frozen: Py<PyAny>) {
        self.of.insert(address(obj), Entry::Done(obj.clone().unbind(), frozen));
    }

    #[pyo3(signature = (obj, frame, /))]
    fn enter(&mut self, obj: &Bound<'_, PyAny>, frame: Py<PyAny>) {
        self.of.insert(address(obj), Entry::Within(obj.clone().unbind(), frame));
    }

    #[pyo3(signature = (parts, /))]
    fn freeze_in<'py>(&mut self, parts: Bound<'py, PyTuple>) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyTuple>)> {
        let py = parts.py();
        let unknown = unknown_in(py, parts.as_slice())?;
        let mut done: Option<Vec<Bound<'_, PyAny>>> = None;
        let mut left = Vec::new();
        for at in unknown {
            let part = &parts.as_slice()[at];
            match self.freeze(part, 0, DEPTH)? {
                None => left.push(at),
                Some(frozen) if frozen.is(part) => {}
                Some(frozen) => done.get_or_insert_with(|| parts.as_slice().to_vec())[at] = frozen,
            }
        }
        let left = if left.is_empty() { PyTuple::empty(py) } else { PyTuple::new(py, left)? };
        match done {
            Some(done) => Ok((PyTuple::new(py, done)?, left)),
            None => Ok((parts, left)),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.of.values().try_for_each(|entry| match entry {
            Entry::Left => Ok(()),
            Entry::Within(object, other) | Entry::Done(object, other) => {
                visit.call(object)?;
                visit.call(other)
            }
        })
    }

    fn __clear__(&mut self) {
        let old = std::mem::take(&mut self.of);
        drop(old);
    }
}

/// A frozen copy of plain containers, or an object itself if it is known to be immutable; None if it is anything else.
#[pyfunction]
#[pyo3(signature = (obj, /))]
pub fn _freeze_plain<'py>(obj: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if unknown_in(obj.py(), std::slice::from_ref(obj))?.is_empty() {
        return Ok(Some(obj.clone()));
    }
    if !is_container(obj) {
        return Ok(None);
    }
    Memo::new().freeze(obj, 0, DEPTH)
}

/// Sets attributes as `object.__setattr__` does, whatever the class makes of it. It has to be one made in Python.
#[pyfunction]
#[pyo3(signature = (obj, names, values, /))]
pub fn _set_attributes(
    obj: &Bound<'_, PyAny>,
    names: &Bound<'_, PyTuple>,
    values: &Bound<'_, PyTuple>,
) -> PyResult<()> {
    for (name, value) in names.iter_borrowed().zip(values.iter_borrowed()) {
        // SAFETY: living objects; if the name is no string, it says so.
        if unsafe { ffi::PyObject_GenericSetAttr(obj.as_ptr(), name.as_ptr(), value.as_ptr()) } != 0 {
            return Err(PyErr::fetch(obj.py()));
        }
    }
    Ok(())
}

/// Whether an object is of a type that is frozen here.
fn is_container(object: &Bound<'_, PyAny>) -> bool {
    let class = object.get_type_ptr();
    class == &raw mut ffi::PyList_Type
        || class == &raw mut ffi::PyDict_Type
        || class == &raw mut ffi::PyTuple_Type
        || class == &raw mut ffi::PySet_Type
        || class == &raw mut ffi::PyFrozenSet_Type
        || object.is_exact_instance_of::<FrozenDict>()
}

/// What a dict becomes that is nobody else's: the interpreter's own frozendict, from 3.15 on.
fn mapping(dict: Bound<'_, PyDict>) -> PyResult<Bound<'_, PyAny>> {
    static OWN: PyOnceLock<Option<Py<PyAny>>> = PyOnceLock::new();
    let py = dict.py();
    let own = OWN
        .get_or_try_init(py, || Ok::<_, PyErr>(py.import("builtins")?.getattr_opt("frozendict")?.map(Bound::unbind)))?;
    match own {
        Some(class) => class.bind(py).call1((dict,)),
        None => Ok(Bound::new(py, FrozenDict::around(dict))?.into_any()),
    }
}

fn address(object: &Bound<'_, PyAny>) -> usize {
    object.as_ptr() as usize
}

/// Whether nothing but so many known holders refers to an object. Without a GIL counts don't tell.
fn has_only(object: &Bound<'_, PyAny>, holders: isize) -> bool {
    // SAFETY: a living object.
    cfg!(not(Py_GIL_DISABLED)) && unsafe { ffi::Py_REFCNT(object.as_ptr()) as isize } <= holders
}

impl Memo {
    /// Freezes what isn't known to be immutable.
    ///
    /// `holders` is how many references to it are those of its parent, and of what was made of that here.
    fn freeze<'py>(
        &mut self,
        object: &Bound<'py, PyAny>,
        holders: isize,
        depth: u32,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = object.py();
        match self.of.get(&address(object)) {
            Some(Entry::Done(_, frozen)) => return Ok(Some(frozen.bind(py).clone())),
            Some(Entry::Left | Entry::Within(..)) => return Ok(None),
            None if depth == 0 || !is_container(object) => return Ok(None),
            None => {}
        }
        let only_here = has_only(object, holders);
        if !only_here {
            // Where it contains itself, it is met like this.
            self.of.insert(address(object), Entry::Left);
        }
        self.seen += 1;
        if self.seen.is_multiple_of(CONTAINERS_BETWEEN_SIGNALS) {
            py.check_signals()?;
        }
        let frozen = match self.look_into(object, depth - 1) {
            // Python comes upon it as well, and says where.
            Err(error) if error.is_instance_of::<PyException>(py) => None,
            other => other?,
        };
        if frozen.is_none() {
            self.of.insert(address(object), Entry::Left);
        } else if let Some(frozen) = &frozen
            && !only_here
        {
            let entry = Entry::Done(object.clone().unbind(), frozen.clone().unbind());
            self.of.insert(address(object), entry);
        }
        Ok(frozen)
    }

    fn look_into<'py>(&mut self, object: &Bound<'py, PyAny>, depth: u32) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = object.py();
        if let Ok(list) = object.cast_exact::<PyList>() {
            let items = list.to_tuple();
            return Ok(self.items(&items, 2, depth)?.map(Bound::into_any));
        }
        if let Ok(dict) = object.cast_exact::<PyDict>() {
            let own = dict.copy()?;
            return self.values(&own, Some(own.clone()), depth)?.flatten().map(mapping).transpose();
        }
        if let Ok(tuple) = object.cast_exact::<PyTuple>() {
            return Ok(self.items(tuple, 1, depth)?.map(Bound::into_any));
        }
        if let Ok(frozen) = object.cast_exact::<FrozenDict>() {
            return match self.values(frozen.get().inside(py), None, depth)? {
                Some(Some(changed)) => mapping(changed).map(Some),
                Some(None) => Ok(Some(object.clone())),
                None => Ok(None),
            };
        }
        let set = if object.cast_exact::<PySet>().is_ok() {
            py.get_type::<PyFrozenSet>().call1((object,))?
        } else if object.cast_exact::<PyFrozenSet>().is_ok() {
            object.clone()
        } else {
            return Ok(None);
        };
        let members: Vec<Bound<'_, PyAny>> = set.cast::<PyFrozenSet>()?.iter().collect();
        Ok(unknown_in(py, &members)?.is_empty().then_some(set))
    }

    /// The items, frozen; those that were given, if they are.
    fn items<'py>(
        &mut self,
        items: &Bound<'py, PyTuple>,
        holders: isize,
        depth: u32,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let mut done: Option<Vec<Bound<'_, PyAny>>> = None;
        for at in unknown_in(items.py(), items.as_slice())? {
            let item = &items.as_slice()[at];
            // What is done has copies of the references.
            let Some(frozen) = self.freeze(item, holders + isize::from(done.is_some()), depth)? else {
                return Ok(None);
            };
            if !frozen.is(item) {
                done.get_or_insert_with(|| items.as_slice().to_vec())[at] = frozen;
            }
        }
        match done {
            Some(done) => Ok(Some(PyTuple::new(items.py(), done)?)),
            None => Ok(Some(items.clone())),
        }
    }

    /// A copy of a dict with its values frozen: the one given, or another one if any value had to be.
    #[expect(clippy::option_option, reason = "it may be that nothing had to be done, and that it couldn't be")]
    fn values<'py>(
        &mut self,
        dict: &Bound<'py, PyDict>,
        mut copy: Option<Bound<'py, PyDict>>,
        depth: u32,
    ) -> PyResult<Option<Option<Bound<'py, PyDict>>>> {
        if dict.iter().all(|(key, value)| is_plain(&key) && is_plain(&value)) {
            return Ok(Some(copy));
        }
        let half = dict.len();
        let mut parts = Vec::with_capacity(2 * half);
        parts.extend(dict.iter().map(|(key, _)| key));
        parts.extend(dict.iter().map(|(_, value)| value));
        for at in unknown_in(dict.py(), &parts)? {
            // A key can only be frozen to another one.
            if at < half {
                return Ok(None);
            }
            // The dict that it was found in, `parts`, and the copy.
            let holders = 2 + isize::from(copy.is_some());
            let Some(frozen) = self.freeze(&parts[at], holders, depth)? else { return Ok(None) };
            if !frozen.is(&parts[at]) {
                if copy.is_none() {
                    copy = Some(dict.copy()?);
                }
                if let Some(copy) = &copy {
                    copy.set_item(&parts[at - half], frozen)?;
                }
            }
        }
        Ok(Some(copy))
    }
}
