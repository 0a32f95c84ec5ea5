//! imapparse
