//! gzipstream
