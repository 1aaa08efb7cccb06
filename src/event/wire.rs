//! The only place that knows the JSON of webhooks.
