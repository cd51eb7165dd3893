//! `Iso`: the only reference to an object that its owner keeps, until it is given away.

use std::ops::DerefMut;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyList;

use crate::alloc::allocated;
use crate::awaitable::attached;
use crate::guarded::Guarded;
use crate::handles::{Val, refuse_handle};
use crate::place::Place;
use crate::{alloc, errors, isolation, sendable};

#[derive(Debug)]
enum Content {
    Held(Py<PyAny>),
    /// How it was given away, and where.
    Moved(&'static str, Option<Place>),
}

/// The only reference to an object that its owner keeps, until it is given away.
#[pyclass(frozen, generic, weakref, module = "remuda")]
#[derive(Debug)]
pub struct Iso {
    content: Guarded<Content>,
}

allocated!(Iso);

impl Iso {
    pub fn holding(object: Py<PyAny>) -> Self {
        Self { content: Guarded::new(Content::Held(object)) }
    }

    /// Whether the object is still in it.
    pub fn holds(&self) -> bool {
        matches!(*self.content.lock(), Content::Held(_))
    }

    /// Gives the object away. Of two that try at once, one gets it.
    pub fn give_away(&self, py: Python<'_>, how: &'static str) -> PyResult<Py<PyAny>> {
        let place = Place::here(py);
        Self::moved_out(self.content.lock(), how, place).ok_or_else(|| self.moved_error(py))
    }

    /// The same, but None if it was given away before, or somebody is just looking at it. Does not panic.
    #[inline]
    pub fn try_give_away(&self, py: Python<'_>, how: &'static str) -> Option<Py<PyAny>> {
        let place = Place::here(py);
        let Some(content) = self.content.try_lock() else {
            attached(|_| drop(place));
            return None;
        };
        Self::moved_out(content, how, place)
    }

    #[inline]
    fn moved_out(
        mut content: impl DerefMut<Target = Content>,
        how: &'static str,
        place: Option<Place>,
    ) -> Option<Py<PyAny>> {
        match std::mem::replace(&mut *content, Content::Moved(how, place)) {
            Content::Held(object) => Some(object),
            moved => {
                let place = std::mem::replace(&mut *content, moved);
                drop(content);
                attached(|_| drop(place));
                None
            }
        }
    }

    /// Takes back what could not be given away.
    pub fn take_back(&self, object: Py<PyAny>) {
        let old = std::mem::replace(&mut *self.content.lock(), Content::Held(object));
        attached(|_| drop(old));
    }

    fn object(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if let Content::Held(object) = &*self.content.lock() {
            return Ok(object.clone_ref(py));
        }
        Err(self.moved_error(py))
    }

    /// What the object became: "sent at file:line".
    fn fate(&self, py: Python<'_>) -> String {
        // Told outside of the lock, because that runs Python.
        let (how, place) = match &*self.content.lock() {
            Content::Held(_) => return "held".to_owned(),
            Content::Moved(how, place) => (*how, place.as_ref().map(|place| place.copy(py))),
        };
        match place.map(|place| place.display(py)) {
            Some(Ok(place)) => format!("{how} at {place}"),
            _ => how.to_owned(),
        }
    }

    #[cold]
    fn moved_error(&self, py: Python<'_>) -> PyErr {
        let text = format!("expected an iso that still holds its object, but this one was {}", self.fate(py));
        errors::make(errors::moved_error(py), (text,))
    }
}

#[pymethods]
impl Iso {
    #[new]
    #[pyo3(signature = (value, /))]
    fn new(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        refuse_handle(value, "iso")?;
        Ok(Self::holding(value.clone().unbind()))
    }

    /// The object, for its owner to use.
    #[getter]
    fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.object(py)
    }

    /// Whether the object was given away.
    #[getter]
    fn moved(&self) -> bool {
        !self.holds()
    }

    /// Takes the object out.
    fn take(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.give_away(py, "taken")
    }

    /// Freezes the object and shares it.
    fn share<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        share(slf)
    }

    fn __copy__(&self, py: Python<'_>) -> PyResult<()> {
        Err(not_copied(py))
    }

    fn __deepcopy__(&self, py: Python<'_>, _memo: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(not_copied(py))
    }

    fn __reduce__(&self, py: Python<'_>) -> PyResult<()> {
        Err(not_copied(py))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        match self.object(py) {
            Ok(object) => Ok(format!("iso({})", object.bind(py).repr()?)),
            Err(_) => Ok(format!("<iso {}>", self.fate(py))),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.content.try_lock().as_deref() {
            Some(Content::Held(object)) => visit.call(object),
            Some(Content::Moved(_, Some(place))) => place.traverse(&visit),
            Some(Content::Moved(_, None)) | None => Ok(()),
        }
    }

    fn __clear__(&self) {
        let old = std::mem::replace(&mut *self.content.lock(), Content::Moved("collected", None));
        drop(old);
    }
}

fn not_copied(py: Python<'_>) -> PyErr {
    let text = "expected to move an iso, not to copy it: it is the only reference; freeze(x) makes a copy to share";
    errors::make(errors::capability_error(py), (text,))
}

/// Whether [`iso`] proves its object isolated where it isn't said. Relaxed: nothing else hangs on it.
static PROVES: AtomicBool = AtomicBool::new(false);

/// Sets that, and returns what it was.
#[pyfunction]
#[pyo3(signature = (on, /))]
pub fn _prove_isos(on: bool) -> bool {
    PROVES.swap(on, Ordering::Relaxed)
}

/// Makes an `Iso`: the caller gives up every other reference to the object.
#[pyfunction]
#[pyo3(signature = (value, /, *, prove = None))]
pub fn iso<'py>(value: &Bound<'py, PyAny>, prove: Option<bool>) -> PyResult<Bound<'py, Iso>> {
    let py = value.py();
    refuse_handle(value, "iso")?;
    if prove.unwrap_or_else(|| PROVES.load(Ordering::Relaxed)) {
        isolation::prove_temporary(value)?;
    }
    alloc::new(py, Iso::holding(value.clone().unbind()))
}

/// An iso becomes a val: its object is given away and frozen. If it can't be, the iso keeps it.
pub fn share<'py>(handle: &Bound<'py, Iso>) -> PyResult<Bound<'py, PyAny>> {
    static FREEZE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = handle.py();
    // Nothing but the list has it, so that what it consists of need not be copied.
    let held = PyList::new(py, [handle.get().give_away(py, "shared")?])?;
    let frozen = (|| {
        let object = held.get_item(0)?;
        if sendable::is_immutable(&object)? {
            return Ok(object);
        }
        drop(object);
        errors::imported(py, &FREEZE, "remuda.capabilities.freezing", "freeze_held")?.call1((&held,))
    })();
    match frozen {
        Ok(frozen) => Ok(alloc::new(py, Val::of_immutable(frozen.unbind()))?.into_any()),
        Err(error) => {
            handle.get().take_back(held.get_item(0)?.unbind());
            Err(error)
        }
    }
}
