//! What the rules need of Zoom: scopes and events. For `setup`, which prints them, and `doctor`, which checks them.

use crate::rules::SubjectKind;
use crate::zoom::Endpoint;

/// The calls that rules about these subjects make.
pub(super) fn endpoints(subjects: &[SubjectKind]) -> Vec<Endpoint> {
    let (user, meeting) = (subjects.contains(&SubjectKind::User), subjects.contains(&SubjectKind::Meeting));
    let needed = Endpoint::ALL.into_iter().filter(|endpoint| match endpoint {
        // The size of the account, for max_changes_percent, and users who are hosts.
        Endpoint::ListUsers | Endpoint::GetUser => user || meeting,
        Endpoint::ListAssistants | Endpoint::AddAssistant => user,
        Endpoint::GetMeeting | Endpoint::UpdateMeeting => meeting,
        // No rule makes the others.
        _ => false,
    });
    needed.collect()
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
