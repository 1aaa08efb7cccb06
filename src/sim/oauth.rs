//! What Zoom's OAuth refuses: the codes and the words of its table \[D oauth-error-messages], and how its answers look.

use super::answer::Answer;
use super::body::Object;

/// One line of Zoom's table of OAuth errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OauthError {
    /// 4700
    EmptyToken,
    /// 4702, which the table does not tell from 4704.
    BadClient,
    /// 4705
    BadGrantType,
    /// 4706
    NoCredentials,
    /// 4706
    NoGrantType,
    /// 4709
    RedirectMismatch,
    /// 4711
    ScopesChanged,
    /// 4717
    AppDisabled,
    /// 4732: passes by itself.
    Unavailable,
    /// 4733: after five minutes.
    CodeExpired,
    /// 4734
    BadCode,
    /// 4735: whoever installed was removed from the account.
    OwnerGone,
    /// 4737
    NotFound,
    /// 4738: the account's admin does not allow the app any more.
    DisabledByAdmin,
    /// 4740: more tokens than the app's tolerance.
    OutOfTolerance,
    /// 4741: the same user authorised again, or the token was revoked.
    Revoked,
}

impl OauthError {
    pub const ALL: [Self; 16] = [
        Self::EmptyToken,
        Self::BadClient,
        Self::BadGrantType,
        Self::NoCredentials,
        Self::NoGrantType,
        Self::RedirectMismatch,
        Self::ScopesChanged,
        Self::AppDisabled,
        Self::Unavailable,
        Self::CodeExpired,
        Self::BadCode,
        Self::OwnerGone,
        Self::NotFound,
        Self::DisabledByAdmin,
        Self::OutOfTolerance,
        Self::Revoked,
    ];

    pub const fn code(self) -> u32 {
        match self {
            Self::EmptyToken => 4700,
            Self::BadClient => 4702,
            Self::BadGrantType => 4705,
            Self::NoCredentials | Self::NoGrantType => 4706,
            Self::RedirectMismatch => 4709,
            Self::ScopesChanged => 4711,
            Self::AppDisabled => 4717,
            Self::Unavailable => 4732,
            Self::CodeExpired => 4733,
            Self::BadCode => 4734,
            Self::OwnerGone => 4735,
            Self::NotFound => 4737,
            Self::DisabledByAdmin => 4738,
            Self::OutOfTolerance => 4740,
            Self::Revoked => 4741,
        }
    }

    /// The words of the table.
    pub const fn message(self) -> &'static str {
        match self {
            Self::EmptyToken => "Token cannot be empty.",
            Self::BadClient => "Invalid client.",
            Self::BadGrantType => "Grant type is not supported from token endpoint.",
            Self::NoCredentials => "Client ID or client secret is missing.",
            Self::NoGrantType => "Missing grant type.",
            Self::RedirectMismatch => "Redirect URI mismatch.",
            Self::ScopesChanged => "Refresh token invalid.",
            Self::AppDisabled => "The app has been disabled",
            Self::Unavailable => "Creating authorization code error.",
            Self::CodeExpired => "Code is expired",
            Self::BadCode => "Invalid authorization code.",
            Self::OwnerGone => "The owner of the token does not exist.",
            Self::NotFound => "Can not find the authentication for the access token.",
            Self::DisabledByAdmin => "The token is disabled by admin.",
            Self::OutOfTolerance => "The token ID is out of the token tolerance range.",
            Self::Revoked => "The token has been revoked.",
        }
    }

    /// The word of RFC 6749 beside it \[C for `invalid_client`, `unsupported_grant_type` and `invalid_grant`, else I].
    const fn error(self) -> &'static str {
        match self {
            Self::BadClient | Self::AppDisabled => "invalid_client",
            Self::BadGrantType => "unsupported_grant_type",
            Self::EmptyToken | Self::NoCredentials | Self::NoGrantType | Self::RedirectMismatch => "invalid_request",
            Self::Unavailable => "server_error",
            _ => "invalid_grant",
        }
    }

    /// Words that public issues of clients quote, where they do: of codes \[F 12302, 137623], of refresh tokens \[C raycast
    /// #10896, ha-zoom-automation #53].
    const fn seen(self) -> &'static str {
        match self {
            Self::CodeExpired | Self::BadCode => "Invalid authorization code",
            Self::BadClient => "Invalid client_id or client_secret",
            Self::BadGrantType => "unsupported grant type",
            Self::ScopesChanged
            | Self::OwnerGone
            | Self::NotFound
            | Self::DisabledByAdmin
            | Self::OutOfTolerance
            | Self::Revoked => "Invalid Token!",
            _ => self.message(),
        }
    }

    /// `refused` is the status of what is not transient: 400 today, 401 until 2022 \[C remote-office-hours-queue #363].
    pub(crate) fn answer(self, form: ErrorForm, refused: u16) -> Answer {
        let status = if self == Self::Unavailable { 500 } else { refused }; // [I]
        let reason = if form == ErrorForm::Seen { self.seen() } else { self.message() };
        let body = Object::new().put("reason", reason).put("error", self.error());
        let coded = form == ErrorForm::Codes;
        let body = body.put_some("code", coded.then_some(self.code()));
        Answer::object(status, body.put_some("message", coded.then_some(self.message())))
    }
}

/// How the token endpoint says what it refuses: the sources differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ErrorForm {
    /// `reason` and `error`, with the words of Zoom's table \[D for the words, C for the form].
    #[default]
    Words,
    /// The same, with words as clients saw them, which tell less: `Invalid Token!` for everything about a refresh token.
    Seen,
    /// With `code` and `message` as well \[I].
    Codes,
}
