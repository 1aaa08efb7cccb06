//! The checker's part about functions and macros.

use std::ops::Range;

use cel::common::ast::{CallExpr, Expr, IdedExpr};

use super::ConditionError;
use super::check::{Checker, expected};
use super::fields::Type;
use super::tree::{Function, Kind, Literal, Macro, Node};

/// Macros within macros.
const MACROS_MAX: usize = 2;
/// Bytes that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 16;

const FUNCTIONS: [&str; 15] = [
    "startsWith",
    "endsWith",
    "contains",
    "matches",
    "lowerAscii",
    "size",
    "has",
    "timestamp",
    "duration",
    "dyn",
    "all",
    "exists",
    "exists_one",
    "filter",
    "map",
];

type Checked<T> = Result<T, ConditionError>;

impl Checker<'_> {
    pub(super) fn function(&mut self, call: &CallExpr, bracket: Range<usize>) -> Checked<Node> {
        let name = call.func_name.as_str();
        let before = self.text.get(..bracket.start).unwrap_or_default().trim_end();
        let start = before.len().saturating_sub(name.len());
        let place = start..start.saturating_add(name.len());
        let token = start..bracket.end;
        match (name, call.target.as_deref(), call.args.as_slice()) {
            ("has", None, [field]) => self.has(field, token),
            ("timestamp", None, [text]) => self.moment(Function::Timestamp, text, token),
            ("duration", None, [text]) => self.moment(Function::Duration, text, token),
            ("dyn", None, [of]) => {
                // As in CEL: what it is of is not checked here, but when there are facts.
                let of = self.node(of)?;
                Ok(Node { span: self.whole(token, &[&of]), ty: Type::Dyn, ..of })
            }
            ("size", None, [of]) | ("size", Some(of), []) => self.size(of, token),
            ("lowerAscii", Some(of), []) => {
                let of = self.text_of(of, name)?;
                Ok(self.made(Kind::Call(Function::LowerAscii, Box::new(of), None), token, Type::Text))
            }
            ("startsWith", Some(of), [part]) => self.part(Function::StartsWith, name, (of, part), token),
            ("endsWith", Some(of), [part]) => self.part(Function::EndsWith, name, (of, part), token),
            ("contains", Some(of), [part]) => self.part(Function::Contains, name, (of, part), token),
            ("matches", Some(of), [pattern]) => self.pattern(of, pattern, token),
            ("all", Some(of), [local, body]) => self.each(Macro::All, of, (local, body), token),
            ("exists", Some(of), [local, body]) => self.each(Macro::Exists, of, (local, body), token),
            ("exists_one", Some(of), [local, body]) => self.each(Macro::ExistsOne, of, (local, body), token),
            ("filter", Some(of), [local, body]) => self.each(Macro::Filter, of, (local, body), token),
            ("map", Some(of), [local, body]) => self.each(Macro::Map, of, (local, body), token),
            _ if FUNCTIONS.contains(&name) => {
                Err(ConditionError::new(place, format!("{name} is not called so"), format!("expected {}", usage(name))))
            }
            _ => {
                let help = expected(name, FUNCTIONS.into_iter());
                Err(ConditionError::new(place, format!("no function is named {name}"), help))
            }
        }
    }

    fn text_of(&mut self, of: &IdedExpr, function: &str) -> Checked<Node> {
        let of = self.node(of)?;
        self.wants(&of, &Type::Text, "", &format!("expected a text before .{function}"))?;
        Ok(of)
    }

    fn part(
        &mut self,
        function: Function,
        name: &str,
        (of, part): (&IdedExpr, &IdedExpr),
        token: Range<usize>,
    ) -> Checked<Node> {
        let (of, part) = (self.text_of(of, name)?, self.node(part)?);
        self.wants(&part, &Type::Text, "", &format!("expected a text within {name}()"))?;
        self.can_hold(&of, &part)?;
        Ok(self.made(Kind::Call(function, Box::new(of), Some(Box::new(part))), token, Type::Bool))
    }

    /// The pattern stands in the condition, so that it is read once, and its size is known.
    fn pattern(&mut self, of: &IdedExpr, pattern: &IdedExpr, token: Range<usize>) -> Checked<Node> {
        let (of, pattern) = (self.text_of(of, "matches")?, self.node(pattern)?);
        let Kind::Literal(Literal::Text(text)) = &pattern.kind else {
            let what = format!("{} is not written out", self.said(&pattern));
            return Err(ConditionError::new(pattern.span, what, "expected a text in quotes within matches()"));
        };
        self.can_match(&of, text, &pattern.span)?;
        let read = regex::RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).nest_limit(16).build();
        match read {
            Ok(regex) => Ok(self.made(Kind::Matches(Box::new(of), regex), token, Type::Bool)),
            Err(regex::Error::CompiledTooBig(_)) => {
                Err(ConditionError::new(pattern.span, "the pattern is too large", "expected a simpler pattern"))
            }
            Err(error) => {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
                let what = format!("the pattern cannot be read: {why}");
                Err(ConditionError::new(pattern.span, what, "expected a regular expression"))
            }
        }
    }

    fn size(&mut self, of: &IdedExpr, token: Range<usize>) -> Checked<Node> {
        let of = self.node(of)?;
        if !matches!(of.ty, Type::Dyn | Type::Text | Type::List(_)) {
            let what = format!("{} is {} and has no size", self.said(&of), of.ty);
            return Err(ConditionError::new(of.span, what, "expected a text or a list"));
        }
        Ok(self.made(Kind::Call(Function::Size, Box::new(of), None), token, Type::Number))
    }

    /// A text that says a time or a duration; one that is written out is read at once.
    fn moment(&mut self, function: Function, text: &IdedExpr, token: Range<usize>) -> Checked<Node> {
        let text = self.node(text)?;
        let (ty, help) = match function {
            Function::Timestamp => (Type::Time, "expected a time, as in timestamp(\"2026-01-31T00:00:00Z\")"),
            _ => (Type::Duration, "expected a duration in hours, minutes or seconds, as in duration(\"720h\")"),
        };
        self.wants(&text, &Type::Text, "", help)?;
        if let Kind::Literal(Literal::Text(written)) = &text.kind {
            let value = match function {
                Function::Timestamp => written.parse().ok().map(Literal::Time),
                _ => written.parse().ok().map(Literal::Duration),
            };
            let Some(value) = value else {
                let what = format!("{} is not {ty}", self.said(&text));
                return Err(ConditionError::new(text.span, what, help));
            };
            return Ok(Node { kind: Kind::Literal(value), span: self.whole(token, &[&text]), ty });
        }
        Ok(self.made(Kind::Call(function, Box::new(text), None), token, ty))
    }

    /// `list.exists(name, condition)` and its like.
    fn each(
        &mut self,
        which: Macro,
        of: &IdedExpr,
        (local, body): (&IdedExpr, &IdedExpr),
        token: Range<usize>,
    ) -> Checked<Node> {
        let of = self.node(of)?;
        let item = match &of.ty {
            Type::Dyn => Type::Dyn,
            Type::List(item) => (**item).clone(),
            ty => {
                let what = format!("{} is {ty}", self.said(&of));
                return Err(ConditionError::new(of.span, what, "expected a list before it"));
            }
        };
        let place = super::parse::span_of(&self.parsed.places, local.id);
        let Expr::Ident(name) = &local.expr else {
            let what = "the first argument is not a name";
            return Err(ConditionError::new(place, what, "expected a name for the item, as in exists(x, x == 1)"));
        };
        if self.names.field(name).is_some() || self.locals.iter().any(|(other, _)| other == name) {
            return Err(ConditionError::new(place, format!("{name} is taken"), "expected another name for the item"));
        }
        if self.locals.len() >= MACROS_MAX {
            let what = format!("lists are walked within lists more than {MACROS_MAX} deep");
            return Err(ConditionError::new(token, what, "expected a simpler condition"));
        }
        self.locals.push((name.clone(), item.clone()));
        let body = self.node(body);
        self.locals.pop();
        let body = body?;
        let ty = if which == Macro::Map {
            Type::List(Box::new(body.ty.clone()))
        } else {
            self.wants(&body, &Type::Bool, "", "expected true or false for each item")?;
            if which == Macro::Filter { Type::List(Box::new(item)) } else { Type::Bool }
        };
        Ok(self.made(Kind::Macro(which, Box::new(of), Box::new(body)), token, ty))
    }
}

fn usage(name: &str) -> String {
    match name {
        "has" => "has(user.dept)".to_owned(),
        "timestamp" => "timestamp(\"2026-01-31T00:00:00Z\")".to_owned(),
        "duration" => "duration(\"720h\")".to_owned(),
        "size" => "size(list) or text.size()".to_owned(),
        "dyn" => "dyn(user.type)".to_owned(),
        "lowerAscii" => "text.lowerAscii()".to_owned(),
        "all" | "exists" | "exists_one" | "filter" | "map" => format!("list.{name}(x, …)"),
        _ => format!("text.{name}(\"…\")"),
    }
}
