//! What a handler's own signature says of its route: what is asked, what is sent, what comes back. So the document of the API
//! is made from what is compiled, and nothing of it is said twice.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::caller::Caller;
use super::problem::ApiProblem;
use super::routes::{Asked, Shared};

/// What is known of a route so far.
#[derive(Debug)]
pub(super) struct Operation {
    /// Of what is answered: the schemas that others refer to are kept here.
    answers: SchemaGenerator,
    /// Of what is asked: each schema stands where it is used.
    asks: SchemaGenerator,
    /// An object with a property for each parameter.
    pub(super) query: Option<Schema>,
    pub(super) body: Option<Schema>,
    /// Status, media type and schema of a good answer.
    pub(super) answer: Option<(u16, &'static str, Schema)>,
    /// It may as well be 202: on disk, and done later.
    pub(super) or_accepted: bool,
    /// A header that it takes: name and meaning.
    pub(super) header: Option<(&'static str, &'static str)>,
}

/// Where the document keeps its schemas.
const SCHEMAS: &str = "/components/schemas";

impl Operation {
    pub(super) fn new() -> Self {
        let settings = |inline: bool| {
            SchemaSettings::draft2020_12().with(|with| {
                with.definitions_path = SCHEMAS.into();
                with.meta_schema = None;
                with.inline_subschemas = inline;
            })
        };
        let answers = settings(false).for_serialize().into_generator();
        let asks = settings(true).for_deserialize().into_generator();
        Self { answers, asks, query: None, body: None, answer: None, or_accepted: false, header: None }
    }

    /// What the handler says of itself.
    pub(super) fn read(&mut self, handler: fn(&mut Self)) {
        (self.query, self.body, self.answer) = (None, None, None);
        (self.or_accepted, self.header) = (false, None);
        handler(self);
    }

    /// Of something that is answered.
    pub(super) fn schema<T: JsonSchema>(&mut self) -> Schema {
        self.answers.subschema_for::<T>()
    }

    /// All that others refer to, by name.
    pub(super) fn schemas(mut self) -> serde_json::Map<String, serde_json::Value> {
        self.answers.take_definitions(true)
    }
}

/// Something that a handler takes.
pub(super) trait Argument {
    fn describe(_: &mut Operation) {}
}

impl Argument for Shared {}
impl Argument for Caller {}
/// The path itself names it.
impl Argument for Path<String> {}
impl Argument for Path<(String, String)> {}
impl Argument for Path<(String, String, String)> {}

impl<T: JsonSchema> Argument for Asked<T> {
    fn describe(operation: &mut Operation) {
        operation.query = Some(T::json_schema(&mut operation.asks));
    }
}

impl<T: JsonSchema> Argument for Sent<T> {
    fn describe(operation: &mut Operation) {
        operation.body = Some(operation.asks.subschema_for::<T>());
    }
}

/// Something that a handler gives back.
pub(super) trait Told {
    fn describe(operation: &mut Operation);
}

impl<T: JsonSchema> Told for Json<T> {
    fn describe(operation: &mut Operation) {
        let schema = operation.schema::<T>();
        operation.answer = Some((200, "application/json", schema));
    }
}

/// 200, or 202 for what is done later.
impl<T: JsonSchema> Told for (StatusCode, Json<T>) {
    fn describe(operation: &mut Operation) {
        <Json<T> as Told>::describe(operation);
        operation.or_accepted = true;
    }
}

impl<T: Told> Told for Result<T, ApiProblem> {
    fn describe(operation: &mut Operation) {
        T::describe(operation);
    }
}

/// JSON with another status than 200.
#[derive(Debug)]
pub(super) struct With<const STATUS: u16, T>(pub(super) T);

/// Something was made.
pub(super) type Created<T> = With<201, T>;

impl<const STATUS: u16, T: JsonSchema> Told for With<STATUS, T> {
    fn describe(operation: &mut Operation) {
        let schema = operation.schema::<T>();
        operation.answer = Some((STATUS, "application/json", schema));
    }
}

impl<const STATUS: u16, T: Serialize> IntoResponse for With<STATUS, T> {
    fn into_response(self) -> Response {
        (StatusCode::from_u16(STATUS).unwrap_or_default(), Json(self.0)).into_response()
    }
}

/// A handler, by what it takes and gives.
pub(super) trait Described<Arguments> {
    fn describe(operation: &mut Operation);
}

macro_rules! described {
    ($($argument:ident),*) => {
        impl<Handler, Answer, Value, $($argument),*> Described<($($argument,)*)> for Handler
        where
            Handler: Fn($($argument),*) -> Answer,
            Answer: Future<Output = Value>,
            Value: Told,
            $($argument: Argument,)*
        {
            fn describe(operation: &mut Operation) {
                $($argument::describe(operation);)*
                Value::describe(operation);
            }
        }
    };
}

described!();
described!(A);
described!(A, B);
described!(A, B, C);
described!(A, B, C, D);
described!(A, B, C, D, E);
described!(A, B, C, D, E, F);

/// A body of JSON; what is wrong with it is told as a problem.
#[derive(Debug)]
pub(super) struct Sent<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = ApiProblem;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiProblem> {
        let read = Json::<T>::from_request(request, state).await;
        read.map(|Json(sent)| Self(sent))
            .map_err(|rejection| ApiProblem::new(rejection.status(), rejection.body_text()))
    }
}

/// The header `Idempotency-Key`: whoever sends one again means the same.
#[derive(Debug)]
pub(super) struct IdempotencyKey(pub(super) Option<String>);

impl IdempotencyKey {
    pub(super) const NAME: &str = "Idempotency-Key";
}

impl Argument for IdempotencyKey {
    fn describe(operation: &mut Operation) {
        let about = "Of one object: the same key is the same thing, asked for once";
        operation.header = Some((Self::NAME, about));
    }
}

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiProblem> {
        let key = parts.headers.get(Self::NAME).map(|key| key.to_str().map(str::to_owned)).transpose();
        key.map(Self).map_err(|_| ApiProblem::bad_request(format!("{} is no text", Self::NAME)))
    }
}

/// A body that the handler reads by itself, as what it is: also without a media type.
#[derive(Debug)]
pub(super) struct Raw<T> {
    pub(super) bytes: Result<Bytes, BytesRejection>,
    of: std::marker::PhantomData<T>,
}

impl<T: JsonSchema> Argument for Raw<T> {
    fn describe(operation: &mut Operation) {
        <Sent<T> as Argument>::describe(operation);
    }
}

impl<T, S: Send + Sync> FromRequest<S> for Raw<T> {
    type Rejection = std::convert::Infallible;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self { bytes: Bytes::from_request(request, state).await, of: std::marker::PhantomData })
    }
}
