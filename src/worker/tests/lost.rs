//! Hosts who can host no more: who is told of, and looked at again.

use super::fake::{email, uid};
use super::*;
use crate::audit::{Detail, Kind};
use crate::job::Subject;
use crate::rules::{LOST_HOST, look_at_host};
use crate::store::{Limits, Note, Notice};
use crate::worker::{LostHosts, mend};
use crate::zoom::MeetingStatus;

/// As many as are told of by name.
const NAMED: usize = 200;

fn acme() -> AccountId {
    AccountId::parse("acme").unwrap()
}

fn subject(id: &str) -> Subject {
    Subject::User { id: Some(uid(id)), email: Some(email(&format!("{id}@example.com"))) }
}

impl Bench {
    fn watching(store: MemoryStore) -> Self {
        let mut bench = Self::on(store, vec![account("acme", &["api@example.com"])], &[], Settings::default());
        bench.parts.settings.moves.watch_hosts = true;
        bench
    }

    /// Somebody looks at the host.
    async fn look(&self, id: &str) {
        let asked = look_at_host(&app(), &acme(), subject(id));
        self.store.ask(vec![asked], "a test", self.clock.now()).await.unwrap();
    }

    async fn lost(&self, id: &str, number: u64) {
        self.zoom.put_user(id, Status::Inactive, 2);
        self.zoom.put_meeting(number, id, MeetingStatus::Waiting, &json!({}));
        self.look(id).await;
    }

    /// How many hosts are told of by name, and whether it is told that there are more.
    async fn told(&self) -> (usize, bool) {
        mend(&self.parts).await.unwrap();
        let standing = self.store.notices_of(&acme()).await.unwrap();
        let (named, others): (Vec<&Notice>, Vec<_>) =
            standing.iter().filter(|notice| notice.code == LOST_HOST).partition(|notice| notice.subject.is_some());
        (named.len(), !others.is_empty())
    }
}

#[tokio::test]
async fn beyond_the_hosts_that_are_named_it_is_told_that_there_are_more_who_are_named_when_there_is_room() {
    let bench = Bench::watching(MemoryStore::default());
    for n in 0..NAMED {
        bench.lost(&format!("host-{n}"), 1_000 + u64::try_from(n).unwrap()).await;
    }
    bench.drain().await;
    assert_eq!(bench.told().await, (NAMED, false));
    bench.lost("late", 1).await;
    bench.drain().await;
    assert_eq!(bench.told().await, (NAMED, true));
    bench.zoom.put_user("host-7", Status::Active, 2);
    bench.look("host-7").await;
    bench.drain().await;
    assert_eq!(bench.told().await, (NAMED - 1, true), "the late one is not named yet");
    bench.advance(Duration::from_secs(86_400)).await;
    assert_eq!(bench.told().await, (NAMED, false));
}

#[tokio::test]
async fn a_host_for_whom_no_job_could_be_made_is_asked_for_again_within_a_minute_and_not_within_an_hour() {
    let bench = Bench::watching(MemoryStore::new(Limits { backlog_max: 1, ..Limits::default() }));
    let detail = Detail { subject: Some(subject("host").to_string()), ..Detail::note("hosts 1 upcoming meeting") };
    let note =
        Note { kind: Kind::Attention, app: Some(app()), account: Some(acme()), code: LOST_HOST.to_owned(), detail };
    bench.store.note(note, bench.clock.now()).await.unwrap();
    bench.clock.advance(Duration::from_secs(7_200));
    bench.look("another").await;
    let lost_hosts = LostHosts::new(bench.parts.clone());
    let asked = async || {
        lost_hosts.look_again().await.unwrap();
        bench.jobs().await.iter().filter(|job| job.subject.is_same(&subject("host"))).count()
    };
    assert_eq!(asked().await, 0, "the account has as many jobs as it may");
    bench.drain().await;
    bench.clock.advance(Duration::from_secs(60));
    assert_eq!(asked().await, 1);
    bench.zoom.put_user("host", Status::Inactive, 2);
    bench.zoom.put_meeting(1, "host", MeetingStatus::Waiting, &json!({}));
    bench.drain().await;
    bench.clock.advance(Duration::from_secs(60));
    let looks = bench.zoom.count("meetings host");
    asked().await;
    bench.drain().await;
    assert_eq!(bench.zoom.count("meetings host"), looks, "it was looked at a minute ago");
}
