//! Access tokens by command.

use serde_json::Value;

use super::serving::serving;
use super::{run, stderr, stdout};
use crate::process::http;

#[test]
fn a_token_is_made_used_listed_and_revoked_by_command() {
    let running = serving();
    let folder = running.folder.path();
    let done = |words: &[&str]| {
        let output = run(folder, words);
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", stderr(&output));
        stdout(&output)
    };
    let words = ["tokens", "create", "--name", "school-x", "--role", "auditor", "--account", "AAAAAABBBB"];
    let made = done(&[&words[..], &["--expires", "90d", "--json"]].concat());
    let made: Value = serde_json::from_str(&made).unwrap();
    let (token, id) = (made["token"].as_str().unwrap().to_owned(), made["about"]["id"].as_str().unwrap().to_owned());
    let outline = std::fs::read_to_string(folder.join("config.toml")).unwrap();
    let admin = outline.split("[admin]\nlisten = \"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    let status = |path: &str| {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str())];
        http::request(admin, "GET", path, &headers, b"").unwrap().status
    };
    assert_eq!((status("/v1/jobs"), status("/v1/status")), (200, 403));
    let plain = done(&["tokens", "create", "--name", "desk", "--role", "onboarder"]);
    assert!(plain.contains("(desk) is good for the role onboarder and all accounts, until it is revoked"), "{plain}");
    assert!(plain.lines().last().unwrap().starts_with("adj_"), "the token has a line of its own: {plain}");
    let list = done(&["tokens", "list"]);
    assert!(list.contains("never: delete [admin] token_file and restart") && list.contains("3 tokens"), "{list}");
    assert!(list.contains("school-x") && list.contains(&id) && !list.contains(&token), "{list}");
    let listed: Value = serde_json::from_str(&done(&["tokens", "list", "--json"])).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 3);
    let of = |account: &str| done(&["audit", "tail", "--account", account]);
    let own = of("AAAAAABBBB");
    assert!(own.contains("(school-x)") && !own.contains("(desk)"), "{own}");
    assert!(done(&["deliveries", "list", "--account", "AAAAAABBBB"]).contains("0 deliveries"));
    assert_eq!(done(&["tokens", "revoke", &id]), format!("revoked {id} (school-x)\n"));
    assert_eq!(status("/v1/jobs"), 401);
    for (words, code, said) in [
        (&["tokens", "revoke", &id][..], 1, "there is no token"),
        (&["tokens", "revoke", "file"], 1, "delete the file and restart"),
        (&["tokens", "create", "--name", "x", "--role", "king"], 2, "operator, onboarder, auditor, scheduler"),
        (&["tokens", "create", "--name", "two words", "--role", "auditor"], 2, "expected 1 to 64 letters"),
        (&["tokens", "create", "--name", "desk", "--role", "auditor"], 1, "give another name, or revoke that one"),
        (
            &["tokens", "create", "--name", "x", "--role", "auditor", "--account", "nobody"],
            1,
            "there is no account nobody",
        ),
        (&["tokens", "create", "--name", "x", "--role", "auditor", "--expires", "soon"], 2, "expected a time to come"),
    ] {
        let output = run(folder, words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{words:?}: {}", stderr(&output));
    }
}
