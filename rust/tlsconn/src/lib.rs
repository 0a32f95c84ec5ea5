//! tlsconn
