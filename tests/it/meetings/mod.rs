//! Meetings through the API and the command line of the real binary: made, moved, looked at.

mod background;
mod crashes;
mod days;
mod kit;
mod leaver;
mod refusals;
mod scheduling;
