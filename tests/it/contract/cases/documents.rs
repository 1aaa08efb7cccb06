//! Small values that are kept until they are removed.

use adjutant::audit::{Detail, Kind};
use adjutant::store::{Document, Note, Shelf, StoreError, Write};

use crate::contract::Harness;
use crate::contract::kit::{Kit, SHELVES, account, assert_conflict};

fn document(shelf: Shelf, key: &str, of: Option<&str>, value: &str) -> Document {
    Document { shelf, key: key.to_owned(), account: of.map(account), value: value.as_bytes().to_vec() }
}

fn invite(key: &str, value: &str) -> Document {
    document(Shelf::Invite, key, None, value)
}

fn removal(key: &str) -> Write {
    Write::Remove { shelf: Shelf::Invite, key: key.to_owned() }
}

impl<H: Harness> Kit<H> {
    async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.store.write_documents(writes, Vec::new(), self.now).await
    }

    async fn invites(&self) -> Vec<Document> {
        self.store.documents(Shelf::Invite).await.unwrap()
    }
}

pub(crate) async fn a_document_is_there_until_it_is_removed<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let (first, second) = (invite("x", "first"), invite("x", "second"));
    kit.write(vec![Write::PutNew(first.clone())]).await.unwrap();
    assert_eq!(kit.store.document(Shelf::Invite, "x").await.unwrap(), Some(first));
    assert_eq!(kit.store.document(Shelf::Invite, "y").await.unwrap(), None);
    kit.write(vec![Write::Put(second.clone())]).await.unwrap();
    kit.restart().await;
    assert_eq!(kit.invites().await, [second]);
    kit.write(vec![removal("y"), removal("x")]).await.unwrap();
    assert!(kit.invites().await.is_empty());
    kit.restart().await;
    assert!(kit.invites().await.is_empty());
    kit.write(vec![removal("x")]).await.expect("what is not there may be removed");
}

pub(crate) async fn documents_are_listed_by_key_and_shelves_are_apart<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    for key in ["b", "", "c", "a", "ä", "aa"] {
        kit.write(vec![Write::PutNew(invite(key, key))]).await.unwrap();
    }
    for shelf in SHELVES {
        if shelf != Shelf::Invite {
            kit.write(vec![Write::PutNew(document(shelf, "a", None, "other"))]).await.unwrap();
        }
    }
    for _ in 0..2 {
        let keys: Vec<String> = kit.invites().await.into_iter().map(|document| document.key).collect();
        assert_eq!(keys, ["", "a", "aa", "b", "c", "ä"]);
        for shelf in SHELVES {
            let value = if shelf == Shelf::Invite { "a" } else { "other" };
            let expected = document(shelf, "a", None, value);
            assert_eq!(kit.store.document(shelf, "a").await.unwrap(), Some(expected));
        }
        kit.restart().await;
    }
}

pub(crate) async fn a_new_document_takes_no_key_that_is_taken_and_then_nothing_is_written<H: Harness>() {
    let kit = Kit::<H>::new().await;
    let there = invite("x", "there");
    kit.write(vec![Write::Put(there.clone())]).await.unwrap();
    let size = kit.log_size().await;
    let note = Note { kind: Kind::Service, app: None, account: None, code: "x".to_owned(), detail: Detail::default() };
    let writes = vec![Write::Put(invite("y", "new")), removal("z"), Write::PutNew(invite("x", "late"))];
    assert_conflict(kit.store.write_documents(writes, vec![note], kit.now).await);
    assert_conflict(kit.write(vec![Write::PutNew(invite("z", "")), Write::PutNew(invite("z", ""))]).await);
    assert_eq!(kit.invites().await, [there]);
    assert_eq!(kit.log_size().await, size);
}

pub(crate) async fn documents_are_written_one_after_the_other_in_one_write<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    kit.write(vec![Write::Put(invite("x", "old")), Write::Put(invite("y", "old"))]).await.unwrap();
    let writes = vec![
        removal("x"),
        Write::PutNew(invite("x", "new")),
        Write::Put(invite("y", "newer")),
        removal("y"),
        Write::Put(invite("z", "one")),
        Write::Put(invite("z", "two")),
    ];
    kit.write(writes).await.unwrap();
    for _ in 0..2 {
        assert_eq!(kit.invites().await, [invite("x", "new"), invite("z", "two")]);
        kit.restart().await;
    }
}

pub(crate) async fn a_document_may_change_its_account<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    for of in [None, Some("acc"), Some("bcc"), None] {
        let now = document(Shelf::Invite, "x", of, "same");
        kit.write(vec![Write::Put(now.clone())]).await.unwrap();
        kit.restart().await;
        assert_eq!(kit.invites().await, [now]);
    }
}

pub(crate) async fn a_document_that_is_too_long_is_refused<H: Harness>() {
    let kit = Kit::<H>::new().await;
    let most = "x".repeat(Document::BYTES_MAX - 1);
    kit.write(vec![Write::Put(invite("x", &most))]).await.unwrap();
    assert_conflict(kit.write(vec![removal("x"), Write::Put(invite("xy", &most))]).await);
    assert_eq!(kit.invites().await, [invite("x", &most)]);
}

pub(crate) async fn notes_are_told_with_the_documents<H: Harness>() {
    let mut kit = Kit::<H>::new().await;
    let mut changed = kit.store.changed();
    changed.mark_unchanged();
    let note = |kind, code: &str| {
        let detail = Detail { subject: Some("user:u1".to_owned()), ..Detail::note("by jill") };
        Note { kind, app: None, account: Some(account("acc")), code: code.to_owned(), detail }
    };
    let notes = vec![note(Kind::Moved, "invited"), note(Kind::Attention, "ask")];
    kit.store.write_documents(vec![Write::Put(invite("x", ""))], notes, kit.now).await.unwrap();
    assert!(changed.has_changed().unwrap(), "whoever waits looks again");
    kit.restart().await;
    assert_eq!(kit.told_since(0).await, ["moved invited", "attention ask"]);
    let entry = kit.entries().await.remove(0);
    assert_eq!((entry.account, entry.detail.unwrap().note), (Some(account("acc")), "by jill".to_owned()));
    assert_eq!(kit.store.notices().await.unwrap().len(), 1, "one that asks for attention stands");
}

pub(crate) async fn a_document_does_not_print_its_value<H: Harness>() {
    let kit = Kit::<H>::new().await;
    let token = document(Shelf::Installation, "x", Some("acc"), "refresh-token");
    kit.write(vec![Write::Put(token.clone())]).await.unwrap();
    let kept = kit.store.document(Shelf::Installation, "x").await.unwrap().unwrap();
    assert_eq!(kept, token);
    assert_eq!(format!("{kept:?}"), "Document { shelf: Installation, key: \"x\", account: Some(\"acc\"), bytes: 13 }");
}
