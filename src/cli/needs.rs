//! What these rules need of Zoom: scopes and events. For `setup`, which prints them, and `doctor`, which checks them.

use std::collections::BTreeSet;

use crate::rules::{Rule, SubjectKind};
use crate::work;
use crate::zoom::Endpoint;

/// The calls that these rules can lead to, each once.
pub(super) fn endpoints(rules: &[Rule]) -> Vec<Endpoint> {
    let needed: BTreeSet<Endpoint> = rules.iter().flat_map(work::needs).collect();
    needed.into_iter().collect()
}

/// The events that ask for these rules.
pub(super) fn events(rules: &[Rule]) -> Vec<&'static str> {
    let of = |kind| rules.iter().any(|rule| rule.subject == kind);
    let mut events = Vec::new();
    if of(SubjectKind::User) {
        events.extend([
            "user.created",
            "user.activated",
            "user.invitation_accepted",
            "user.updated",
            "user.deactivated",
            "user.deleted",
            "user.disassociated",
        ]);
    }
    if rules.iter().any(Rule::is_about_user_settings) {
        events.push("user.settings_updated");
    }
    if rules.iter().any(Rule::is_about_groups) {
        events.extend(["group.member_added", "group.member_deleted"]);
    }
    if of(SubjectKind::Meeting) {
        events.extend(["meeting.created", "meeting.updated", "meeting.ended", "meeting.deleted"]);
    }
    events
}
