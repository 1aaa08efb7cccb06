//! The only place that knows the REST API of Zoom.
