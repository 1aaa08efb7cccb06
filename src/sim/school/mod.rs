//! A school day: lessons with teachers and pupils, and all that goes wrong on such a day, from one seed.
//!
//! [`School::day`] makes the plan, [`Day::open`] puts the teachers and their meetings into an account, and [`Playing`] does what
//! people do, moment by moment, as [`super::World`]'s own methods, so that the events are those of the world. [`Truth`] is read
//! from the world's record, not from the plan: who changes the day, by ending or recovering a meeting, changes the truth.

mod day;
mod play;
mod truth;

pub use self::day::{Day, Loss, Meddling, School};
pub use self::play::Playing;
pub use self::truth::{Lost, Meddled, Truth, Unattended};
