//! Rows as binary COPY takes them, as `meter.store.layout` describes them.

use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use crate::guarded;
use crate::usage::{ReadEvent, Row, UsageRows};

const DAY_MICROS: i64 = 86_400_000_000;
const SECOND_MICROS: i64 = 1_000_000;
const ROW_BYTES: usize = 400;

/// The bytes that frame rows and fields come from Python, where the layout stands.
#[pyclass(frozen, module = "credit_meter_native")]
pub struct RowEncoder {
    header: Vec<u8>,
    trailer: Vec<u8>,
    start: Vec<u8>,
    first_uuid_key: Vec<u8>,
    epoch: Py<PyAny>,
}

#[pymethods]
impl RowEncoder {
    #[new]
    #[pyo3(signature = (*, header, trailer, start, first_uuid_key, epoch))]
    fn new(header: Vec<u8>, trailer: Vec<u8>, start: Vec<u8>, first_uuid_key: Vec<u8>, epoch: Py<PyAny>) -> Self {
        Self { header, trailer, start, first_uuid_key, epoch }
    }

    /// A whole COPY stream. `middle` is what follows the time of every row. Raises for what has no place in a column.
    fn encode<'py>(
        &self,
        py: Python<'py>,
        rows: &Bound<'py, PyAny>,
        shard: i32,
        first_position: i64,
        middle: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        guarded(|| {
            let mut out = Vec::with_capacity(self.header.len() + rows.len()? * ROW_BYTES);
            out.extend_from_slice(&self.header);
            if let Ok(usage) = rows.cast::<UsageRows>() {
                let (usage, epoch) = (usage.get(), self.epoch_micros(py)?);
                for (position, row) in (first_position..).zip(usage.rows()) {
                    match row {
                        Row::Read(event) => {
                            self.encode_event(py, event, usage, epoch, shard, position, middle, &mut out)?;
                        }
                        Row::Given { event, .. } => {
                            self.encode_row(py, event.bind(py), shard, position, middle, &mut out)?;
                        }
                    }
                }
            } else {
                for (position, row) in (first_position..).zip(rows.try_iter()?) {
                    self.encode_row(py, row?.cast::<PyTuple>()?, shard, position, middle, &mut out)?;
                }
            }
            out.extend_from_slice(&self.trailer);
            Ok(PyBytes::new(py, &out))
        })
    }
}

impl RowEncoder {
    /// An event that was read here, without an object of Python's.
    #[allow(clippy::too_many_arguments)]
    fn encode_event(
        &self,
        py: Python<'_>,
        event: &ReadEvent,
        usage: &UsageRows,
        epoch: i64,
        shard: i32,
        position: i64,
        middle: &[u8],
        out: &mut Vec<u8>,
    ) -> PyResult<()> {
        let kind = &usage.contract().kinds[event.kind];
        out.extend_from_slice(&self.start);
        out.extend_from_slice(&position.to_be_bytes());
        for number in [event.amount, event.offset, event.micros - epoch] {
            put_field(out, &number.to_be_bytes())?;
        }
        out.extend_from_slice(middle);
        put_field(out, &shard.to_be_bytes())?;
        put_field(out, &kind.code.to_be_bytes())?;
        put_field(out, &kind.resource.to_be_bytes())?;
        for part in [event.account, event.name, event.source, event.data] {
            put_field(out, event.text(py, part))?;
        }
        match &event.extensions {
            None => put_null(out),
            Some(text) => put_field(out, text.as_bytes())?,
        }
        if event.key.as_slice() >= self.first_uuid_key.as_slice() {
            put_null(out); // the key begins with the id
        } else {
            put_field(out, &event.id(py))?;
        }
        put_field(out, &event.key)
    }

    /// Microseconds from 1970 to the epoch of the rows.
    fn epoch_micros(&self, py: Python<'_>) -> PyResult<i64> {
        let seconds: f64 = self.epoch.bind(py).call_method0(intern!(py, "timestamp"))?.extract()?;
        Ok(seconds as i64 * SECOND_MICROS)
    }

    fn encode_row<'py>(
        &self,
        py: Python<'py>,
        row: &Bound<'py, PyTuple>,
        shard: i32,
        position: i64,
        middle: &[u8],
        out: &mut Vec<u8>,
    ) -> PyResult<()> {
        let (kind, amount, offset): (i16, i64, i64) =
            (row.get_item(4)?.extract()?, row.get_item(6)?.extract()?, row.get_item(1)?.extract()?);
        let (resource, extensions, key) = (row.get_item(5)?, row.get_item(11)?, row.get_item(12)?);
        let key = key.cast::<PyBytes>()?.as_bytes();
        out.extend_from_slice(&self.start);
        out.extend_from_slice(&position.to_be_bytes());
        for number in [amount, offset, self.micros(py, &row.get_item(8)?)?] {
            put_field(out, &number.to_be_bytes())?;
        }
        out.extend_from_slice(middle);
        put_field(out, &shard.to_be_bytes())?;
        put_field(out, &kind.to_be_bytes())?;
        if resource.is_none() {
            put_null(out);
        } else {
            put_field(out, &resource.extract::<i16>()?.to_be_bytes())?;
        }
        for column in [3, 7, 9, 10] {
            put_text(out, &row.get_item(column)?)?;
        }
        if extensions.is_none() {
            put_null(out);
        } else {
            put_text(out, &extensions)?;
        }
        if key >= self.first_uuid_key.as_slice() {
            put_null(out); // the key begins with the id
        } else {
            put_text(out, &row.get_item(2)?)?;
        }
        put_field(out, key)
    }

    fn micros<'py>(&self, py: Python<'py>, moment: &Bound<'py, PyAny>) -> PyResult<i64> {
        let since = moment.sub(self.epoch.bind(py))?;
        let days: i64 = since.getattr(intern!(py, "days"))?.extract()?;
        let seconds: i64 = since.getattr(intern!(py, "seconds"))?.extract()?;
        let micros: i64 = since.getattr(intern!(py, "microseconds"))?.extract()?;
        Ok(days * DAY_MICROS + seconds * SECOND_MICROS + micros)
    }
}

fn put_null(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i32).to_be_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &Bound<'_, PyAny>) -> PyResult<()> {
    put_field(out, text.cast::<PyString>()?.to_str()?.as_bytes())
}

fn put_field(out: &mut Vec<u8>, value: &[u8]) -> PyResult<()> {
    let length = i32::try_from(value.len()).map_err(|_| PyOverflowError::new_err("a value is too long"))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
    Ok(())
}
