//! HTTP towards us: the operators' listener ([`admin`]).

pub mod admin;
