//! Leases in memory: who holds what, behind one lock. Who waits, and for how long, is Python's business
//! (`remuda.primitives.lease.memory`), which is told of a release only if somebody waits for the resource.
//!
//! So a resource is in one of three states: free; held, and wanted by nobody else; held and awaited. Taking a free one
//! and giving back one that nobody awaits are the fast paths. To wait is to mark the holder as awaited, in the same step
//! that finds it: from then on nobody but Python ends that holding, and it hands the resource over in one step, so that
//! nobody can come between the holder and the first in line.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyType};

use crate::alloc::{self, allocated};
use crate::guarded::Guarded;

/// The name of a resource, with the hash that its str has anyway.
#[derive(Debug)]
struct Name {
    hash: u64,
    text: Py<PyString>,
}

impl Name {
    fn of(text: &Bound<'_, PyString>) -> PyResult<Self> {
        let py = text.py();
        // A subclass could run code of its own in the midst of a look-up: this is a plain str.
        // SAFETY: a str, and a new reference to one, or an error.
        let text = unsafe {
            Bound::from_owned_ptr_or_err(py, ffi::PyUnicode_FromObject(text.as_ptr()))?
                .cast_into_unchecked::<PyString>()
        };
        #[expect(clippy::cast_sign_loss, reason = "any 64 bits")]
        let hash = text.hash()? as u64;
        Ok(Self { hash, text: text.unbind() })
    }

    fn clone_ref(&self, py: Python<'_>) -> Self {
        Self { hash: self.hash, text: self.text.clone_ref(py) }
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.text.as_ptr(), other.text.as_ptr());
        // SAFETY: two strs, of no subclass, on an attached thread: they are compared without running Python.
        ours == theirs || unsafe { ffi::PyUnicode_Compare(ours, theirs) } == 0
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Takes the hash as it is: Python has a secret in those of strs, against names that are made to collide.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("a name has one number")
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[derive(Debug, Default)]
struct Table {
    held: HashMap<Name, Py<Holding>, BuildHasherDefault<AsItIs>>,
    last_token: u64,
    is_closed: bool,
}

/// What is leased, of one manager.
#[pyclass(frozen, module = "remuda._kernel")]
#[derive(Debug)]
pub struct LeaseTable {
    clock: Py<PyAny>,
    /// Python's class of the leases.
    kind: Py<PyType>,
    table: Guarded<Table>,
}

/// What a lease in memory is to its table.
#[pyclass(frozen, subclass, module = "remuda._kernel")]
#[derive(Debug)]
pub struct Holding {
    table: Py<LeaseTable>,
    name: Name,
    /// 0 for one that was never given.
    token: AtomicU64,
    ttl: Seconds,
    expires: Seconds,
    /// Given back in time.
    is_released: AtomicBool,
    is_awaited: AtomicBool,
}

allocated!(Holding);

/// A number of seconds that one thread may change while others read it.
#[derive(Debug)]
struct Seconds(AtomicU64);

impl Seconds {
    fn new(seconds: f64) -> Self {
        Self(AtomicU64::new(seconds.to_bits()))
    }

    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, seconds: f64) {
        self.0.store(seconds.to_bits(), Ordering::Relaxed);
    }
}

impl Table {
    /// Draws a token; the time to live begins.
    fn begin(&mut self, lease: &Holding, now: f64) {
        self.last_token += 1;
        lease.expires.set(now + lease.ttl.get());
        lease.token.store(self.last_token, Ordering::Release);
    }

    /// Takes out a lease that is held; for the caller to drop, when the lock has been let go of.
    fn end(&mut self, lease: &Bound<'_, Holding>) -> Option<(Name, Py<Holding>)> {
        let name = &lease.get().name;
        if !self.held.get(name)?.is(lease) {
            return None;
        }
        self.held.remove_entry(name)
    }
}

impl LeaseTable {
    fn now(&self, py: Python<'_>) -> PyResult<f64> {
        self.clock.bind(py).call0()?.extract()
    }
}

#[pymethods]
impl LeaseTable {
    #[new]
    fn new(clock: Py<PyAny>, kind: Bound<'_, PyType>) -> PyResult<Self> {
        if !kind.is_subclass_of::<Holding>()? {
            let text = format!("expected a subclass of Holding, got {}", kind.name()?);
            return Err(PyTypeError::new_err(text));
        }
        Ok(Self { clock, kind: kind.unbind(), table: Guarded::new(Table::default()) })
    }

    /// Makes a lease that holds nothing yet.
    fn lease<'py>(slf: &Bound<'py, Self>, resource: &Bound<'py, PyString>, ttl: f64) -> PyResult<Bound<'py, Holding>> {
        let py = slf.py();
        let holding = Holding::new(slf.clone().unbind(), resource, ttl)?;
        alloc::new_of(slf.get().kind.bind(py), holding, |holding| {
            let arguments = (slf, &holding.name.text, ttl);
            Ok(slf.get().kind.bind(py).call1(arguments)?.cast_into()?)
        })
    }

    /// Takes a resource; None if somebody has it, or the table is closed.
    fn take<'py>(
        slf: &Bound<'py, Self>,
        resource: &Bound<'py, PyString>,
        ttl: f64,
    ) -> PyResult<Option<Bound<'py, Holding>>> {
        // Before the lock is taken: to make an object may call the garbage collector, and that anything.
        let object = Self::lease(slf, resource, ttl)?;
        let (py, lease, mine) = (slf.py(), object.get(), object.clone().unbind());
        let now = slf.get().now(py)?;
        let name = lease.name.clone_ref(py);
        let mut table = slf.get().table.lock();
        // Not by `entry`, which drops the name under the lock if it is there.
        if table.is_closed || table.held.contains_key(&lease.name) {
            return Ok(None);
        }
        table.held.insert(name, mine);
        table.begin(lease, now);
        drop(table);
        Ok(Some(object))
    }

    /// Who holds the resource.
    fn holder(&self, py: Python<'_>, resource: &Bound<'_, PyString>) -> PyResult<Option<Py<Holding>>> {
        let name = Name::of(resource)?;
        let table = self.table.lock();
        Ok(table.held.get(&name).map(|lease| lease.clone_ref(py)))
    }

    /// Marks the holder as awaited, and returns it; a free resource is taken by the lease, which is returned itself.
    fn take_or_await<'py>(&self, lease: &Bound<'py, Holding>) -> PyResult<Bound<'py, Holding>> {
        let py = lease.py();
        let now = self.now(py)?;
        let (name, mine) = (lease.get().name.clone_ref(py), lease.clone().unbind());
        let mut table = self.table.lock();
        if let Some(holder) = table.held.get(&lease.get().name) {
            // Under the lock: a holder that gives back either has done so, or sees this.
            holder.get().is_awaited.store(true, Ordering::Relaxed);
            return Ok(holder.clone_ref(py).into_bound(py));
        }
        table.held.insert(name, mine);
        table.begin(lease.get(), now);
        Ok(lease.clone())
    }

    /// Gives the resource to a lease, whoever holds it. It counts as awaited.
    fn hand_over(&self, lease: &Bound<'_, Holding>, now: f64) {
        let (name, mine) = (lease.get().name.clone_ref(lease.py()), lease.clone().unbind());
        lease.get().is_awaited.store(true, Ordering::Relaxed);
        let before = {
            let mut table = self.table.lock();
            table.begin(lease.get(), now);
            let before = table.held.remove_entry(&lease.get().name);
            table.held.insert(name, mine);
            before
        };
        drop(before);
    }

    /// Ends a holding; false if it had ended.
    fn end(&self, lease: &Bound<'_, Holding>) -> bool {
        let ended = self.table.lock().end(lease);
        ended.is_some()
    }

    /// Nothing can be taken any more; returns what was held.
    fn close(&self) -> Vec<Py<Holding>> {
        let held = {
            let mut table = self.table.lock();
            table.is_closed = true;
            std::mem::take(&mut table.held)
        };
        held.into_values().collect()
    }

    /// What is held.
    fn held(&self, py: Python<'_>) -> Vec<Py<Holding>> {
        self.table.lock().held.values().map(|lease| lease.clone_ref(py)).collect()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.clock)?;
        visit.call(&self.kind)?;
        let Some(table) = self.table.try_lock() else { return Ok(()) };
        table.held.values().try_for_each(|lease| visit.call(lease))
    }

    fn __clear__(&self) {
        drop(self.close());
    }
}

#[pymethods]
impl Holding {
    #[new]
    fn new(table: Py<LeaseTable>, resource: &Bound<'_, PyString>, ttl: f64) -> PyResult<Self> {
        Ok(Self {
            table,
            name: Name::of(resource)?,
            token: AtomicU64::new(0),
            ttl: Seconds::new(ttl),
            expires: Seconds::new(0.0),
            is_released: AtomicBool::new(false),
            is_awaited: AtomicBool::new(false),
        })
    }

    /// Gives the resource back; false, and nothing is done, if somebody awaits it, or the time is over.
    fn _give_back(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let lease = slf.get();
        let table = lease.table.get();
        let now = table.now(slf.py())?;
        let ended = {
            let mut table = table.table.lock();
            if lease.is_awaited.load(Ordering::Relaxed) || now >= lease.expires.get() {
                return Ok(false);
            }
            let ended = table.end(slf);
            if ended.is_some() {
                // Under the lock: who finds that it isn't held any more sees why.
                lease.is_released.store(true, Ordering::Release);
            }
            ended
        };
        Ok(ended.is_some())
    }

    /// The seconds until it expires; 0 if it has expired, or was released.
    #[getter]
    fn remaining(&self, py: Python<'_>) -> PyResult<f64> {
        let left = if self._released() { 0.0 } else { self.expires.get() - self.table.get().now(py)? };
        Ok(left.max(0.0))
    }

    /// Whether it is no longer held: its time is over, or it was released.
    #[getter]
    fn expired(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self._released() || self.table.get().now(py)? >= self.expires.get())
    }

    #[getter]
    fn _resource(&self, py: Python<'_>) -> Py<PyString> {
        self.name.text.clone_ref(py)
    }

    #[getter]
    fn _token(&self) -> u64 {
        self.token.load(Ordering::Acquire)
    }

    #[getter]
    fn _ttl(&self) -> f64 {
        self.ttl.get()
    }

    #[setter(_ttl)]
    fn set_ttl(&self, seconds: f64) {
        self.ttl.set(seconds);
    }

    #[getter]
    fn _expires(&self) -> f64 {
        self.expires.get()
    }

    #[setter(_expires)]
    fn set_expires(&self, seconds: f64) {
        self.expires.set(seconds);
    }

    #[getter]
    fn _released(&self) -> bool {
        self.is_released.load(Ordering::Acquire)
    }

    #[setter(_released)]
    fn set_released(&self, is_released: bool) {
        self.is_released.store(is_released, Ordering::Release);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.table)
    }
}
