//! Part of a tree of settings: what to hold, what differs, what to send.
//!
//! Zoom's settings of users and meetings are trees with hundreds of leaves, of which more come with every year, and a PATCH
//! changes the leaves that it names and no others. So leaves are kept by path, whatever they are called. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{NOT_KEPT, is_secret};

const HOSTS: &str = "alternative_hosts";

/// Leaves by path. What is no object is a leaf, lists too. One that is not named is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "Map<String, Value>")]
pub struct Leaves(BTreeMap<Vec<String>, Value>);

impl Leaves {
    /// All leaves of a tree. An empty branch has none.
    pub fn of(tree: &Map<String, Value>) -> Self {
        let mut leaves = Self::default();
        leaves.collect(&[], tree);
        leaves
    }

    fn collect(&mut self, above: &[String], tree: &Map<String, Value>) {
        for (name, value) in tree {
            let path = [above, std::slice::from_ref(name)].concat();
            match value {
                Value::Object(branch) => self.collect(&path, branch),
                Value::Array(hosts) if is_hosts(&path) => _ = self.0.insert(path, joined(hosts)),
                leaf => _ = self.0.insert(path, leaf.clone()),
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[String], &Value)> {
        self.0.iter().map(|(path, value)| (path.as_slice(), value))
    }

    /// Those that are not as `actual` has them; one that `actual` does not have differs.
    #[must_use]
    pub fn differing_from(&self, actual: &Map<String, Value>) -> Self {
        let differs = |path: &[String], wanted: &Value| at(actual, path).is_none_or(|is| !is_same(path, wanted, is));
        let differing = self.0.iter().filter(|(path, wanted)| differs(path, wanted));
        Self(differing.map(|(path, wanted)| (path.clone(), wanted.clone())).collect())
    }

    /// The leaf of that path in a tree, as Zoom states it.
    pub fn in_tree<'a>(tree: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
        at(tree, path)
    }

    /// Whether that leaf is a text of alternative hosts of which somebody would be taken off.
    pub fn drops_hosts(path: &[String], is: &Value, wanted: &Value) -> bool {
        match (is, wanted) {
            (Value::String(is), Value::String(wanted)) => {
                is_hosts(path) && !addresses(is).is_subset(&addresses(wanted))
            }
            _ => false,
        }
    }

    /// The alternative hosts of a meeting that they name.
    pub fn alternative_hosts(&self) -> Option<&Value> {
        self.0.get(&[HOSTS.to_owned()][..])
    }

    /// The alternative hosts that a meeting has; none where its settings do not say.
    pub fn hosts_in(settings: &Map<String, Value>) -> Option<BTreeSet<String>> {
        settings.get(HOSTS).and_then(Value::as_str).map(addresses)
    }

    /// The wish that a meeting's alternative hosts are those that it has and these: the text that is there stays as it is.
    #[must_use]
    pub fn with_hosts(settings: &Map<String, Value>, more: &[&str]) -> Self {
        let is = settings.get(HOSTS).and_then(Value::as_str).map(str::trim).filter(|is| !is.is_empty());
        let hosts: Vec<&str> = is.into_iter().chain(more.iter().copied()).collect();
        Self::one(&[HOSTS.to_owned()], &hosts.join(";").into())
    }

    pub fn leaf(&self, path: &[String]) -> Option<&Value> {
        self.0.get(path)
    }

    /// Whether two values of that leaf are as good as the same.
    pub fn agree(path: &[String], one: &Value, other: &Value) -> bool {
        is_same(path, one, other)
    }

    /// One leaf alone.
    pub fn one(path: &[String], leaf: &Value) -> Self {
        Self(BTreeMap::from([(path.to_vec(), leaf.clone())]))
    }

    /// These and those; where both name one, those count.
    #[must_use]
    pub fn with(mut self, those: Self) -> Self {
        self.0.extend(those.0);
        self
    }

    /// The same leaves, below a branch of that name.
    #[must_use]
    pub fn below(&self, branch: &str) -> Self {
        let below = |path: &Vec<String>| [&[branch.to_owned()], path.as_slice()].concat();
        Self(self.0.iter().map(|(path, leaf)| (below(path), leaf.clone())).collect())
    }

    /// A leaf that both name, or that one has where the other has a branch.
    pub fn named_twice(&self, other: &Self) -> Option<String> {
        let is_in_its_place =
            |path: &[String]| other.0.keys().any(|one| one.starts_with(path) || path.starts_with(one));
        self.0.keys().find(|path| is_in_its_place(path)).map(|path| path.join("."))
    }

    /// The tree that has these leaves and no others, as a PATCH sends it.
    pub fn tree(&self) -> Map<String, Value> {
        let mut tree = Map::new();
        for (path, leaf) in &self.0 {
            put(&mut tree, path, leaf);
        }
        tree
    }
}

/// A name is a leaf or a branch, as in the tree that the leaves come from, so that none is in another's place.
fn put(tree: &mut Map<String, Value>, path: &[String], leaf: &Value) {
    match path {
        [] => {}
        [name] => _ = tree.insert(name.clone(), leaf.clone()),
        [first, rest @ ..] => {
            let below = tree.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(below) = below {
                put(below, rest, leaf);
            }
        }
    }
}

fn at<'a>(tree: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    match (tree.get(first)?, rest) {
        (leaf, []) => Some(leaf),
        (Value::Object(branch), rest) => at(branch, rest),
        _ => None,
    }
}

/// Alternative hosts are one text of addresses between `;` (documented) or `,` (seen), and who is named counts, not in which
/// order or case. A flag may come as text. Everything else is the same when it is equal.
fn is_same(path: &[String], wanted: &Value, is: &Value) -> bool {
    match (wanted, is) {
        (Value::String(wanted), Value::String(is)) if is_hosts(path) => addresses(wanted) == addresses(is),
        (Value::Bool(wanted), Value::String(is)) => is.trim().parse() == Ok(*wanted),
        _ => wanted == is,
    }
}

fn is_hosts(path: &[String]) -> bool {
    path.last().is_some_and(|name| name == HOSTS)
}

fn addresses(text: &str) -> BTreeSet<String> {
    text.split([';', ',']).map(|one| one.trim().to_lowercase()).filter(|one| !one.is_empty()).collect()
}

/// A list of alternative hosts as Zoom writes it.
fn joined(hosts: &[Value]) -> Value {
    hosts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(";").into()
}

impl From<Map<String, Value>> for Leaves {
    fn from(tree: Map<String, Value>) -> Self {
        Self::of(&tree)
    }
}

/// As in `in_meeting.waiting_room on, recording.auto_recording "cloud"`, for people: secrets are not in it.
impl fmt::Display for Leaves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (path, value) in &self.0 {
            write!(f, "{between}{} ", path.join("."))?;
            match value {
                secret if is_secret(path.last().map_or("", String::as_str), secret) => f.write_str(NOT_KEPT)?,
                Value::Bool(on) => f.write_str(if *on { "on" } else { "off" })?,
                value => write!(f, "{value}")?,
            }
            between = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn leaves(value: &Value) -> Leaves {
        Leaves::of(&map(value))
    }

    #[test]
    fn a_tree_becomes_its_leaves_and_the_leaves_the_tree() {
        let tree =
            json!({ "in_meeting": { "chat": true, "deep": { "er": [1, 2] } }, "recording": { "auto": "cloud" } });
        let leaves = leaves(&tree);
        assert_eq!(leaves.to_string(), r#"in_meeting.chat on, in_meeting.deep.er [1,2], recording.auto "cloud""#);
        assert_eq!(Value::Object(leaves.tree()), tree);
        assert!(self::leaves(&json!({ "empty": {} })).is_empty());
    }

    #[test]
    fn a_secret_is_not_said() {
        let leaves =
            leaves(&json!({ "a": { "pmi_password": "054321", "require_password": true }, "b": "https://x/?pwd=1" }));
        assert_eq!(leaves.to_string(), "a.pmi_password (not kept), a.require_password on, b (not kept)");
        assert_eq!(leaves.tree()["a"]["pmi_password"], "054321");
    }

    #[test]
    fn only_what_is_named_and_differs_is_sent() {
        let wanted = leaves(&json!({ "a": { "x": true, "y": "cloud" }, "b": 7, "c": [1] }));
        let actual = json!({ "a": { "x": true, "y": "none", "z": 1 }, "b": 7, "c": { "d": 1 }, "more": {} });
        let differing = wanted.differing_from(&map(&actual));
        assert_eq!(Value::Object(differing.tree()), json!({ "a": { "y": "cloud" }, "c": [1] }));
        assert_eq!(wanted.differing_from(&Map::new()), wanted, "what Zoom does not say differs");
        assert!(wanted.differing_from(&wanted.tree()).is_empty());
    }

    #[test]
    fn alternative_hosts_are_compared_as_a_set_of_addresses() {
        let wanted = leaves(&json!({ "alternative_hosts": "a@x.example;B@x.example" }));
        for same in ["a@x.example;b@x.example", "b@x.example,A@x.example;", " b@x.example ; a@x.example"] {
            assert!(wanted.differing_from(&map(&json!({ "alternative_hosts": same }))).is_empty(), "{same}");
        }
        for other in ["", "a@x.example", "a@x.example;b@x.example;c@x.example"] {
            assert!(!wanted.differing_from(&map(&json!({ "alternative_hosts": other }))).is_empty(), "{other}");
        }
        assert_eq!(
            leaves(&json!({ "alternative_hosts": ["a@x.example", "B@x.example"] })),
            wanted,
            "a list is the same"
        );
        let topic = leaves(&json!({ "topic": "a;b" }));
        assert!(!topic.differing_from(&map(&json!({ "topic": "b;a" }))).is_empty(), "other texts are texts");
    }
}
