//! Transports move bytes.
