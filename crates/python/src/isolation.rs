//! Shows that a graph of objects is isolated: every reference into its mutable part comes from inside.
//!
//! The graph is walked, and the references that are met are counted (`graph.rs`). What is shared by nature (numbers,
//! strings, classes, modules and their functions, agents) is not walked into; an immutable container counts if something
//! mutable can be reached through it, because then an outside reference to it is a way in, too.
//!
//! No Python runs while it is walked, so that the counts stay true: a type that was not met before is noted, looked up
//! afterwards, and the walk is done again. On a free-threaded build all other threads are stopped meanwhile. What can't be
//! told is an error as well: a type written in C that the collector can't look into, a generator or a frame that runs, an
//! array that is a part of another, a weak reference that leads out.

use std::cell::OnceCell;
use std::collections::HashSet;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDateTime, PySet, PyTime, PyType, PyWeakref, PyWeakrefMethods};
use pyo3::{ffi, intern};

use crate::errors;
use crate::glance::mark_of_nested;
use crate::graph::{self, Addresses, Fault, Graph, Kind, Node, Traits, ZoneOf};
use crate::sendable::{self, Shape};

/// Has a closure called while no other thread runs.
#[cfg(Py_GIL_DISABLED)]
fn alone<R>(body: impl FnOnce() -> R) -> R {
    use std::ffi::{c_int, c_void};

    // SAFETY: declared as in CPython's `cpython/objimpl.h`.
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
    Ok(Traits { kind: kind_of(class)?, owns: owns_what_it_shows(class)?, zone: zone_of(class)? })
}

/// What a class is laid on: the first type of its line that was not written in Python.
fn foundation(class: &Bound<'_, PyType>) -> PyResult<*mut ffi::PyTypeObject> {
    // SAFETY: a living type.
    let traverse_of = |class: *mut ffi::PyTypeObject| unsafe { (*class).tp_traverse }.map(|traverse| traverse as usize);
    // The interpreter gives the same function to all classes that are written in Python, such as this one.
    let of_classes = traverse_of(errors::capability_error(class.py())?.as_type_ptr());
    let mut class = class.as_type_ptr();
    while traverse_of(class) == of_classes {
        // SAFETY: a living type's base, which lives as long.
        class = unsafe { (*class).tp_base };
    }
    Ok(class)
}

/// Whether a type is one of those of which that is known: the common containers, and classes written in Python that
/// derive from nothing else.
fn owns_what_it_shows(class: &Bound<'_, PyType>) -> PyResult<bool> {
    let known = [
        &raw mut ffi::PyBaseObject_Type,
        &raw mut ffi::PyList_Type,
        &raw mut ffi::PyDict_Type,
        &raw mut ffi::PyTuple_Type,
        &raw mut ffi::PySet_Type,
        &raw mut ffi::PyFrozenSet_Type,
    ];
    Ok(known.contains(&foundation(class)?))
}

/// How to get the time zone of a moment.
fn zone_of(class: &Bound<'_, PyType>) -> PyResult<Option<ZoneOf>> {
    let (py, base) = (class.py(), foundation(class)?);
    Ok(if base == py.get_type::<PyDateTime>().as_type_ptr() {
        Some(ffi::PyDateTime_DATE_GET_TZINFO)
    } else if base == py.get_type::<PyTime>().as_type_ptr() {
        Some(ffi::PyDateTime_TIME_GET_TZINFO)
    } else {
        None
    })
}

fn is_of(class: &Bound<'_, PyType>, module: &str, name: &str) -> PyResult<bool> {
    let place: Option<String> = class.getattr(intern!(class.py(), "__module__"))?.extract().ok();
    Ok(place.as_deref() == Some(module) && class.name()? == name)
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
    let shape = sendable::shape_of(class)?;
    if matches!(shape, Shape::Immutable) {
        return Ok(Kind::Shared);
    }
    let base = foundation(class)?;
    if is_weak(py, base)? {
        return Ok(Kind::Weak);
    }
    // SAFETY: a living type.
    if unsafe { ffi::PyType_HasFeature(address, ffi::Py_TPFLAGS_HAVE_GC) } == 0 {
        return Ok(match shape {
            _ if zone_of(class)?.is_some() => Kind::Frozen,
            // Of each object it can be told: an array, a dtype.
            Shape::Container => Kind::Hiding,
            _ if is_of(class, "_random", "Random")? => Kind::Leaf,
            _ => Kind::Opaque,
        });
    }
    // SAFETY: a base of a living type.
    let is_blind = unsafe { (*base).tp_traverse.is_none() } && base != &raw mut ffi::PyBaseObject_Type;
    if base != address && is_blind {
        // Of its objects the collector is shown what Python has added, and no more.
        // SAFETY: as above.
        match kind_of(&unsafe { PyType::from_borrowed_type_ptr(py, base) })? {
            Kind::Shared | Kind::Leaf | Kind::Frozen => {}
            hidden => return Ok(hidden),
        }
    }
    Ok(match shape {
        Shape::Container => Kind::Frozen,
        _ if class.name()? == "async_generator" => Kind::Generator,
        _ => Kind::Part,
    })
}

/// Whether a type is one of weak references.
fn is_weak(py: Python<'_>, class: *mut ffi::PyTypeObject) -> PyResult<bool> {
    static KINDS: PyOnceLock<Vec<Py<PyType>>> = PyOnceLock::new();
    let kinds = KINDS.get_or_try_init(py, || {
        let module = py.import("_weakref")?;
        let names = ["ReferenceType", "ProxyType", "CallableProxyType"];
        names.iter().map(|name| Ok(module.getattr(*name)?.cast_into::<PyType>()?.unbind())).collect::<PyResult<_>>()
    })?;
    Ok(kinds.iter().any(|kind| kind.as_ptr() == class.cast()))
}

/// What came of a walk.
enum Walked<'py> {
    Through(Option<Fault>),
    /// There are types to be looked up first.
    Unknown(Vec<Bound<'py, PyType>>),
    /// Others have something that may be immutable, which only a look tells that runs Python.
    Hiding(Vec<Bound<'py, PyAny>>),
}

/// Shows that nothing but `outside` references to the root leads into its mutable part from outside, or says what does.
/// False: it has no mutable part.
pub fn prove(root: &Bound<'_, PyAny>, outside: usize) -> PyResult<bool> {
    let py = root.py();
    let mut graph = Graph::default();
    let mut traits = Addresses::default();
    let mut classes: Vec<Bound<'_, PyType>> = Vec::new();
    let mut fixed: Option<Addresses<Bound<'_, PyAny>>> = None;
    mark_of_nested(py);
    let fault = loop {
        // SAFETY: attached; the caller holds the root, and `alone` keeps others from changing what it leads to. The types
        // in `traits` are kept alive by `classes`. What is found is held before anybody else runs.
        let walked = alone(|| unsafe {
            if !graph.walk(py, root.as_ptr(), &traits, fixed.as_ref()) {
                let unknown = graph.unknown.iter();
                return Walked::Unknown(unknown.map(|&class| PyType::from_borrowed_type_ptr(py, class)).collect());
            }
            match graph.fault(outside) {
                Some(Fault::Held(place)) if fixed.is_none() && graph.nodes[place as usize].kind == Kind::Hiding => {
                    let hiding = graph.nodes.iter().filter(|node| node.kind == Kind::Hiding);
                    Walked::Hiding(hiding.map(|node| Bound::from_borrowed_ptr(py, node.object)).collect())
                }
                fault => Walked::Through(fault),
            }
        });
        match walked {
            Walked::Through(fault) => break fault,
            Walked::Unknown(unknown) => {
                for class in unknown {
                    traits.insert(class.as_ptr() as usize, traits_of(&class)?);
                    classes.push(class);
                }
            }
            Walked::Hiding(hiding) => {
                let mut immutable = Addresses::default();
                for object in hiding {
                    if sendable::is_immutable(&object)? {
                        immutable.insert(object.as_ptr() as usize, object);
                    }
                }
                fixed = Some(immutable);
            }
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
    // All are held before any code runs, which might change what leads to the next.
    let hold = |place: u32| {
        let Node { object, kind, .. } = graph.nodes[place as usize];
        // SAFETY: the root is alive, and what it leads to with it.
        (place, kind, unsafe { Bound::from_borrowed_ptr(py, object) })
    };
    for (place, kind, object) in graph.to_look_at_later().map(hold).collect::<Vec<_>>() {
        let why = match kind {
            Kind::Hiding => why_hidden(&object)?,
            Kind::Weak if leads_out(&object, graph, &inside)? => Some("it is a weak reference to something outside"),
            Kind::Generator if runs(&object)? => Some("it runs"),
            _ => None,
        };
        let why = match why {
            None if has_outside_weak_reference(&object, graph, &inside)? => "a weak reference from outside leads to it",
            None => continue,
            Some(why) => why,
        };
        return Err(not_isolated(py, graph, place, Some(why)));
    }
    Ok(())
}

/// Why it can't be told what an object owns that the collector doesn't see; None, if it is nothing that can change.
fn why_hidden(object: &Bound<'_, PyAny>) -> PyResult<Option<&'static str>> {
    let py = object.py();
    // A frozen array, too, is one of memory that nobody can write.
    if sendable::is_immutable(object)? {
        return Ok(None);
    }
    // SAFETY: the base of a living object's type.
    let base = unsafe { PyType::from_borrowed_type_ptr(py, foundation(&object.get_type())?) };
    if !is_of(&base, "numpy", "ndarray")? {
        return Ok(Some("the garbage collector can't look into it"));
    }
    // As the array has them, whatever a subclass shows.
    let ask = |name: &str| base.getattr(name)?.call_method1(intern!(py, "__get__"), (object,));
    Ok(if !ask("base")?.is_none() {
        Some("it is a part of another array")
    } else if ask("dtype")?.getattr(intern!(py, "hasobject"))?.is_truthy()? {
        Some("it holds Python objects")
    } else {
        None
    })
}

/// Whether a weak reference leads to what is neither a part of the graph nor shared by nature.
fn leads_out(reference: &Bound<'_, PyAny>, graph: &Graph, inside: &OnceCell<HashSet<usize>>) -> PyResult<bool> {
    let Some(found) = reference.cast::<PyWeakref>()?.upgrade() else { return Ok(false) };
    let inside = inside.get_or_init(|| graph.addresses());
    Ok(!inside.contains(&(found.as_ptr() as usize))
        && kind_of(&found.get_type())? != Kind::Shared
        && !sendable::is_immutable(&found)?)
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
        let inside = inside.get_or_init(|| graph.addresses());
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
        let inside = PySet::new(py, graph.addresses())?;
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
