//! One school: its names, and the file of its teachers. Pure.

use std::fmt::Write as _;

/// School number so-and-so: account `school-3`, with everybody at `school-3.example`.
#[derive(Debug, Clone, Copy)]
pub(super) struct School(pub(super) u32);

/// What is to become of a teacher of the file at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Teacher {
    /// Has a user already, with a licence.
    IsThere,
    /// Gets a user at once, with a licence.
    Created,
    /// Gets a user at once, and no licence, so that nobody can be their assistant.
    Basic,
    /// Is invited, and has to accept.
    Invited,
}

impl Teacher {
    /// The state of the onboarding while nobody has accepted anything.
    pub(super) const fn state(self) -> &'static str {
        match self {
            Self::IsThere | Self::Created => "done",
            Self::Basic => "waiting",
            Self::Invited => "invited",
        }
    }
}

/// The teachers of each school, in the order of the file.
pub(super) const TEACHERS: [(&str, Teacher); 10] = [
    ("ada", Teacher::IsThere),
    ("ben", Teacher::Created),
    ("cleo", Teacher::Created),
    ("dora", Teacher::Created),
    ("eve", Teacher::Created),
    ("finn", Teacher::Created),
    (SOON, Teacher::Invited),
    (LATE, Teacher::Invited),
    ("ivo", Teacher::Invited),
    ("jill", Teacher::Basic),
];
/// Accepts the invitation a little later.
pub(super) const SOON: &str = "gus";
/// Accepts it at the very end.
pub(super) const LATE: &str = "hana";

impl School {
    pub(super) fn id(self) -> String {
        format!("school-{}", self.0)
    }

    /// What the platform calls it: the label of its invite.
    pub(super) fn label(self) -> String {
        format!("School {}", self.0)
    }

    pub(super) fn email(self, name: &str) -> String {
        format!("{name}@{}", self.domain())
    }

    pub(super) fn domain(self) -> String {
        format!("{}.example", self.id())
    }

    pub(super) fn owner(self) -> String {
        self.email("owner")
    }

    /// As `api_user` of the configuration makes it.
    pub(super) fn api_user(self) -> String {
        self.email("api")
    }

    /// As `users onboard --file` reads it.
    pub(super) fn csv(self) -> String {
        let mut text = "email,first_name,last_name,licence,action\n".to_owned();
        for (name, teacher) in TEACHERS {
            let (licence, action) = match teacher {
                Teacher::IsThere | Teacher::Created => ("licensed", "autoCreate"),
                Teacher::Basic => ("basic", "autoCreate"),
                Teacher::Invited => ("licensed", "create"),
            };
            // Writing to a text cannot fail.
            let _written = writeln!(text, "{},{name},Teacher,{licence},{action}", self.email(name));
        }
        text
    }
}
