//! Shows that a graph of objects is isolated: every reference into its mutable part comes from inside.
//!
//! The graph is walked, and the references that are met are counted (`graph.rs`). What is shared by nature (numbers,
//! strings, classes, modules and their functions, agents) is not walked into; an immutable container counts if something
//! mutable can be reached through it, because then an outside reference to it is a way in, too.
//!
//! No Python runs while it is walked, so that the counts stay true: a type that was not met before is noted, looked up
//! afterwards, and the walk is done again. On a free-threaded build all other threads are stopped meanwhile. What can't be
//! told is an error as well: a type written in C that the collector can't look into, a generator or a frame that runs, an
//! array that is a part of another.

use std::cell::OnceCell;
use std::collections::HashSet;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PySet, PyType};
use pyo3::{ffi, intern};

use crate::errors;
use crate::graph::{self, Addresses, Fault, Graph, Kind, Traits};
use crate::sendable::{self, Shape};

/// Has a closure called while no other thread runs.
#[cfg(Py_GIL_DISABLED)]
fn alone<R>(body: impl FnOnce() -> R) -> R {
    use std::ffi::{c_int, c_void};

    unsafe extern "C" {
        // Calls it for each object, with the world stopped, until it returns 0.
        fn PyUnstable_GC_VisitObjects(
            callback: extern "C" fn(*mut ffi::PyObject, *mut c_void) -> c_int,
            argument: *mut c_void,
        );
    }
    struct Call<F, R>(Option<F>, Option<R>);
    extern "C" fn first<F: FnOnce() -> R, R>(_object: *mut ffi::PyObject, call: *mut c_void) -> c_int {
        // SAFETY: `alone` passes it, and waits.
        let call = unsafe { &mut *call.cast::<Call<F, R>>() };
        call.1 = call.0.take().map(|body| body());
        0
    }
    fn visit<F: FnOnce() -> R, R>(call: &mut Call<F, R>) {
        // SAFETY: attached, and the argument is what `first` takes it for.
        unsafe { PyUnstable_GC_VisitObjects(first::<F, R>, std::ptr::from_mut(call).cast()) };
    }
    let mut call = Call(Some(body), None);
    visit(&mut call);
    match call {
        Call(_, Some(result)) => result,
        Call(Some(body), None) => body(),
        Call(None, None) => unreachable!("it was called, and has returned"),
    }
}

#[cfg(not(Py_GIL_DISABLED))]
fn alone<R>(body: impl FnOnce() -> R) -> R {
    body()
}

fn traits_of(class: &Bound<'_, PyType>) -> PyResult<Traits> {
    Ok(Traits { kind: kind_of(class)?, owns: owns_what_it_shows(class)? })
}

/// Whether a type is one of those of which that is known: the common containers, and classes written in Python that
/// derive from nothing else.
fn owns_what_it_shows(class: &Bound<'_, PyType>) -> PyResult<bool> {
    // SAFETY: a living type.
    let traverse_of = |class: *mut ffi::PyTypeObject| unsafe { (*class).tp_traverse }.map(|traverse| traverse as usize);
    // The interpreter gives the same function to all classes that are written in Python, such as this one.
    let of_classes = traverse_of(errors::capability_error(class.py())?.as_type_ptr());
    let mut class = class.as_type_ptr();
    while traverse_of(class) == of_classes {
        // SAFETY: a living type's base, which lives as long.
        class = unsafe { (*class).tp_base };
    }
    let known = [
        &raw mut ffi::PyBaseObject_Type,
        &raw mut ffi::PyList_Type,
        &raw mut ffi::PyDict_Type,
        &raw mut ffi::PyTuple_Type,
        &raw mut ffi::PySet_Type,
        &raw mut ffi::PyFrozenSet_Type,
    ];
    Ok(known.contains(&class))
}

/// What a type's objects are to the walk.
fn kind_of(class: &Bound<'_, PyType>) -> PyResult<Kind> {
    let py = class.py();
    let address = class.as_type_ptr();
    // Only the addresses of static types are looked at.
    let fixed = [
        (&raw mut ffi::PyFunction_Type, Kind::Function),
        (&raw mut ffi::PyCFunction_Type, Kind::Builtin),
        (&raw mut ffi::PyModule_Type, Kind::Shared),
        (&raw mut ffi::PyByteArray_Type, Kind::Leaf),
        (&raw mut ffi::PyFrame_Type, Kind::Frame),
        (&raw mut ffi::PyGen_Type, Kind::Generator),
        (&raw mut ffi::PyCoro_Type, Kind::Generator),
    ];
    if let Some(&(_, kind)) = fixed.iter().find(|(fixed, _)| *fixed == address) {
        return Ok(kind);
    }
    // SAFETY: the type of a living object.
    let collected = unsafe { ffi::PyType_HasFeature(address, ffi::Py_TPFLAGS_HAVE_GC) } != 0;
    let module: Option<String> = class.getattr(intern!(py, "__module__"))?.extract().ok();
    Ok(match (sendable::shape_of(class)?, module.as_deref()) {
        (Shape::Immutable, _) => Kind::Shared,
        (Shape::Container, _) if collected => Kind::Frozen,
        (_, Some("numpy")) if class.name()? == "ndarray" => Kind::Array,
        (_, Some("datetime")) => Kind::Shared,
        _ if class.name()? == "async_generator" => Kind::Generator,
        _ if collected => Kind::Part,
        _ => Kind::Opaque,
    })
}

/// Shows that nothing but `outside` references to the root leads into its mutable part from outside, or says what does.
/// False: it has no mutable part.
pub fn prove(root: &Bound<'_, PyAny>, outside: usize) -> PyResult<bool> {
    let py = root.py();
    let mut graph = Graph::default();
    let mut traits = Addresses::default();
    let mut classes: Vec<Bound<'_, PyType>> = Vec::new();
    let fault = loop {
        // SAFETY: attached; the caller holds the root, and `alone` keeps others from changing what it leads to. The types
        // in `traits` are kept alive by `classes`.
        let walked = alone(|| unsafe { graph.walk(py, root.as_ptr(), &traits).then(|| graph.fault(outside)) });
        if let Some(fault) = walked {
            break fault;
        }
        // SAFETY: types of objects that lived a moment ago, and that the root still leads to, unless another thread or a
        // finaliser has changed that: then it was not isolated, and its owner has been warned.
        let unknown = graph.unknown.iter().map(|&class| unsafe { PyType::from_borrowed_type_ptr(py, class) });
        for class in unknown.collect::<Vec<_>>() {
            traits.insert(class.as_ptr() as usize, traits_of(&class)?);
            classes.push(class);
        }
    };
    match fault {
        Some(Fault::Held(place)) => Err(not_isolated(py, &graph, place, None)),
        Some(Fault::Unclear(place, why)) => Err(not_isolated(py, &graph, place, Some(why))),
        None => look_closer(py, &graph).map(|()| graph.is_mutable()),
    }
}

/// What the walk could not look at, because that would have run code: arrays, generators that run, weak references.
fn look_closer(py: Python<'_>, graph: &Graph) -> PyResult<()> {
    let inside = OnceCell::new();
    for place in graph.to_look_at_later() {
        let node = &graph.nodes[place as usize];
        // SAFETY: the root is alive, and what it leads to with it.
        let object = unsafe { Bound::from_borrowed_ptr(py, node.object) };
        let why = match node.kind {
            // One that is frozen is so as well, of memory that nobody can write.
            Kind::Array if sendable::is_immutable(&object)? => continue,
            Kind::Array if !object.getattr(intern!(py, "base"))?.is_none() => "it is a part of another array",
            Kind::Array if object.getattr(intern!(py, "dtype"))?.getattr(intern!(py, "hasobject"))?.is_truthy()? => {
                "it holds Python objects"
            }
            Kind::Generator if runs(&object)? => "it runs",
            _ if has_outside_weak_reference(&object, graph, &inside)? => "a weak reference from outside leads to it",
            _ => continue,
        };
        return Err(not_isolated(py, graph, place, Some(why)));
    }
    Ok(())
}

fn runs(generator: &Bound<'_, PyAny>) -> PyResult<bool> {
    for name in ["gi_running", "cr_running", "ag_running"] {
        if let Some(running) = generator.getattr_opt(name)? {
            return running.is_truthy();
        }
    }
    Ok(false)
}

/// `inside`: the addresses of the graph's objects, once they were needed.
fn has_outside_weak_reference(
    object: &Bound<'_, PyAny>,
    graph: &Graph,
    inside: &OnceCell<HashSet<usize>>,
) -> PyResult<bool> {
    static GET: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    // SAFETY: a living object; without a GIL, one that gets a weak reference meanwhile is not isolated.
    if !unsafe { graph::has_weak_references(object.as_ptr()) } {
        return Ok(false);
    }
    for reference in errors::imported(object.py(), &GET, "_weakref", "getweakrefs")?.call1((object,))?.try_iter()? {
        let inside = inside.get_or_init(|| graph.nodes.iter().map(|node| node.object as usize).collect());
        if !inside.contains(&(reference?.as_ptr() as usize)) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cold]
fn not_isolated(py: Python<'_>, graph: &Graph, place: u32, why: Option<&str>) -> PyErr {
    static FAILURE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let error = (|| {
        let chain = graph.chain(py, place)?;
        let inside = PySet::new(py, graph.nodes.iter().map(|node| node.object as usize))?;
        errors::imported(py, &FAILURE, "remuda.capabilities.isolation", "failure")?.call1((chain, inside, why))
    })();
    error.map_or_else(|error| error, PyErr::from_value)
}

/// Shows that an object may be given away: nothing but the caller's own temporary leads into its mutable part.
#[pyfunction]
#[pyo3(signature = (value, /))]
pub fn prove_isolated(value: &Bound<'_, PyAny>) -> PyResult<()> {
    prove_temporary(value)
}

/// The same for an argument of the function that calls this.
pub fn prove_temporary(value: &Bound<'_, PyAny>) -> PyResult<()> {
    let mutable = prove(value, 1)?;
    if cfg!(Py_3_14) && mutable {
        // There the interpreter only lends a variable's object to a call: what holds it has to be looked for.
        static HELD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = value.py();
        errors::imported(py, &HELD, "remuda.capabilities.isolation", "refuse_if_held_by_a_frame")?.call1((value,))?;
    }
    Ok(())
}
