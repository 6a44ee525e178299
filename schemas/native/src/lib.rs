//! What the meter does with every event, compiled: `schemas/native/README.md`.
#![forbid(unsafe_code)]

use std::panic::{catch_unwind, AssertUnwindSafe};

use pyo3::exceptions::PyValueError;
use pyo3::PyResult;

mod batches;
mod event;
mod keys;
mod reader;
mod rows;
mod usage;
mod values;

#[pyo3::pymodule]
mod credit_meter_native {
    /// Raised with each change of what it is asked or answers: `schemas/compiled.py` uses no other.
    #[pymodule_export]
    const VERSION: u32 = 2;

    #[pymodule_export]
    use crate::batches::{weigh, BatchReader};
    #[pymodule_export]
    use crate::reader::Reader;
    #[pymodule_export]
    use crate::rows::RowEncoder;
    #[pymodule_export]
    use crate::usage::UsageRows;
}

/// A fault in here is an error like any other: the Python code takes over, and no service ends.
fn guarded<T>(work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(PyValueError::new_err("the compiled code failed")))
}
