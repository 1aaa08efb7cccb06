//! Which meetings could be moved, page by page.

use std::pin::pin;

use super::fake::{Trouble, uid};
use super::*;
use crate::account::UserKey;
use crate::worker::{Meetings, MeetingsError, Place};
use crate::zoom::{MeetingStatus, ZoomError};

#[tokio::test]
async fn rate_limits_that_follow_each_other_end_a_page_after_half_a_minute_of_waiting() {
    let bench = Bench::new(&[]);
    for id in ["idle", "host"] {
        bench.zoom.put_user(id, Status::Active, 2);
    }
    bench.zoom.put_meeting(1, "host", MeetingStatus::Waiting, &json!({}));
    let meetings = Meetings::new(bench.parts.clone());
    for (users, has_looked) in [(&["host"][..], false), (&["idle", "host"], true)] {
        let until = bench.clock.now().plus(Duration::from_secs(5));
        let limited = ZoomError::Limited { until, why: "per second".to_owned() };
        bench.zoom.trouble("meeting", 200, Trouble::Fail(limited));
        let began = bench.clock.now();
        let users: Vec<UserKey> = users.iter().map(|id| UserKey::Id(uid(id))).collect();
        let acme = AccountId::parse("acme").unwrap();
        let mut page = pin!(meetings.in_pool(&acme, &users, (Place::default(), 10)));
        let page = loop {
            tokio::select! {
                biased;
                page = &mut page => break page,
                () = tokio::task::yield_now() => bench.clock.advance(Duration::from_millis(250)),
            }
        };
        match page {
            Ok(page) => assert_eq!((page.users, page.next.is_some(), has_looked), (1, true, true)),
            Err(MeetingsError::Zoom(ZoomError::Limited { .. })) => assert!(!has_looked),
            Err(error) => panic!("{error}"),
        }
        assert!(bench.clock.now().since(began) <= Duration::from_secs(35), "{began} to {}", bench.clock.now());
    }
}
