//! What `FrozenDict.keys()`, `.values()` and `.items()` return: they behave as the views of a dict.
//!
//! The rule that this file keeps is that of `frozen_dict.rs`: `mapping` gives the FrozenDict, behind a proxy, and the
//! interpreter's own views of the dict inside are used here, but never handed out or given to another class's method.

use pyo3::class::basic::CompareOp;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyIterator, PyList, PyMapping, PyMappingProxy, PySet, PyType};
use pyo3::{PyTypeInfo, intern};

use crate::frozen_dict::FrozenDict;

/// Whether the smaller or equal one of two sets is within the other, as `op` asks.
fn compared(own: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>, op: CompareOp) -> PyResult<Option<bool>> {
    static SET: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = own.py();
    if !other.is_instance(SET.import(py, "collections.abc", "Set")?)? {
        return Ok(None);
    }
    let (ours, theirs) = (own.len()?, other.len()?);
    let within = |small: &Bound<'_, PyAny>, big: &Bound<'_, PyAny>| -> PyResult<bool> {
        for item in small.try_iter()? {
            if !big.contains(item?)? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    Ok(Some(match op {
        CompareOp::Eq => ours == theirs && within(other, own)?,
        CompareOp::Ne => ours != theirs || !within(other, own)?,
        CompareOp::Lt => ours < theirs && within(own, other)?,
        CompareOp::Le => ours <= theirs && within(own, other)?,
        CompareOp::Gt => ours > theirs && within(other, own)?,
        CompareOp::Ge => ours >= theirs && within(other, own)?,
    }))
}

/// A view: the part that all three have, and what is given in addition.
macro_rules! view {
    ($(#[$documentation:meta])* $name:ident, $method:literal, { $($more:tt)* }) => {
        $(#[$documentation])*
        #[pyclass(frozen, immutable_type, module = "remuda._kernel")]
        #[derive(Debug)]
        pub struct $name {
            of: Py<FrozenDict>,
        }

        impl $name {
            pub fn of(dict: Bound<'_, FrozenDict>) -> Self {
                Self { of: dict.unbind() }
            }

            /// The interpreter's own view of the dict inside.
            fn native<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                self.of.get().inside(py).call_method0(intern!(py, $method))
            }
        }

        #[pymethods]
        impl $name {
            /// The FrozenDict, behind a proxy as for other views.
            #[getter]
            fn mapping<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyMappingProxy>> {
                Ok(PyMappingProxy::new(py, self.of.bind(py).cast::<PyMapping>()?))
            }

            fn __len__(&self, py: Python<'_>) -> usize {
                self.of.get().inside(py).len()
            }

            fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
                self.native(py)?.try_iter()
            }

            fn __reversed__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
                self.native(py)?.call_method0(intern!(py, "__reversed__"))
            }

            fn __contains__(&self, item: &Bound<'_, PyAny>) -> PyResult<bool> {
                self.native(item.py())?.contains(item)
            }

            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                let list = PyList::empty(py);
                list.call_method1(intern!(py, "extend"), (self.native(py)?,))?;
                Ok(format!("{}({})", Self::type_object(py).name()?, list.repr()?.to_cow()?))
            }

            fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
                visit.call(&self.of)
            }

            $($more)*
        }
    };
}

/// A view that is a set too.
macro_rules! set_view {
    ($(#[$documentation:meta])* $name:ident, $method:literal) => {
        impl $name {
            /// A set of its own, and a method of it called with what any set operation takes: something to iterate over.
            fn set<'py>(&self, method: &str, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                let set = PySet::empty(other.py())?;
                set.call_method1(intern!(other.py(), "update"), (self.native(other.py())?,))?;
                set.call_method1(method, (other,))
            }
        }

        view! {
            $(#[$documentation])*
            $name, $method, {
                fn __and__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                    self.set("intersection", other)
                }

                fn __rand__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                    self.set("intersection", other)
                }

                fn __or__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                    self.set("union", other)
                }

                fn __ror__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                    self.set("union", other)
                }

                fn __xor__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                    self.set("symmetric_difference", other)
                }

                fn __rxor__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                    self.set("symmetric_difference", other)
                }

                fn __sub__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                    self.set("difference", other)
                }

                fn __rsub__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                    let py = other.py();
                    let set = py.get_type::<PySet>().call1((other,))?;
                    set.call_method1(intern!(py, "difference_update"), (self.native(py)?,))?;
                    Ok(set)
                }

                #[pyo3(signature = (other, /))]
                fn isdisjoint(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
                    let own = self.native(other.py())?;
                    for item in other.try_iter()? {
                        if own.contains(item?)? {
                            return Ok(false);
                        }
                    }
                    Ok(true)
                }

                fn __richcmp__(&self, other: &Bound<'_, PyAny>, op: CompareOp) -> PyResult<Py<PyAny>> {
                    let py = other.py();
                    Ok(match compared(&self.native(py)?, other, op)? {
                        Some(answer) => answer.into_pyobject(py)?.to_owned().into_any().unbind(),
                        None => py.NotImplemented(),
                    })
                }
            }
        }
    };
}

set_view! {
    /// The keys of a FrozenDict.
    FrozenKeys, "keys"
}

set_view! {
    /// The keys of a FrozenDict with their values.
    FrozenItems, "items"
}

view! {
    /// The values of a FrozenDict.
    FrozenValues, "values", {}
}
