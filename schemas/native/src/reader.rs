//! Kafka records to events, as `schemas.parsing.reference_reader` gives them. Of whatever is not plain and good: None.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PySequence, PyString, PyTuple};

use crate::event::{read_data, read_event, Data, Event, NAME_FIELDS};
use crate::guarded;
use crate::keys::{hash_parts, partition_for, text_key, uuid_key};
use crate::values::{is_account, is_few, is_id, is_measure, is_name, read_amount, read_time, read_uuid, runs_to_micro};

/// A type of usage, and the field that has its name.
struct Kind {
    name: String,
    code: Py<PyAny>,
    resource: Py<PyAny>,
    is_credits: bool,
    name_field: usize,
}

/// Bounds of the contract; each stands where Python has it.
#[derive(FromPyObject)]
struct Bounds {
    account_chars: usize,
    id_chars: usize,
    source_chars: usize,
    name_chars: usize,
    tokens: u64,
    runs: u64,
}

/// What depends on the clock and the settings; times in microseconds since 1970.
#[derive(FromPyObject)]
struct Limits {
    earliest: i64,
    latest: i64,
    value_bytes: usize,
    credits: i64,
    runs: i64,
}

#[pyclass(frozen, module = "credit_meter_native")]
pub struct Reader {
    topic: String,
    media: Vec<Vec<u8>>,
    kinds: Vec<Kind>,
    categories: Vec<String>,
    bounds: Bounds,
    partitions: u32,
    own_source: String,
    read_time: Py<PyAny>,
    new_tuple: Py<PyAny>,
    accepted: Py<PyAny>,
}

#[derive(Clone)]
struct Account<'py> {
    id: Bound<'py, PyAny>,
    partition: u32,
    hash: u128,
}

#[derive(Clone)]
struct Source<'py> {
    text: Bound<'py, PyAny>,
    hash: u128,
}

/// What repeats within a batch.
#[derive(Default)]
struct Seen<'py> {
    accounts: HashMap<String, Account<'py>>,
    sources: HashMap<String, Source<'py>>,
}

#[pymethods]
impl Reader {
    /// `kinds` has code, resource, whether it costs credits, and the field of the name, by type. `read_time` is that
    /// of the Python readers, and raises for what is no time.
    #[new]
    #[pyo3(signature = (*, topic, media, kinds, categories, bounds, partitions, own_source, read_time, accepted))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        topic: String,
        media: Vec<Vec<u8>>,
        kinds: HashMap<String, (Py<PyAny>, Py<PyAny>, bool, String)>,
        categories: Vec<String>,
        bounds: Bounds,
        partitions: u32,
        own_source: String,
        read_time: Py<PyAny>,
        accepted: Py<PyAny>,
    ) -> PyResult<Self> {
        let kinds = kinds
            .into_iter()
            .filter_map(|(name, (code, resource, is_credits, field))| {
                let name_field = NAME_FIELDS.iter().position(|known| *known == field)?;
                Some(Kind { name, code, resource, is_credits, name_field })
            })
            .collect();
        let new_tuple = py.get_type::<PyTuple>().getattr("__new__")?.unbind();
        Ok(Self { topic, media, kinds, categories, bounds, partitions, own_source, read_time, new_tuple, accepted })
    }

    /// For each record the event, or None where the Python readers have to judge.
    fn read<'py>(
        &self,
        py: Python<'py>,
        records: &Bound<'py, PySequence>,
        limits: Limits,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut seen = Seen::default();
        let found = PyList::empty(py);
        for record in records.try_iter()? {
            let record = record?;
            let event = guarded(|| self.read_one(py, &record, &limits, &mut seen));
            found.append(event.ok().flatten())?;
        }
        Ok(found)
    }
}

impl Reader {
    fn read_one<'py>(
        &self,
        py: Python<'py>,
        record: &Bound<'py, PyAny>,
        limits: &Limits,
        seen: &mut Seen<'py>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let record = record.cast::<PyTuple>()?;
        let (topic, value) = (record.get_item(0)?, record.get_item(5)?);
        let Ok(value) = value.cast::<PyBytes>() else { return Ok(None) };
        let value = value.as_bytes();
        if value.len() > limits.value_bytes
            || topic.cast::<PyString>()?.to_str()? != self.topic
            || !self.is_structured(&record.get_item(6)?)?
        {
            return Ok(None);
        }
        let Some(event) = read_event(value) else { return Ok(None) };
        let Some(kind) = self.kinds.iter().find(|kind| kind.name == event.kind) else { return Ok(None) };
        let Some(micros) = read_time(event.time) else { return Ok(None) };
        let Some((amount, name)) = self.read_data(event.data, kind, limits) else { return Ok(None) };
        if !(limits.earliest..=limits.latest).contains(&micros)
            || !is_id(event.id, self.bounds.id_chars)
            || !is_name(event.source, self.bounds.source_chars)
        {
            return Ok(None);
        }
        let key = record.get_item(4)?;
        let key = key.cast::<PyBytes>().map_or(&b""[..], |key| key.as_bytes());
        if !key.is_empty() && key != event.subject.as_bytes() {
            return Ok(None);
        }
        let Some(account) = self.account(py, event.subject, &mut seen.accounts) else { return Ok(None) };
        if account.partition != record.get_item(1)?.extract::<u32>()? {
            return Ok(None);
        }
        let Some(source) = self.source(py, event.source, &mut seen.sources) else { return Ok(None) };
        let Some((id, key)) = self.identify(py, &event, &account, &source) else { return Ok(None) };
        let event = PyTuple::new(
            py,
            [
                topic.clone(),
                record.get_item(2)?,
                id,
                account.id,
                kind.code.bind(py).clone(),
                kind.resource.bind(py).clone(),
                amount.into_pyobject(py)?.into_any(),
                PyString::new(py, name).into_any(),
                self.read_time.bind(py).call1((event.time,))?,
                source.text,
                PyString::new(py, event.data).into_any(),
                write_extensions(py, &event.extensions),
                key,
            ],
        )?;
        Ok(Some(self.new_tuple.bind(py).call1((self.accepted.bind(py), event))?))
    }

    /// Whether no header stands beside the one that says structured mode, if any.
    fn is_structured(&self, headers: &Bound<'_, PyAny>) -> PyResult<bool> {
        let headers = headers.cast::<PyTuple>()?;
        if headers.len() != 1 {
            return Ok(headers.is_empty());
        }
        let header = headers.get_item(0)?;
        let header = header.cast::<PyTuple>()?;
        let (name, value) = (header.get_item(0)?, header.get_item(1)?);
        let Ok(value) = value.cast::<PyBytes>() else { return Ok(false) };
        Ok(name.cast::<PyString>()?.to_str()? == "content-type"
            && self.media.iter().any(|media| media == value.as_bytes()))
    }

    /// Amount and name.
    fn read_data<'a>(&self, text: &'a str, kind: &Kind, limits: &Limits) -> Option<(i64, &'a str)> {
        let data: Data<'a> = read_data(text)?;
        let name_chars = self.bounds.name_chars;
        let name = data.names[kind.name_field]?;
        let texts = data.names.iter().flatten().chain(&data.texts);
        let is_good = texts.into_iter().all(|text| is_name(text, name_chars))
            && data.tokens.iter().flatten().all(|count| *count <= self.bounds.tokens)
            && data.replicas.is_none_or(is_few)
            && data.measures.iter().all(|value| is_measure(value))
            && data.category.is_none_or(|category| self.categories.iter().any(|known| known == category));
        if !is_good {
            return None;
        }
        let (amount, most) = if kind.is_credits {
            (read_amount(data.credits?)?, limits.credits)
        } else {
            let runs = data.runs.unwrap_or(1);
            if data.credits.is_some() || !(1..=self.bounds.runs).contains(&runs) {
                return None;
            }
            (runs_to_micro(runs)?, limits.runs)
        };
        (amount <= most).then_some((amount, name))
    }

    fn account<'py>(
        &self,
        py: Python<'py>,
        id: &str,
        seen: &mut HashMap<String, Account<'py>>,
    ) -> Option<Account<'py>> {
        if let Some(account) = seen.get(id) {
            return Some(account.clone());
        }
        if self.partitions == 0 || !is_account(id, self.bounds.account_chars) {
            return None;
        }
        let account = Account {
            id: PyString::new(py, id).into_any(),
            partition: partition_for(id.as_bytes(), self.partitions),
            hash: hash_parts(&[&self.topic, id]),
        };
        seen.insert(id.to_owned(), account.clone());
        Some(account)
    }

    fn source<'py>(&self, py: Python<'py>, text: &str, seen: &mut HashMap<String, Source<'py>>) -> Option<Source<'py>> {
        if let Some(source) = seen.get(text) {
            return Some(source.clone());
        }
        if text == self.own_source {
            return None;
        }
        let source = Source { text: PyString::new(py, text).into_any(), hash: hash_parts(&[text]) };
        seen.insert(text.to_owned(), source.clone());
        Some(source)
    }

    /// The id as the store knows it, and the key of the event's identity.
    fn identify<'py>(
        &self,
        py: Python<'py>,
        event: &Event<'_>,
        account: &Account<'py>,
        source: &Source<'py>,
    ) -> Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let (id, key) = match read_uuid(event.id) {
            Some(uuid) => (event.id.to_ascii_lowercase(), uuid_key(&uuid, account.hash, source.hash)?),
            None => (event.id.to_owned(), text_key(&self.topic, event.subject, event.source, event.id)),
        };
        Some((PyString::new(py, &id).into_any(), PyBytes::new(py, &key).into_any()))
    }
}

/// JSON object text of further attributes, as sent.
fn write_extensions<'py>(py: Python<'py>, extensions: &[(&str, &str)]) -> Bound<'py, PyAny> {
    if extensions.is_empty() {
        return py.None().into_bound(py);
    }
    let members: Vec<String> = extensions.iter().map(|(name, text)| format!("\"{name}\":\"{text}\"")).collect();
    PyString::new(py, &format!("{{{}}}", members.join(","))).into_any()
}
