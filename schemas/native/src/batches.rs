//! The records of an unpacked record batch of Kafka, version 2, as `meter.runtime.kafka.adapter.tolerant` reads them.
//!
//! It takes records as long as they are plain to their last byte, and leaves the rest of the batch to the Python readers.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::guarded;

/// A varint has seven bits to a byte.
const MOST_VARINT_BYTES: u32 = 10;
/// The most for which the tenth byte of a varint still fits.
const LAST_VARINT_BYTE: u8 = 1;

/// What the head of the batch says, and how its records are wanted.
#[derive(FromPyObject)]
struct Wanted {
    /// Name and partition that its records get.
    topic: Py<PyAny>,
    partition: Py<PyAny>,
    base_offset: i64,
    records: usize,
    first_timestamp: i64,
    /// The time of all records, where the broker has set it.
    append_time: Option<i64>,
    /// Offsets below were read before.
    first: i64,
    /// Bytes of memory that all of them may take; more are read by the next call.
    most_bytes: usize,
    /// How many were read by calls before, and where in the body the next one begins.
    done: usize,
    at: usize,
}

/// Records, the bytes that they count for, how many were read in all, and where the next one begins.
type Found<'py> = (Bound<'py, PyList>, usize, usize, usize);

#[pyclass(frozen, module = "credit_meter_native")]
pub struct BatchReader {
    record: Py<PyAny>,
    new_tuple: Py<PyAny>,
    most_record_bytes: usize,
    most_headers: usize,
    record_bytes: usize,
    header_bytes: usize,
}

/// Headers of a record; most records of a batch have the same, byte for byte.
struct Headers<'a, 'py> {
    bytes: &'a [u8],
    found: Bound<'py, PyTuple>,
    /// Bytes of their names and values.
    size: usize,
}

#[pymethods]
impl BatchReader {
    /// `record` is the class of what is made; `most_…` bounds each of them, and the others say what a record and a header
    /// take beside their bytes.
    #[new]
    #[pyo3(signature = (*, record, most_record_bytes, most_headers, record_bytes, header_bytes))]
    fn new(
        py: Python<'_>,
        record: Py<PyAny>,
        most_record_bytes: usize,
        most_headers: usize,
        record_bytes: usize,
        header_bytes: usize,
    ) -> PyResult<Self> {
        let new_tuple = py.get_type::<PyTuple>().getattr("__new__")?.unbind();
        Ok(Self { record, new_tuple, most_record_bytes, most_headers, record_bytes, header_bytes })
    }

    /// The records from `first` on, as many as may be, and the bytes of their keys, values and headers, of which each has
    /// `header_bytes` more. None where the next one is left to others, or where something stands behind the last.
    fn read<'py>(&self, py: Python<'py>, body: &Bound<'py, PyBytes>, wanted: Wanted) -> PyResult<Option<Found<'py>>> {
        guarded(|| self.read_all(py, body.as_bytes(), &wanted).transpose())
    }
}

impl BatchReader {
    fn read_all<'py>(&self, py: Python<'py>, body: &[u8], wanted: &Wanted) -> Option<PyResult<Found<'py>>> {
        let found = PyList::empty(py);
        let mut headers = Headers { bytes: &[0], found: PyTuple::empty(py), size: 0 };
        let (mut rest, mut taken) = (body.get(wanted.at..)?, 0);
        for index in wanted.done..wanted.records {
            let at = body.len() - rest.len();
            let length = take_length(&mut rest)??;
            if length == 0 {
                return None;
            }
            let mut record = take(&mut rest, length)?;
            let offset = wanted.base_offset.checked_add(i64::try_from(index).ok()?)?;
            if take(&mut record, 1)? != [0] {
                return None; // attributes, of which there are none; aiokafka takes them for a varint
            }
            let since = take_varint(&mut record)?;
            if take_varint(&mut record)? != i64::try_from(index).ok()? {
                return None;
            }
            let key = take_field(&mut record)?;
            let value = take_field(&mut record)?;
            if record != headers.bytes {
                headers = self.read_headers(py, record)?;
            }
            let size = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headers.size;
            if size > self.most_record_bytes {
                return None;
            }
            let timestamp = match wanted.append_time {
                Some(moment) => moment,
                None => wanted.first_timestamp.checked_add(since)?,
            };
            if offset >= wanted.first {
                let counted = size + self.header_bytes * headers.found.len();
                if taken + counted + self.record_bytes * (found.len() + 1) > wanted.most_bytes {
                    return (!found.is_empty()).then_some(Ok((found, taken, index, at)));
                }
                taken += counted;
                if let Err(error) = self.append(py, &found, wanted, offset, timestamp, key, value, &headers.found) {
                    return Some(Err(error));
                }
            }
        }
        rest.is_empty().then_some(Ok((found, taken, wanted.records, body.len())))
    }

    #[allow(clippy::too_many_arguments)]
    fn append<'py>(
        &self,
        py: Python<'py>,
        found: &Bound<'py, PyList>,
        wanted: &Wanted,
        offset: i64,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &Bound<'py, PyTuple>,
    ) -> PyResult<()> {
        let bytes_or_none = |bytes: Option<&[u8]>| bytes.map(|bytes| PyBytes::new(py, bytes));
        let fields = (
            wanted.topic.bind(py),
            wanted.partition.bind(py),
            offset,
            timestamp,
            bytes_or_none(key),
            bytes_or_none(value),
            headers,
        );
        found.append(self.new_tuple.bind(py).call1((self.record.bind(py), fields))?)
    }

    /// To the end of the record.
    fn read_headers<'a, 'py>(&self, py: Python<'py>, bytes: &'a [u8]) -> Option<Headers<'a, 'py>> {
        let mut rest = bytes;
        let count = take_length(&mut rest)??;
        if count > self.most_headers {
            return None;
        }
        let mut found = Vec::with_capacity(count);
        let mut size = 0;
        for _ in 0..count {
            let (name, value) = (take_field(&mut rest)??, take_field(&mut rest)?);
            if !name.is_ascii() {
                return None; // the bounds count characters
            }
            size += name.len() + value.map_or(0, <[u8]>::len);
            let name = PyString::new(py, std::str::from_utf8(name).ok()?);
            found.push((name, value.map(|value| PyBytes::new(py, value))));
        }
        rest.is_empty().then_some(())?;
        Some(Headers { bytes, found: PyTuple::new(py, found).ok()?, size })
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(taken)
}

/// Kafka's signed varint.
fn take_varint(rest: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for place in 0..MOST_VARINT_BYTES {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        if place + 1 == MOST_VARINT_BYTES && *byte > LAST_VARINT_BYTE {
            return None;
        }
        value |= u64::from(*byte & 0x7f) << (7 * place);
        if *byte < 0x80 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// A length; Some(None) where it is negative, which stands for null.
fn take_length(rest: &mut &[u8]) -> Option<Option<usize>> {
    let length = take_varint(rest)?;
    if length < 0 {
        return Some(None);
    }
    i32::try_from(length).ok().and_then(|length| usize::try_from(length).ok()).map(Some)
}

/// Bytes with their length before them; Some(None) is null.
fn take_field<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match take_length(rest)? {
        None => Some(None),
        Some(length) => take(rest, length).map(Some),
    }
}

/// Bytes of memory that each record takes, roughly: `meter.runtime.kafka.partition_buffer.weigh`. Records of a batch that
/// have the same headers have them in one tuple, which is weighed once.
#[pyfunction]
pub fn weigh(records: &Bound<'_, PyList>, record_bytes: usize, header_bytes: usize) -> PyResult<Vec<usize>> {
    guarded(|| {
        let mut weights = Vec::with_capacity(records.len());
        let (mut weighed, mut weight): (Option<Bound<'_, PyTuple>>, usize) = (None, 0);
        for record in records {
            let record = record.cast::<PyTuple>()?;
            let headers = record.get_borrowed_item(6)?;
            if !weighed.as_ref().is_some_and(|known| known.is(headers)) {
                let headers = headers.cast::<PyTuple>()?;
                weight = weigh_headers(&headers, header_bytes)?;
                weighed = Some(headers.to_owned());
            }
            let (key, value) = (record.get_borrowed_item(4)?, record.get_borrowed_item(5)?);
            weights.push(record_bytes + length_of(&key)? + length_of(&value)? + weight);
        }
        Ok(weights)
    })
}

fn weigh_headers(headers: &Bound<'_, PyTuple>, header_bytes: usize) -> PyResult<usize> {
    let mut size = 0;
    for header in headers {
        let header = header.cast::<PyTuple>()?;
        let (name, value) = (header.get_item(0)?, header.get_item(1)?);
        size += header_bytes + name.cast::<PyString>()?.len()? + length_of(&value)?;
    }
    Ok(size)
}

fn length_of(bytes: &Bound<'_, PyAny>) -> PyResult<usize> {
    Ok(if bytes.is_none() { 0 } else { bytes.cast::<PyBytes>()?.as_bytes().len() })
}
