//! Events of usage, as many as a batch has, without an object of Python's for each: they are made when somebody looks.

use std::collections::HashSet;
use std::sync::Arc;

use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use crate::guarded;
use crate::keys::KEY_BYTES;

const MICROS: f64 = 1e6;

/// A type of usage, and the field that has its name.
pub struct Kind {
    pub name: String,
    pub code: i16,
    pub resource: i16,
    pub is_credits: bool,
    pub name_field: usize,
}

/// What all events have in common, and what Python's objects are made with.
pub struct Contract {
    pub topic: String,
    pub kinds: Vec<Kind>,
    pub read_time: Py<PyAny>,
    pub new_tuple: Py<PyAny>,
    pub accepted: Py<PyAny>,
}

/// A part of a record's value.
#[derive(Clone, Copy)]
pub struct Span {
    at: usize,
    length: usize,
}

impl Span {
    /// None where `part` is not borrowed from `value`.
    pub fn of(value: &[u8], part: &str) -> Option<Self> {
        let at = (part.as_ptr() as usize).checked_sub(value.as_ptr() as usize)?;
        (at.checked_add(part.len())? <= value.len()).then_some(Self { at, length: part.len() })
    }
}

/// An event that was read here. Its texts are ASCII, and stand in the record's value.
pub struct ReadEvent {
    pub value: Py<PyBytes>,
    pub offset: i64,
    pub amount: i64,
    /// Since 1970.
    pub micros: i64,
    pub key: [u8; KEY_BYTES],
    pub kind: usize,
    /// Whether its id is a UUID, which is known in lower case.
    pub is_uuid: bool,
    pub id: Span,
    pub account: Span,
    pub name: Span,
    pub time: Span,
    pub source: Span,
    pub data: Span,
    pub extensions: Option<String>,
}

impl ReadEvent {
    pub fn text<'a>(&'a self, py: Python<'a>, part: Span) -> &'a [u8] {
        &self.value.bind(py).as_bytes()[part.at..part.at + part.length]
    }

    pub fn id(&self, py: Python<'_>) -> Vec<u8> {
        let id = self.text(py, self.id);
        if self.is_uuid {
            id.to_ascii_lowercase()
        } else {
            id.to_vec()
        }
    }

    pub fn accepted<'py>(&self, py: Python<'py>, contract: &Contract) -> PyResult<Bound<'py, PyAny>> {
        let text = |part: Span| PyString::from_bytes(py, self.text(py, part));
        let kind = &contract.kinds[self.kind];
        let fields = PyTuple::new(
            py,
            [
                PyString::new(py, &contract.topic).into_any(),
                self.offset.into_pyobject(py)?.into_any(),
                PyString::from_bytes(py, &self.id(py))?.into_any(),
                text(self.account)?.into_any(),
                kind.code.into_pyobject(py)?.into_any(),
                kind.resource.into_pyobject(py)?.into_any(),
                self.amount.into_pyobject(py)?.into_any(),
                text(self.name)?.into_any(),
                contract.read_time.bind(py).call1((text(self.time)?,))?,
                text(self.source)?.into_any(),
                text(self.data)?.into_any(),
                self.extensions.as_deref().into_pyobject(py)?.into_any(),
                PyBytes::new(py, &self.key).into_any(),
            ],
        )?;
        contract.new_tuple.bind(py).call1((contract.accepted.bind(py), fields))
    }
}

/// An event: read here, or by Python.
pub enum Row {
    Read(ReadEvent),
    Given { event: Py<PyTuple>, key: Vec<u8>, kind: i16 },
}

impl Row {
    pub fn given(event: &Bound<'_, PyAny>) -> PyResult<Self> {
        let event = event.cast::<PyTuple>()?;
        let (kind, key) = (event.get_item(4)?.extract()?, event.get_item(12)?.cast::<PyBytes>()?.as_bytes().to_vec());
        Ok(Self::Given { event: event.clone().unbind(), key, kind })
    }

    fn key(&self) -> &[u8] {
        match self {
            Self::Read(event) => &event.key,
            Self::Given { key, .. } => key,
        }
    }
}

#[pyclass(frozen, sequence, module = "credit_meter_native")]
pub struct UsageRows {
    contract: Arc<Contract>,
    all: Arc<Vec<Row>>,
    /// Which of all, in order; None: all of them.
    picked: Option<Vec<usize>>,
}

impl UsageRows {
    pub fn of(contract: Arc<Contract>, rows: Vec<Row>) -> Self {
        Self { contract, all: Arc::new(rows), picked: None }
    }

    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    fn count(&self) -> usize {
        self.picked.as_ref().map_or(self.all.len(), Vec::len)
    }

    fn index(&self, at: usize) -> usize {
        self.picked.as_ref().map_or(at, |picked| picked[at])
    }

    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        (0..self.count()).map(|at| &self.all[self.index(at)])
    }
}

#[pymethods]
impl UsageRows {
    fn __len__(&self) -> usize {
        self.count()
    }

    fn __getitem__<'py>(&self, py: Python<'py>, at: isize) -> PyResult<Bound<'py, PyAny>> {
        let count = self.count();
        let at = if at < 0 { at.checked_add_unsigned(count) } else { Some(at) };
        let at = at.and_then(|at| usize::try_from(at).ok()).filter(|at| *at < count);
        let at = at.ok_or_else(|| PyIndexError::new_err("there is no such row"))?;
        guarded(|| match &self.all[self.index(at)] {
            Row::Read(event) => event.accepted(py, &self.contract),
            Row::Given { event, .. } => Ok(event.bind(py).clone().into_any()),
        })
    }

    /// The keys of all rows, joined.
    fn keys<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let mut joined = Vec::with_capacity(self.count() * KEY_BYTES);
        for row in self.rows() {
            joined.extend_from_slice(row.key());
        }
        PyBytes::new(py, &joined)
    }

    /// Codes of the types that there are.
    fn types(&self) -> Vec<i16> {
        let mut found = Vec::new(); // a handful at most: to look through them takes less than to hash
        for row in self.rows() {
            let code = match row {
                Row::Read(event) => self.contract.kinds[event.kind].code,
                Row::Given { kind, .. } => *kind,
            };
            if !found.contains(&code) {
                found.push(code);
            }
        }
        found
    }

    /// Places of the rows with one of these keys.
    fn find(&self, keys: HashSet<Vec<u8>>) -> Vec<usize> {
        self.places(|key| keys.contains(key))
    }

    /// Places of the rows whose key a row before them has.
    fn again(&self) -> Vec<usize> {
        let mut seen = HashSet::with_capacity(self.count());
        let mut again = Vec::new();
        for (at, row) in self.rows().enumerate() {
            if !seen.insert(row.key()) {
                again.push(at);
            }
        }
        again
    }

    /// The rows but those at these places, which ascend.
    fn without(&self, places: Vec<usize>) -> Self {
        let mut left_out = places.into_iter().peekable();
        let kept = |at: &usize| left_out.next_if_eq(at).is_none();
        let picked = (0..self.count()).filter(kept).map(|at| self.index(at)).collect();
        Self { contract: self.contract.clone(), all: self.all.clone(), picked: Some(picked) }
    }

    /// How long before `now`, in microseconds since 1970, each row happened, in seconds; None for what Python has read.
    fn waited(&self, now: i64) -> Vec<Option<f64>> {
        let waited = |row: &Row| match row {
            Row::Read(event) => Some(now.saturating_sub(event.micros) as f64 / MICROS),
            Row::Given { .. } => None,
        };
        self.rows().map(waited).collect()
    }
}

impl UsageRows {
    fn places(&self, is_one: impl Fn(&[u8]) -> bool) -> Vec<usize> {
        self.rows().enumerate().filter(|(_, row)| is_one(row.key())).map(|(at, _)| at).collect()
    }
}
