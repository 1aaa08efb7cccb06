//! A file of grants: row by row, and what is done already is no work when it is given again.

use adjutant::sim::NewUser;
use serde_json::Value;

use super::{T0, T1, T2, people_who_cannot};
use crate::process::served::Served;
use crate::process::service::{ACCOUNT, API_USER};

/// A file beside the configuration.
fn file(served: &Served, name: &str, text: &str) -> String {
    let path = served.service.folder().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_file_of_grants_is_told_row_by_row_and_given_again_it_changes_nothing_twice() {
    let served = Served::with_teachers();
    people_who_cannot(&served);
    let rows = format!(
        "user,assistant\n{T0},{T1}\n{T1},{T2}\n{T0},{T2}\n{T0},basic@school.example\nbasic@school.example,{T1}\n\
         nobody@school.example,{T1}\n{T0},{T1}\n{T2}\nno,such person\n,{T1}\n{T2},\n"
    );
    let path = file(&served, "grants.csv", &rows);
    served.world.clear_calls();
    let looked = served.told(&["assistants", "add", "--file", &path, "--dry-run"], 1);
    assert!(
        looked.contains(&format!("line 2: {T1} for {T0}: would\n")) && looked.contains("looked at 11 of 11 rows\n")
    );
    assert_eq!(served.world.count_calls("POST", "/assistants"), 0);
    for state in ["added", "already"] {
        let told = served.told(&["assistants", "add", "--file", &path], 1);
        for said in [
            &format!("line 2: {T1} for {T0}: {state}\n"),
            &format!("line 3: {T2} for {T1}: {state}\n"),
            &format!("line 4: {T2} for {T0}: {state}\n"),
            &format!("line 5: basic@school.example for {T0}: refused: has no licence"),
            &format!(
                "line 6: {T1} for basic@school.example: refused: basic@school.example has no licence, and can have"
            ),
            &format!("line 7: {T1} for nobody@school.example: refused: account test-account has no user"),
            &format!("line 8: nobody for nobody: refused: line 2 asks for {T1} for {T0} as well\n"),
            "line 9: nobody for nobody: refused: 1 cells, and the header has 2\n",
            "line 10: such person for no: refused: ",
            &format!("line 11: {T1} for nobody: refused: it names no user\n"),
            &format!("line 12: nobody for {T2}: refused: it names no assistant\n"),
            "went through 11 of 11 rows\n",
            &format!("11 rows: 3 {state}, 8 refused\n"),
        ] {
            assert!(told.contains(said), "{said}: {told}");
        }
        assert_eq!(served.world.count_calls("POST", "/assistants"), 2, "a call for each user, once");
    }
    assert_eq!(
        (served.assistants(T0), served.assistants(T1)),
        (vec![API_USER.to_owned(), T1.to_owned(), T2.to_owned()], vec![API_USER.to_owned(), T2.to_owned()])
    );
    let json: Value = serde_json::from_str(&served.told(&["assistants", "add", "--file", &path, "--json"], 1)).unwrap();
    let codes: Vec<&str> = json.as_array().unwrap().iter().map(|row| row["code"].as_str().unwrap_or("")).collect();
    assert_eq!(
        codes,
        ["", "", "", "unlicensed", "unlicensed", "unknown", "bad-row", "bad-row", "refused", "bad-row", "bad-row"]
    );
    let good = file(&served, "good.jsonl", &format!("{{\"user\":\"{T0}\",\"assistant\":\"{T1}\"}}\n"));
    let json: Value = serde_json::from_str(&served.told(&["assistants", "add", "--file", &good, "--json"], 0)).unwrap();
    assert_eq!((&json[0]["line"], &json[0]["state"]), (&1.into(), &"already".into()), "{json}");
    for (text, said) in [
        ("user,asistant\na,b\n", "no column named \"asistant\": did you mean assistant?"),
        ("user\na\n", "no column assistant"),
        ("user,assistant\n", "no rows"),
    ] {
        let told = served.told(&["assistants", "add", "--file", &file(&served, "bad.csv", text)], 1);
        assert!(told.contains(said) && told.contains("nothing was asked for"), "{told}");
    }
}

#[test]
fn a_file_that_stops_half_way_says_how_far_it_came_and_goes_on_when_it_is_given_again() {
    let mut served = Served::with_teachers();
    for n in 0..3 {
        served.created(NewUser::licensed(&format!("helper-{n}@school.example")));
    }
    let helpers =
        |user: &str| (0..3).map(|n| format!("{user},helper-{n}@school.example\n")).collect::<Vec<_>>().concat();
    let rows = format!("user,assistant\n{}{}{}", helpers(T0), helpers(T1), helpers(T2));
    let path = file(&served, "many.csv", &rows);
    // The second user's are done at Zoom, and then there is nobody who answers.
    served.service.kill();
    assert!(served.service.start(&[("ADJUTANT_BREAK_AT", "zoom-changed:2")]), "{}", served.service.log());
    let (code, out, err) = served.service.command(&["assistants", "add", "--file", &path]);
    assert_ne!(code, 0);
    assert!(out.contains(&format!("line 4: helper-2@school.example for {T0}: added\n")), "{out}");
    assert!(out.contains("3 rows: 3 added\n"), "{out}");
    assert!(err.contains("3 of 9 rows were answered. give the same file again to go on"), "{err}");
    served.service.kill();
    assert!(served.service.start(&[]), "{}", served.service.log());
    let told = served.told(&["assistants", "add", "--file", &path], 0);
    assert!(told.contains("9 rows: 3 added, 6 already\n"), "{told}");
    for user in [T0, T1, T2] {
        assert_eq!(served.assistants(user).len(), 4, "{user}");
    }
    assert_eq!(served.world.assistant_writes(ACCOUNT, T1), served.world.assistant_writes(ACCOUNT, T2));
}
