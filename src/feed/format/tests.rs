//! What is written of an entry, held against what its form asks for.

use serde_json::{Value, json};

use super::{Format, Head, Item, Original};
use crate::audit::checkpoint::Checkpoint;
use crate::clock::Timestamp;

const LOG: &str = "adjutant/00112233aabbccdd";

fn call() -> Value {
    json!({
        "index": 7, "at": "2026-11-22T18:00:00.250Z", "kind": "call", "code": "called", "app": "main", "account": "a1",
        "delivery": null, "job": "j1", "rule": "r1", "subject": "user:u1 jo@example.com", "note": null,
        "call": { "method": "PATCH", "path": "/users/u1", "category": "light", "status": 204, "millis": 31 }, "leaf": "ab",
    })
}

fn of(kind: &str, code: &str, subject: Option<&str>) -> Value {
    json!({ "index": 8, "at": "2026-11-22T18:00:00.000Z", "kind": kind, "code": code, "app": null, "account": null,
            "subject": subject, "note": "a sentence", "call": null, "leaf": "cd" })
}

fn written(format: Format, entry: &Value, body: Option<&Original>) -> Value {
    format.write(&Item { log: LOG, entry, body })
}

#[test]
fn raw_is_the_entry_as_the_api_shows_it() {
    assert_eq!(written(Format::Raw, &call(), None), call());
}

#[test]
fn a_cloud_event_has_what_1_0_asks_for_and_the_entry_as_its_data() {
    let entry = call();
    assert_eq!(
        written(Format::CloudEvents, &entry, None),
        json!({
            "specversion": "1.0", "id": "adjutant/00112233aabbccdd/7", "source": LOG, "type": "adjutant.audit.call.v1",
            "time": "2026-11-22T18:00:00.250Z", "subject": "user:u1 jo@example.com", "sequence": "00000000000000000007",
            "datacontenttype": "application/json", "data": entry,
        })
    );
    // An attribute is a text that is not empty, or it is left out.
    let event = written(Format::CloudEvents, &of("service", "started", None), None);
    assert!(event.get("subject").is_none(), "{event}");
}

#[test]
fn the_body_of_a_delivery_is_the_data_as_json_without_secrets_or_as_the_bytes_that_came() {
    let mut entry = of("delivery", "stored", None);
    (entry["delivery"], entry["app"]) = ("d5".into(), "main".into());
    let json = Original::Json(json!({ "event": "user.created" }));
    let event = written(Format::CloudEvents, &entry, Some(&json));
    assert_eq!((&event["type"], &event["subject"]), (&"adjutant.delivery.v1".into(), &"d5".into()));
    assert_eq!((&event["data"], &event["adjutantapp"]), (&json!({ "event": "user.created" }), &"main".into()));
    let bytes = Original::Bytes(b"{ }".to_vec());
    let event = written(Format::CloudEvents, &entry, Some(&bytes));
    assert_eq!((event.get("data"), &event["data_base64"]), (None, &"eyB9".into()));
    assert_eq!(written(Format::Raw, &entry, Some(&bytes))["body_base64"], "eyB9");
    assert_eq!(written(Format::Raw, &entry, Some(&json))["body"]["event"], "user.created");
    assert_eq!(written(Format::Ocsf, &entry, Some(&json))["raw_data"], r#"{"event":"user.created"}"#);
    assert_eq!(written(Format::Ocsf, &entry, Some(&bytes))["unmapped"]["body_base64"], "eyB9");
}

/// What every event of the schema has to have, and its class beside that.
fn assert_is_ocsf(event: &Value, class: u64, activity: u64, wanted: &[&str]) {
    for field in ["activity_id", "category_uid", "class_uid", "severity_id", "time", "type_uid"] {
        assert!(event[field].is_u64(), "{field} in {event}");
    }
    for field in ["/metadata/version", "/metadata/product/name", "/metadata/product/vendor_name"] {
        assert!(event.pointer(field).is_some_and(Value::is_string), "{field} in {event}");
    }
    for field in wanted {
        assert!(event.pointer(field).is_some_and(|value| !value.is_null()), "{field} in {event}");
    }
    assert_eq!(event["category_uid"], class / 1_000);
    let numbers = (&event["class_uid"], &event["activity_id"], &event["type_uid"]);
    assert_eq!(numbers, (&class.into(), &activity.into(), &(class * 100 + activity).into()), "{event}");
    assert!(event["unmapped"].is_object() && event["activity_id"] != 99 || event["activity_name"].is_string());
}

#[test]
fn an_ocsf_event_has_a_class_where_one_fits_and_what_that_requires() {
    let endpoints = ["/actor/app_name", "/api/operation", "/src_endpoint/svc_name"];
    let event = written(Format::Ocsf, &call(), None);
    assert_is_ocsf(&event, 6_003, 3, &endpoints);
    assert_eq!((&event["time"], &event["duration"]), (&1_795_370_400_250_u64.into(), &31.into()));
    assert_eq!((&event["status_id"], &event["metadata"]["uid"]), (&1.into(), &"adjutant/00112233aabbccdd/7".into()));
    assert_eq!(
        event["unmapped"],
        json!({ "kind": "call", "code": "called", "app": "main", "job": "j1", "rule": "r1",
        "subject": "user:u1 jo@example.com", "leaf": "ab" })
    );
    for (method, activity) in [("POST", 1), ("GET", 2), ("PUT", 3), ("DELETE", 4), ("HEAD", 99)] {
        let mut entry = call();
        entry["call"]["method"] = method.into();
        assert_is_ocsf(&written(Format::Ocsf, &entry, None), 6_003, activity, &endpoints);
    }
    for (status, id) in [(json!(500), 2), (json!(null), 2), (json!(200), 1)] {
        let mut entry = call();
        entry["call"]["status"] = status;
        let event = written(Format::Ocsf, &entry, None);
        assert_is_ocsf(&event, 6_003, 3, &endpoints);
        assert_eq!(event["status_id"], id);
    }
    for (kind, code, subject, class, activity, wanted) in [
        ("outcome", "changed", Some("user:u1 jo@example.com"), 3_004, 3, &["/entity/uid", "/entity/name"][..]),
        ("outcome", "changed", Some("meeting:123"), 3_004, 3, &["/entity/uid"]),
        ("outcome", "parked", Some("user:u1"), 0, 99, &[]),
        ("service", "started", None, 6_002, 3, &["/app/name", "/app/vendor_name"]),
        ("service", "stopped", None, 6_002, 4, &["/app/name"]),
        ("service", "reloaded", None, 6_002, 99, &["/app/name"]),
        ("attention", "mended", None, 0, 99, &[]),
        ("something-new", "x", None, 0, 99, &[]),
    ] {
        let event = written(Format::Ocsf, &of(kind, code, subject), None);
        assert_is_ocsf(&event, class, activity, wanted);
        assert_eq!(event["message"], "a sentence");
    }
    assert_eq!(written(Format::Ocsf, &of("attention", "silence", None), None)["severity_id"], 3);
}

#[test]
fn a_checkpoint_is_an_event_of_its_own_in_each_form_with_its_note_as_it_was_signed() {
    let note = "adjutant/00112233aabbccdd\n7\nBw==\n\n\u{2014} a b\n";
    let checkpoint = Checkpoint { origin: LOG.to_owned(), size: 7, root: [7; 32] };
    let at = Timestamp::parse("2026-11-22T18:00:00.250Z");
    let head = Head { number: 3, note, checkpoint: &checkpoint, at };
    let raw = Format::Raw.write_checkpoint(&head);
    let root = "07".repeat(32);
    assert_eq!(
        raw,
        json!({ "kind": "checkpoint", "number": 3, "at": "2026-11-22T18:00:00.250Z", "origin": LOG, "size": 7,
                "root": root, "note": note })
    );
    let event = Format::CloudEvents.write_checkpoint(&head);
    assert_eq!((&event["specversion"], &event["type"]), (&"1.0".into(), &"adjutant.audit.checkpoint.v1".into()));
    assert_eq!((&event["source"], &event["data"], &event["time"]), (&LOG.into(), &raw, &raw["at"]));
    let other = Head { note: "another", ..head };
    assert_ne!(Format::CloudEvents.write_checkpoint(&other)["id"], event["id"], "two of one number are told apart");
    let of_ocsf = Format::Ocsf.write_checkpoint(&head);
    assert_is_ocsf(&of_ocsf, 0, 99, &["/unmapped/note", "/metadata/uid"]);
    assert_eq!((&of_ocsf["metadata"]["uid"], &of_ocsf["unmapped"]), (&event["id"], &raw));
}
