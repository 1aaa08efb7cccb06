//! One signed request, verified.
