//! Regular expressions of the configuration: time linear in the text, whatever the pattern.
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Compiled size of one pattern. Users write patterns too.
const SIZE_LIMIT: usize = 1 << 20;

#[pyclass(frozen, module = "mox._rust")]
struct Regexp {
    regex: regex::Regex,
}

#[pymethods]
impl Regexp {
    #[new]
    fn new(pattern: &str) -> PyResult<Self> {
        regex::RegexBuilder::new(pattern)
            .size_limit(SIZE_LIMIT)
            .build()
            .map(|regex| Self { regex })
            .map_err(|err| PyValueError::new_err(err.to_string()))
    }

    #[getter]
    fn pattern(&self) -> &str {
        self.regex.as_str()
    }

    fn matches(&self, py: Python<'_>, text: &str) -> bool {
        py.detach(|| self.regex.is_match(text))
    }

    fn find(&self, py: Python<'_>, text: &str) -> Option<String> {
        py.detach(|| self.regex.find(text).map(|found| found.as_str().to_owned()))
    }

    fn replace(&self, py: Python<'_>, text: &str, template: &str) -> String {
        py.detach(|| self.regex.replace_all(text, template).into_owned())
    }
}

/// Adds this file's classes and functions to the module.
pub fn register(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<Regexp>()
}
