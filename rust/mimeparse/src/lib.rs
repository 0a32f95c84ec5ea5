//! mimeparse
