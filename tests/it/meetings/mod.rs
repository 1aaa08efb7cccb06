//! Meetings through the API and the command line of the real binary: made, moved, looked at.

mod background;
mod called_off;
mod crashes;
mod days;
mod instead;
mod kit;
mod leaver;
mod lending;
mod listed;
mod lost;
mod organisations;
mod refusals;
mod refused;
mod scheduling;
mod seeing;
