//! The platform parameters of requests.

use engine::images::registry::{Platform, PlatformError};
use serde_json::Value;

use crate::{ApiError, Call};

/// The value of `platform`: a platform of the OCI specification as JSON.
pub(super) fn asked(call: &Call<'_>) -> Result<Option<Platform>, ApiError> {
    call.query.filled("platform").map(from_json).transpose()
}

/// All values of `platform`.
pub(super) fn repeated(call: &Call<'_>) -> Result<Vec<Platform>, ApiError> {
    let values = call.query.all("platform").into_iter().filter(|text| !text.is_empty());
    values.map(|text| from_json(&text)).collect()
}

/// All values of `platforms`.
pub(super) fn all_asked(call: &Call<'_>) -> Result<Vec<Platform>, ApiError> {
    call.query.all("platforms").iter().map(|text| from_json(text)).collect()
}

/// The value of `platform`, written as `os[/architecture[/variant]]`.
pub(crate) fn asked_in_words(call: &Call<'_>) -> Result<Option<Platform>, ApiError> {
    let Some(text) = call.query.filled("platform") else { return Ok(None) };
    text.parse().map(Some).map_err(|error| ApiError::bad_request(format!("invalid platform: {error}")))
}

/// Names of fields are taken in any case, as those of all objects.
fn from_json(text: &str) -> Result<Platform, ApiError> {
    let failed = |cause: &str| ApiError::bad_request(format!("failed to parse platform {text:?}: {cause}"));
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
        return Err(failed("it is not an object of JSON"));
    };
    let fields = fields.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let Ok(platform) = serde_json::from_value::<Platform>(Value::Object(fields)) else {
        return Err(failed("it needs the texts os and architecture"));
    };
    // As words: so other names of architectures are understood here too.
    platform.to_string().parse().map_err(|error: PlatformError| failed(&error.to_string()))
}
