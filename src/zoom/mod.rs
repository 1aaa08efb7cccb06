//! The only place that knows the REST API of Zoom.

mod port;

pub use port::{Assistant, Category, Meeting, MeetingStatus, Page, Scheduler, Status, User, UserPage, Zoom, ZoomError};
