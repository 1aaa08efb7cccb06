//! What the rules need of Zoom: scopes and events. For `setup`, which prints them, and `doctor`, which checks them.

use std::collections::BTreeSet;

use crate::rules::{Rule, SubjectKind};
use crate::work;
use crate::zoom::Endpoint;

/// The calls that rules about these subjects make.
pub(super) fn endpoints(subjects: &[SubjectKind]) -> Vec<Endpoint> {
    let (user, meeting) = (subjects.contains(&SubjectKind::User), subjects.contains(&SubjectKind::Meeting));
    let needed = Endpoint::ALL.into_iter().filter(|endpoint| match endpoint {
        // The size of the account, for max_changes_percent, and users who are hosts.
        Endpoint::ListUsers | Endpoint::GetUser => user || meeting,
        Endpoint::ListAssistants | Endpoint::ListSchedulers | Endpoint::AddAssistant => user,
        Endpoint::ListMeetings | Endpoint::GetMeeting | Endpoint::UpdateMeeting => meeting,
        // No rule makes the others.
        _ => false,
    });
    needed.collect()
}

/// The calls that these rules can lead to, and those of the sweeps that look at them.
pub(super) fn of_rules(rules: &[Rule]) -> Vec<Endpoint> {
    let mut needed: BTreeSet<Endpoint> = rules.iter().flat_map(work::needs).collect();
    if !rules.is_empty() {
        needed.insert(Endpoint::ListUsers);
    }
    if rules.iter().any(|rule| rule.subject == SubjectKind::Meeting) {
        needed.insert(Endpoint::ListMeetings);
    }
    if rules.iter().any(|rule| !rule.ensure.groups.is_empty()) {
        needed.insert(Endpoint::ListGroupMembers);
    }
    needed.into_iter().collect()
}

/// The events that tell of these subjects.
pub(super) fn events(subjects: &[SubjectKind]) -> Vec<&'static str> {
    let mut events = Vec::new();
    if subjects.contains(&SubjectKind::User) {
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
    if subjects.contains(&SubjectKind::Meeting) {
        events.extend(["meeting.created", "meeting.updated", "meeting.ended", "meeting.deleted"]);
    }
    events
}
