//! Rows of people who are to be onboarded, as they are sent: one object, an array, or a line of JSON for each. One that is wrong
//! is told by itself, and holds up no other.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::problem::ApiProblem;
use crate::rules::nearest;
use crate::work::{Row, RowRefused, Wanted};

/// Rows of one request.
const ROWS_MAX: usize = 1_000;
/// Of one request: a row of them may be about a kilobyte.
pub(super) const BODY_BYTES_MAX: usize = 4 << 20;

/// Who is to be onboarded: one person, or rows of them; as `application/x-ndjson`, a line of JSON for each.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it says the form: a row that is wrong is refused by itself, so each is read by itself")]
pub(super) enum OnboardSent {
    One(RowSent),
    Many(Vec<RowSent>),
}

/// One person. The same `key` is the same onboarding for seven days after that has ended.
#[derive(Debug)]
pub(super) struct RowSent;

impl JsonSchema for RowSent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RowSent".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = Wanted::json_schema(generator);
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            let about = "1 to 200 printable ASCII characters: the same key is the same onboarding";
            properties.insert(
                "key".to_owned(),
                serde_json::json!({ "type": "string", "maxLength": 200, "description": about }),
            );
        }
        schema
    }
}

/// A row as it is written: what is wanted, and its key.
fn row(mut value: Value) -> Result<Row, RowRefused> {
    let key = match value.as_object_mut().and_then(|row| row.remove("key")) {
        None | Some(Value::Null) => None,
        Some(Value::String(key)) => Some(key),
        Some(_) => return Err(RowRefused::invalid("key has to be a text")),
    };
    let wanted = Wanted::deserialize(&value).map_err(|error| RowRefused::invalid(plain(&error.to_string(), &value)))?;
    Ok(Row { wanted, key })
}

/// What is wrong with a row, in words for whoever wrote it.
fn plain(error: &str, row: &Value) -> String {
    let parted = error.split('`').collect::<Vec<_>>();
    let names = || parted.iter().skip(3).step_by(2).copied().collect::<Vec<_>>();
    match parted.as_slice() {
        ["missing field ", name, ..] => format!("{name} is missing"),
        ["unknown field ", name, ..] => {
            let near = nearest(name, names());
            let help =
                near.map_or_else(|| format!("expected {}", names().join(", ")), |near| format!("did you mean {near}?"));
            format!("there is no {name}: {help}")
        }
        ["unknown variant ", word, ..] => {
            let is_it = |(_, value): &(&String, &Value)| value.as_str() == Some(*word);
            let of = row.as_object().and_then(|row| row.iter().find(is_it)).map_or("it", |(name, _)| name.as_str());
            format!("{of} is {word:?}, expected {}", names().join(" or "))
        }
        _ => error.to_owned(),
    }
}

/// Consumers are the whole service's: whoever is bound to one account neither sends to one, nor learns which there are.
pub(super) fn tells_nobody(row: Row) -> Result<Row, RowRefused> {
    if row.wanted.notify.is_some() {
        return Err(RowRefused::invalid("notify is about the whole service, and the token is bound to one account"));
    }
    Ok(row)
}

/// The rows of a body: one object, an array of them, or a line of JSON for each. And whether there is just one object.
pub(super) fn rows_of(body: &[u8]) -> Result<(Vec<Result<Row, RowRefused>>, bool), ApiProblem> {
    let text = std::str::from_utf8(body).map_err(|_| ApiProblem::bad_request("the body is not UTF-8"))?;
    let values: Vec<Result<Value, RowRefused>> = match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(values)) => values.into_iter().map(Ok).collect(),
        Ok(one @ Value::Object(_)) => return Ok((vec![row(one)], true)),
        Ok(_) => {
            return Err(ApiProblem::bad_request("expected an object, an array of objects, or a line of JSON for each"));
        }
        Err(error) => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let read =
                |line| serde_json::from_str(line).map_err(|error| RowRefused::invalid(format!("no JSON: {error}")));
            let values: Vec<Result<Value, RowRefused>> = lines.map(read).collect();
            if !values.is_empty() && values.iter().all(Result::is_err) {
                return Err(ApiProblem::bad_request(format!("the body is neither JSON nor lines of JSON: {error}")));
            }
            values
        }
    };
    match values.len() {
        1..=ROWS_MAX => Ok((values.into_iter().map(|value| value.and_then(row)).collect(), false)),
        count => Err(ApiProblem::bad_request(format!("the body has {count} rows, expected 1 to {ROWS_MAX}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_one_object_an_array_or_lines_and_each_wrong_row_is_told_by_itself() {
        let codes = |body: &str| {
            rows_of(body.as_bytes()).map(|(rows, is_one)| (rows.iter().map(Result::is_ok).collect(), is_one))
        };
        assert_eq!(codes(r#"{"email":"a@x.example","key":"1"}"#), Ok((vec![true], true)));
        assert_eq!(codes(r#"[{"email":"a@x.example"},{"email":"nobody"},7]"#), Ok((vec![true, false, false], false)));
        let lines = "{\"email\":\"a@x.example\"}\n\n{\"email\":\n{\"email\":\"b@x.example\",\"key\":7}\n";
        assert_eq!(codes(lines), Ok((vec![true, false, false], false)));
        for wrong in ["", "[]", "7", "null"] {
            assert!(codes(wrong).is_err(), "{wrong}");
        }
        assert!(codes("{\"email\":\"a@x.example\",\n").unwrap_err().detail.contains("neither JSON nor lines"));
        let many = format!("[{}]", vec![r#"{"email":"a@x.example"}"#; ROWS_MAX + 1].join(","));
        assert!(codes(&many).unwrap_err().detail.contains("1001 rows"));
        assert!(rows_of(b"\xff").is_err());
    }

    #[test]
    fn what_is_wrong_with_a_row_is_said_in_plain_words() {
        for (body, said) in [
            (r#"{"email":"a@x.example","licence":"gold"}"#, "licence is \"gold\", expected licensed or basic"),
            (r#"{"email":"a@x.example","licens":"basic"}"#, "there is no licens: did you mean licence?"),
            (r#"{"first_name":"A"}"#, "email is missing"),
        ] {
            let (rows, _) = rows_of(body.as_bytes()).unwrap();
            assert_eq!(rows[0].as_ref().unwrap_err().why, said);
        }
    }
}
