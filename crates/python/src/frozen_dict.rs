//! `FrozenDict`: a mapping that nobody can change, so that it can be shared and hashed.
//!
//! The rule that this file keeps: the dict inside is never handed to anybody else's code. No attribute leads to it; the
//! views are our own (`frozen_views.rs`), because a `dict_keys` has a `mapping` whose `==` and `|` give the dict away;
//! and where a comparison or a union may run another class's method, it is handed a copy, or item by item.

use std::sync::atomic::{AtomicIsize, Ordering};

use pyo3::class::basic::CompareOp;
use pyo3::exceptions::PyKeyError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyFrozenSet, PyIterator, PyMapping, PyTuple, PyType};
use pyo3::{ffi, intern};

use crate::frozen_views::{FrozenItems, FrozenKeys, FrozenValues};

/// A mapping that can't be changed.
#[pyclass(frozen, mapping, generic, weakref, module = "remuda")]
#[derive(Debug)]
pub struct FrozenDict {
    dict: Py<PyDict>,
    /// -1, which no hash is, until the hash has been asked for. Relaxed: whoever finds -1 computes the same again.
    hash: AtomicIsize,
}

/// Held while a hash goes into the values, which may be nested too deep for the stack.
struct Recursion;

impl Recursion {
    fn enter() -> PyResult<Self> {
        // SAFETY: the thread is attached; what is entered is left by `drop`.
        if unsafe { ffi::Py_EnterRecursiveCall(c" while hashing a FrozenDict".as_ptr()) } == 0 {
            return Ok(Self);
        }
        // SAFETY: the thread is attached: the error has just been set.
        Err(Python::attach(PyErr::fetch))
    }
}

impl Drop for Recursion {
    fn drop(&mut self) {
        // SAFETY: the thread is attached, and entered once for each `Recursion`.
        unsafe { ffi::Py_LeaveRecursiveCall() };
    }
}

impl FrozenDict {
    /// Around a dict that nobody else refers to.
    pub fn around(dict: Bound<'_, PyDict>) -> Self {
        Self { dict: dict.unbind(), hash: AtomicIsize::new(-1) }
    }

    /// The dict inside, for reading; it must not get to any code but the interpreter's own.
    pub fn inside<'py>(&self, py: Python<'py>) -> &Bound<'py, PyDict> {
        self.dict.bind(py)
    }

    fn equals(&self, other: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
        let own = self.inside(other.py());
        if let Ok(other) = other.cast_exact::<Self>() {
            return own.eq(other.get().inside(other.py())).map(Some);
        }
        if other.cast_exact::<PyDict>().is_ok() {
            return own.eq(other).map(Some);
        }
        let Ok(mapping) = other.cast::<PyMapping>() else { return Ok(None) };
        if mapping.len()? != own.len() {
            return Ok(Some(false));
        }
        // A defaultdict would make what it doesn't have: a dict of any class is read as a dict.
        let dict = other.cast::<PyDict>().ok();
        for (key, value) in own.iter() {
            let theirs = match dict {
                Some(dict) => dict.get_item(&key)?,
                None if mapping.contains(&key)? => Some(mapping.get_item(&key)?),
                None => None,
            };
            match theirs {
                Some(theirs) if theirs.is(&value) || theirs.eq(&value)? => {}
                _ => return Ok(Some(false)),
            }
        }
        Ok(Some(true))
    }
}

#[pymethods]
impl FrozenDict {
    #[new]
    #[expect(clippy::new_ret_no_self, reason = "given one of the same class, it returns that")]
    #[pyo3(signature = (*args, **kwargs), text_signature = "(items=(), /, **kwargs)")]
    fn new<'py>(
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if kwargs.is_none()
            && args.len() == 1
            && let Ok(same) = args.get_item(0)?.cast_into_exact::<Self>()
        {
            return Ok(same.into_any());
        }
        let dict = match args.get_item(0) {
            // Not through its `keys` and `__getitem__`, which is slower.
            Ok(dict) if args.len() == 1 && kwargs.is_none() && dict.is_exact_instance_of::<PyDict>() => {
                dict.cast_into::<PyDict>()?.copy()?
            }
            _ => py.get_type::<PyDict>().call(args, kwargs)?.cast_into::<PyDict>()?,
        };
        Ok(Bound::new(py, Self::around(dict))?.into_any())
    }

    #[classmethod]
    #[pyo3(signature = (keys, value=None, /))]
    fn fromkeys(class: &Bound<'_, PyType>, keys: &Bound<'_, PyAny>, value: Option<Py<PyAny>>) -> PyResult<Self> {
        let py = class.py();
        let dict = py.get_type::<PyDict>().call_method1(intern!(py, "fromkeys"), (keys, value))?;
        Ok(Self::around(dict.cast_into()?))
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.inside(py).len()
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.inside(key.py()).contains(key)
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let found = self.inside(key.py()).get_item(key)?;
        found.ok_or_else(|| PyKeyError::new_err((key.clone().unbind(),)))
    }

    #[pyo3(signature = (key, default=None, /))]
    fn get<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.inside(key.py()).get_item(key)?.or(default))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.inside(py).as_any().try_iter()
    }

    fn __reversed__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.inside(py).call_method0(intern!(py, "__reversed__"))
    }

    fn keys(slf: Bound<'_, Self>) -> FrozenKeys {
        FrozenKeys::of(slf)
    }

    fn values(slf: Bound<'_, Self>) -> FrozenValues {
        FrozenValues::of(slf)
    }

    fn items(slf: Bound<'_, Self>) -> FrozenItems {
        FrozenItems::of(slf)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        let known = self.hash.load(Ordering::Relaxed);
        if known != -1 {
            return Ok(known);
        }
        let _entered = Recursion::enter()?;
        let hash = PyFrozenSet::new(py, self.inside(py).items())?.hash()?;
        self.hash.store(hash, Ordering::Relaxed);
        Ok(hash)
    }

    fn __richcmp__(&self, other: &Bound<'_, PyAny>, op: CompareOp) -> PyResult<Py<PyAny>> {
        let py = other.py();
        let answer = match op {
            CompareOp::Eq => self.equals(other)?,
            CompareOp::Ne => self.equals(other)?.map(|equal| !equal),
            _ => None,
        };
        Ok(match answer {
            Some(answer) => answer.into_pyobject(py)?.to_owned().into_any().unbind(),
            None => py.NotImplemented(),
        })
    }

    fn __or__(&self, other: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = other.py();
        let Ok(mapping) = other.cast::<PyMapping>() else { return Ok(py.NotImplemented()) };
        // A dict's own `update` calls the methods of `mapping`, which see nothing of the dict.
        let dict = self.inside(py).copy()?;
        match other.cast_exact::<Self>() {
            Ok(other) => dict.update(other.get().inside(py).as_mapping())?,
            Err(_) => dict.update(mapping)?,
        }
        Ok(Py::new(py, Self::around(dict))?.into_any())
    }

    /// The left one says what comes out: a dict.
    fn __ror__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        let Ok(left) = other.cast::<PyDict>() else { return Ok(py.NotImplemented().into_bound(py)) };
        let dict = PyDict::new(py);
        dict.update(left.as_mapping())?;
        dict.update(self.inside(py).as_mapping())?;
        Ok(dict.into_any())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("FrozenDict({})", self.inside(py).repr()?.to_cow()?))
    }

    fn __copy__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __deepcopy__<'py>(slf: Bound<'py, Self>, memo: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        static DEEPCOPY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = slf.py();
        let deepcopy = DEEPCOPY.import(py, "copy", "deepcopy")?;
        let dict = PyDict::new(py);
        let mut same = true;
        for (key, value) in slf.get().inside(py).iter() {
            let (new_key, new_value) = (deepcopy.call1((&key, memo))?, deepcopy.call1((&value, memo))?);
            same &= new_key.is(&key) && new_value.is(&value);
            dict.set_item(new_key, new_value)?;
        }
        // A copy of what contains itself through its values has been made meanwhile.
        let made = memo.call_method1(intern!(py, "get"), (slf.as_ptr() as usize,))?;
        if !made.is_none() {
            return Ok(made);
        }
        if same {
            return Ok(slf.into_any());
        }
        Ok(Bound::new(py, Self::around(dict))?.into_any())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyType>, (Bound<'py, PyDict>,))> {
        Ok((slf.get_type(), (slf.get().inside(slf.py()).copy()?,)))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.dict)
    }
}

/// Registers the class and its views with `collections.abc`, which also lets `match` take it for a mapping.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let abc = py.import("collections.abc")?;
    let register = |name, class: Bound<'_, PyType>| abc.getattr(name)?.call_method1("register", (class,)).map(drop);
    register("Mapping", py.get_type::<FrozenDict>())?;
    register("KeysView", py.get_type::<FrozenKeys>())?;
    register("ValuesView", py.get_type::<FrozenValues>())?;
    register("ItemsView", py.get_type::<FrozenItems>())
}
