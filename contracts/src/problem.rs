//! Refusals as the outside sees them: RFC 9457 problem details with slugs that never change.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One field of the request that cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// JSON Pointer (RFC 6901) to the field, such as `/lines/0/quantity`.
    pub pointer: String,
    /// A stable word for programs: `out-of-range`, `unknown-sku`.
    pub code: String,
    /// A sentence for people, with the cure.
    pub detail: String,
}

impl FieldError {
    /// A field error of `code` at `pointer`.
    pub fn new(
        pointer: impl Into<String>,
        code: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self { pointer: pointer.into(), code: code.into(), detail: detail.into() }
    }
}

/// A refusal: `type` is `/problems/<slug>`, and each slug has one status and one page in the docs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// The last part of the problem's type.
    pub slug: String,
    /// What kind of refusal this is, in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, with the values that matter.
    pub detail: String,
    /// The fields at fault, if the request was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Members of the problem's own, such as `nextActions` or `currentVersion`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $status:literal, $title:literal;)*) => {
        impl Problem {
            $(
                $(#[$doc])*
                pub fn $name(detail: impl Into<String>) -> Self {
                    Self {
                        slug: $slug.to_owned(),
                        title: $title.to_owned(),
                        status: $status,
                        detail: detail.into(),
                        errors: Vec::new(),
                        extra: Map::new(),
                    }
                }
            )*

            /// Every slug with its status and title: the page `docs/problems.md` lists the same.
            pub const TABLE: &'static [(&'static str, u16, &'static str)] =
                &[$(($slug, $status, $title)),*];
        }
    };
}

problems! {
    /// The request is not well-formed: broken JSON, a wrong type, an unknown field.
    malformed = "malformed-request", 400, "The request cannot be read";
    /// A cursor that this service did not make.
    bad_cursor = "bad-cursor", 400, "The cursor is not valid";
    /// A mutating call without the key that it must carry, or with a bad one.
    bad_idempotency_key = "bad-idempotency-key", 400, "The Idempotency-Key is not valid";
    /// A page of another site asks, and no operator has named that site.
    forbidden_origin = "origin-not-allowed", 403, "The origin may not use this";
    /// The resource does not exist, or the caller may not know of it.
    not_found = "not-found", 404, "There is no such resource";
    /// The path exists, but not for this method.
    method_not_allowed = "method-not-allowed", 405, "The method is not allowed here";
    /// The state of the resource does not allow this move.
    illegal_transition = "illegal-transition", 409, "The state does not allow this";
    /// Something of that name is there already.
    already_exists = "already-exists", 409, "It exists already";
    /// The first call with this key is still being handled.
    still_running = "request-still-running", 409, "The first request with this key is still running";
    /// A value was expected to be in force and is not.
    expectation_failed = "expectation-failed", 409, "The expected value no longer holds";
    /// `If-Match` names a version that has passed.
    stale_version = "stale-version", 412, "The resource has changed";
    /// The body is larger than the limit.
    too_large = "body-too-large", 413, "The body is too large";
    /// The body is not of a type that is understood here.
    unsupported_media = "unsupported-media-type", 415, "The media type is not supported";
    /// The request can be read, but a field's value cannot be accepted.
    invalid = "invalid-request", 422, "A field cannot be accepted";
    /// The key was used before with another body.
    key_reused = "idempotency-key-reused", 422, "The Idempotency-Key was used with another request";
    /// The client's total is not what the catalog's prices make.
    total_mismatch = "total-mismatch", 422, "The total does not match";
    /// The edit must say which version it edits.
    precondition_required = "precondition-required", 428, "If-Match is required";
    /// The caller sends faster than it may.
    too_many_requests = "too-many-requests", 429, "Too many requests";
    /// Something failed that the caller cannot mend.
    internal = "internal-error", 500, "Something failed on our side";
    /// More work is under way than can be finished in time.
    overloaded = "overloaded", 503, "The system is at its limit";
    /// A part that is needed cannot be reached.
    unavailable = "unavailable", 503, "A needed part is not available";
    /// The caller's deadline passed before the work was done.
    timeout = "timeout", 504, "The deadline has passed";
}

impl Problem {
    /// A 422 for one field.
    pub fn field(pointer: &str, code: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut problem = Self::invalid(detail.clone());
        problem.errors.push(FieldError::new(pointer, code, detail));
        problem
    }

    /// The same problem with one more field error.
    #[must_use]
    pub fn with_error(mut self, error: FieldError) -> Self {
        self.errors.push(error);
        self
    }

    /// The same problem with a member of its own.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(member.to_owned(), value.into());
        self
    }

    /// The document of RFC 9457, `instance` being the request's id or path.
    pub fn to_json(&self, instance: Option<&str>) -> Value {
        let mut document = Map::new();
        document.insert("type".into(), format!("/problems/{}", self.slug).into());
        document.insert("title".into(), self.title.clone().into());
        document.insert("status".into(), self.status.into());
        document.insert("detail".into(), self.detail.clone().into());
        if let Some(instance) = instance {
            document.insert("instance".into(), instance.into());
        }
        if !self.errors.is_empty() {
            let errors = serde_json::to_value(&self.errors).unwrap_or_default();
            document.insert("errors".into(), errors);
        }
        for (name, value) in &self.extra {
            // The members of the standard are not a problem's own to overwrite.
            document.entry(name).or_insert_with(|| value.clone());
        }
        Value::Object(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_an_rfc_9457_document() {
        let problem = Problem::field("/lines/0/sku", "unknown-sku", "there is no product `x`")
            .with("currentVersion", 3)
            .with("status", "placed");
        let json = problem.to_json(Some("/requests/1"));
        assert_eq!(json["type"], "/problems/invalid-request");
        assert_eq!(json["status"], 422);
        assert_eq!(json["errors"][0]["pointer"], "/lines/0/sku");
        assert_eq!(json["currentVersion"], 3);
        assert_eq!(json["instance"], "/requests/1");
    }

    #[test]
    fn slugs_are_unique() {
        let mut slugs: Vec<_> = Problem::TABLE.iter().map(|row| row.0).collect();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), Problem::TABLE.len());
    }
}
