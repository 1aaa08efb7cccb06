//! A stateful Zoom on loopback.
