//! What it costs to look whether one rule is about one user: the promise is less than 20 µs.

use adjutant::rules::{Condition, Topic};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::json;

const WHEN: &str = r#"user.type == 2 && !user.email.lowerAscii().endsWith("@contractor.example")
    && user.group_ids.exists(g, g in ["staff", "fellows"]) && now - user.created_at > duration("24h")"#;

fn rules(criterion: &mut Criterion) {
    let Ok(condition) = Condition::compile(WHEN, Topic::User) else { return };
    let facts = json!({
        "user": {
            "id": "KDc", "email": "Jill@Example.com", "type": 2, "created_at": "2026-11-01T08:00:00Z",
            "group_ids": ["guests", "visitors", "fellows"],
        },
        "account": "acme",
        "now": "2026-11-21T08:00:00Z",
    });
    criterion.bench_function("one rule on one user", |bench| bench.iter(|| condition.holds(&facts)));
    criterion.bench_function("reading one condition", |bench| bench.iter(|| Condition::compile(WHEN, Topic::User)));
}

criterion_group!(benches, rules);
criterion_main!(benches);
