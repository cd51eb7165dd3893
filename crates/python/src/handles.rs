//! The handles that say how an object may be shared: `Iso` (`iso.rs`) owns it alone and gives it away, `Val` shares what is
//! immutable, `Tag` lets it be recognised and no more.

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;
use pyo3::{PyTypeInfo, ffi, intern};

use crate::alloc::allocated;
use crate::iso::{Iso, share};
use crate::{alloc, errors, sendable};

/// A handle in a handle is a mistake.
pub fn refuse_handle(value: &Bound<'_, PyAny>, what: &str) -> PyResult<()> {
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
