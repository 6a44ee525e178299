//! Kafka records to events, as `schemas.parsing.reference_reader` gives them. Of whatever is not plain and good: None.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PySequence, PyString, PyTuple};

use crate::event::{read_data, read_event, Data, NAME_FIELDS};
use crate::guarded;
use crate::keys::{hash_parts, partition_for, text_key, uuid_key};
use crate::usage::{Contract, Kind, ReadEvent, Row, Span, UsageRows};
use crate::values::{is_account, is_few, is_id, is_measure, is_name, read_amount, read_time, read_uuid, runs_to_micro};

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
    contract: Arc<Contract>,
    media: Vec<Vec<u8>>,
    categories: Vec<String>,
    bounds: Bounds,
    partitions: u32,
    own_source: String,
}

#[derive(Clone, Copy)]
struct Account {
    partition: u32,
    hash: u128,
}

/// What repeats within a batch: accounts, and the hashes of sources.
#[derive(Default)]
struct Seen {
    accounts: HashMap<String, Account>,
    sources: HashMap<String, u128>,
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
        kinds: HashMap<String, (i16, i16, bool, String)>,
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
        let contract = Arc::new(Contract { topic, kinds, read_time, new_tuple, accepted });
        Ok(Self { contract, media, categories, bounds, partitions, own_source })
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
            let event = self.read_guarded(&record?, &limits, &mut seen);
            found.append(event.and_then(|event| event.accepted(py, &self.contract).ok()))?;
        }
        Ok(found)
    }

    /// The events among the records, in their order. `judge` is asked for those that the Python readers have to judge, and
    /// gives the event, or None where there is none.
    fn read_rows<'py>(
        &self,
        records: &Bound<'py, PySequence>,
        limits: Limits,
        judge: &Bound<'py, PyAny>,
    ) -> PyResult<UsageRows> {
        let mut seen = Seen::default();
        let mut rows = Vec::with_capacity(records.len()?);
        for record in records.try_iter()? {
            let record = record?;
            if let Some(event) = self.read_guarded(&record, &limits, &mut seen) {
                rows.push(Row::Read(event));
                continue;
            }
            let event = judge.call1((record,))?;
            if !event.is_none() {
                rows.push(Row::given(&event)?);
            }
        }
        Ok(UsageRows::of(self.contract.clone(), rows))
    }
}

impl Reader {
    fn read_guarded(&self, record: &Bound<'_, PyAny>, limits: &Limits, seen: &mut Seen) -> Option<ReadEvent> {
        guarded(|| self.read_one(record, limits, seen)).ok().flatten()
    }

    fn read_one(&self, record: &Bound<'_, PyAny>, limits: &Limits, seen: &mut Seen) -> PyResult<Option<ReadEvent>> {
        let record = record.cast::<PyTuple>()?;
        let (topic, given) = (record.get_item(0)?, record.get_item(5)?);
        let Ok(given) = given.cast::<PyBytes>() else { return Ok(None) };
        let value = given.as_bytes();
        if value.len() > limits.value_bytes
            || topic.cast::<PyString>()?.to_str()? != self.contract.topic
            || !self.is_structured(&record.get_item(6)?)?
        {
            return Ok(None);
        }
        let Some(event) = read_event(value) else { return Ok(None) };
        let kinds = &self.contract.kinds;
        let Some(place) = kinds.iter().position(|kind| kind.name == event.kind) else { return Ok(None) };
        let Some(micros) = read_time(event.time) else { return Ok(None) };
        let Some((amount, name)) = self.read_data(event.data, &kinds[place], limits) else { return Ok(None) };
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
        let Some(account) = self.account(event.subject, &mut seen.accounts) else { return Ok(None) };
        if account.partition != record.get_item(1)?.extract::<u32>()? {
            return Ok(None);
        }
        let Some(source) = self.source(event.source, &mut seen.sources) else { return Ok(None) };
        let uuid = read_uuid(event.id);
        let key = match &uuid {
            Some(uuid) => uuid_key(uuid, account.hash, source),
            None => Some(text_key(&self.contract.topic, event.subject, event.source, event.id)),
        };
        let Some(key) = key else { return Ok(None) };
        let offset = record.get_item(2)?.extract()?;
        let spans = [event.id, event.subject, name, event.time, event.source, event.data];
        let [Some(id), Some(account), Some(name), Some(time), Some(source), Some(data)] =
            spans.map(|part| Span::of(value, part))
        else {
            return Ok(None);
        };
        Ok(Some(ReadEvent {
            value: given.clone().unbind(),
            offset,
            amount,
            micros,
            key,
            kind: place,
            is_uuid: uuid.is_some(),
            id,
            account,
            name,
            time,
            source,
            data,
            extensions: write_extensions(&event.extensions),
        }))
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

    fn account(&self, id: &str, seen: &mut HashMap<String, Account>) -> Option<Account> {
        if let Some(account) = seen.get(id) {
            return Some(*account);
        }
        if self.partitions == 0 || !is_account(id, self.bounds.account_chars) {
            return None;
        }
        let account = Account {
            partition: partition_for(id.as_bytes(), self.partitions),
            hash: hash_parts(&[&self.contract.topic, id]),
        };
        seen.insert(id.to_owned(), account);
        Some(account)
    }

    fn source(&self, text: &str, seen: &mut HashMap<String, u128>) -> Option<u128> {
        if let Some(hash) = seen.get(text) {
            return Some(*hash);
        }
        if text == self.own_source {
            return None;
        }
        let hash = hash_parts(&[text]);
        seen.insert(text.to_owned(), hash);
        Some(hash)
    }
}

/// JSON object text of further attributes, as sent.
fn write_extensions(extensions: &[(&str, &str)]) -> Option<String> {
    if extensions.is_empty() {
        return None;
    }
    let members: Vec<String> = extensions.iter().map(|(name, text)| format!("\"{name}\":\"{text}\"")).collect();
    Some(format!("{{{}}}", members.join(",")))
}
