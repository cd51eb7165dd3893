//! The handles that say how an object may be shared: `Iso` owns it alone and gives it away, `Val` shares what is
//! immutable, `Tag` lets it be recognised and no more.

use std::ops::DerefMut;

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyTuple};
use pyo3::{PyTypeInfo, ffi, intern};

use crate::alloc::allocated;
use crate::awaitable::attached;
use crate::guarded::Guarded;
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

/// A handle in a handle is a mistake.
fn refuse_handle(value: &Bound<'_, PyAny>, what: &str) -> PyResult<()> {
    static IS_HANDLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    // SAFETY: the type of a live object.
    let built_in = unsafe { ffi::PyType_HasFeature(value.get_type_ptr(), ffi::Py_TPFLAGS_HEAPTYPE) } == 0;
    if built_in {
        return Ok(()); // no handle's type is
    }
    let py = value.py();
    let is_handle = errors::imported(py, &IS_HANDLE, "remuda.capabilities.rules", "is_handle")?;
    if is_handle.call1((value,))?.is_truthy()? {
        let kind = value.get_type().name()?;
        return Err(PyTypeError::new_err(format!("expected a bare object for {what}, got a handle of type {kind}")));
    }
    Ok(())
}

/// Makes an `Iso`: the caller gives up every other reference to the object.
#[pyfunction]
#[pyo3(signature = (value, /, *, prove = false))]
pub fn iso<'py>(value: &Bound<'py, PyAny>, prove: bool) -> PyResult<Bound<'py, Iso>> {
    let py = value.py();
    refuse_handle(value, "iso")?;
    if prove {
        isolation::prove_temporary(value)?;
    }
    alloc::new(py, Iso::holding(value.clone().unbind()))
}

/// Moves what a handle holds into a new one: whoever has the old one has nothing any more.
#[pyfunction]
#[pyo3(signature = (handle, /))]
pub fn consume<'py>(handle: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = handle.py();
    if let Ok(handle) = handle.cast::<Iso>() {
        let object = handle.get().give_away(py, "consumed")?;
        return Ok(alloc::new(py, Iso::holding(object))?.into_any());
    }
    if handle.is_instance_of::<Val>() || handle.is_instance_of::<Tag>() {
        return Ok(handle.clone());
    }
    let Some(consume) = handle.getattr_opt(intern!(py, "_consume"))? else {
        let kind = handle.get_type().name()?;
        return Err(PyTypeError::new_err(format!("expected a handle such as an iso to consume, got {kind}")));
    };
    consume.call0()
}

/// Shares an object: all may read it, because nobody can change it.
#[pyclass(frozen, generic, weakref, module = "remuda")]
#[derive(Debug)]
pub struct Val {
    content: Py<PyAny>,
}

allocated!(Val);

impl Val {
    /// The caller knows that the object is immutable, all the way down.
    pub fn of_immutable(content: Py<PyAny>) -> Self {
        Self { content }
    }

    pub fn content(&self) -> &Py<PyAny> {
        &self.content
    }
}

#[pymethods]
impl Val {
    #[new]
    #[pyo3(signature = (value, /))]
    fn new(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        refuse_handle(value, "Val")?;
        if !sendable::is_immutable(value)? {
            return Err(not_sendable(value, "val"));
        }
        Ok(Self::of_immutable(value.clone().unbind()))
    }

    /// The object.
    #[getter]
    fn value(&self, py: Python<'_>) -> Py<PyAny> {
        self.content.clone_ref(py)
    }

    /// Another handle of the same: itself.
    fn share(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __eq__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        match other.cast::<Self>() {
            Ok(other) => slf
                .get()
                .content
                .bind(py)
                .eq(&other.get().content)
                .map(|equal| pyo3::types::PyBool::new(py, equal).to_owned().into_any()),
            Err(_) => Ok(py.NotImplemented().into_bound(py)),
        }
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.content.bind(py).hash()
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        (Self::type_object(py), (slf.get().content.bind(py),)).into_pyobject(py)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("val({})", self.content.bind(py).repr()?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.content)
    }
}

/// Makes a `Val` of what is immutable; an iso is frozen for it, and given away.
#[pyfunction]
#[pyo3(signature = (value, /))]
pub fn val<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if value.is_instance_of::<Val>() {
        return Ok(value.clone());
    }
    if let Ok(handle) = value.cast::<Iso>() {
        return share(handle);
    }
    Ok(alloc::new(value.py(), Val::new(value)?)?.into_any())
}

/// An iso becomes a val: its object is given away and frozen. If it can't be, the iso keeps it.
fn share<'py>(handle: &Bound<'py, Iso>) -> PyResult<Bound<'py, PyAny>> {
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

/// Stands for an object without giving any way to it: equal to another of the same object.
#[pyclass(frozen, generic, weakref, module = "remuda")]
#[derive(Debug)]
pub struct Tag {
    object: Py<PyAny>,
}

#[pymethods]
impl Tag {
    #[new]
    #[pyo3(signature = (value, /))]
    fn new(value: Py<PyAny>) -> Self {
        Self { object: value }
    }

    /// Whether it stands for this very object.
    #[pyo3(signature = (value, /))]
    fn is_of(&self, value: &Bound<'_, PyAny>) -> bool {
        self.object.is(value)
    }

    fn __eq__<'py>(&self, other: &Bound<'py, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().object.is(&self.object))
    }

    fn __hash__(&self) -> isize {
        // As Python does with addresses: -1 is no hash.
        ((self.object.as_ptr() as usize).rotate_right(4) as isize).max(isize::MIN + 1).wrapping_abs()
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let kind = self.object.bind(py).get_type().name()?;
        Ok(format!("<tag of a {kind} at {:#x}>", self.object.as_ptr() as usize))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.object)
    }
}

/// A message that its sender answers for.
#[pyclass(frozen, generic, module = "remuda")]
#[derive(Debug)]
pub struct Unchecked {
    value: Py<PyAny>,
}

allocated!(Unchecked);

impl Unchecked {
    pub fn of(value: Py<PyAny>) -> Self {
        Self { value }
    }

    pub fn content(&self) -> &Py<PyAny> {
        &self.value
    }
}

#[pymethods]
impl Unchecked {
    #[new]
    #[pyo3(signature = (value, /))]
    fn new(value: Py<PyAny>) -> Self {
        Self { value }
    }

    /// What is sent.
    #[getter]
    fn value(&self, py: Python<'_>) -> Py<PyAny> {
        self.value.clone_ref(py)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("unchecked({})", self.value.bind(py).repr()?))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.value)
    }
}

/// Lets an object be sent that no rule allows.
#[pyfunction]
#[pyo3(signature = (value, /))]
pub fn unchecked(value: Py<PyAny>) -> Unchecked {
    Unchecked { value }
}

/// The error of an object that may not be sent (or made a val of): it says which part, and what to write instead.
#[cold]
pub fn not_sendable(value: &Bound<'_, PyAny>, what: &str) -> PyErr {
    static REFUSAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    match errors::imported(py, &REFUSAL, "remuda.capabilities.parts", "refusal")
        .and_then(|refusal| refusal.call1((value, what)))
    {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}
