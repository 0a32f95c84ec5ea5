//! dkimcanon
