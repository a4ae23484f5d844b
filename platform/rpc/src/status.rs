//! Problems as gRPC statuses, there and back without loss.

use contracts::{FieldError, Problem};
use contracts_grpc::v1;
use prost::Message;
use serde_json::Value;
use tonic::{Code, Status};

fn code(problem: &Problem) -> Code {
    match problem.status {
        400 | 413 | 415 | 422 => Code::InvalidArgument,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        409 if problem.slug == "already-exists" => Code::AlreadyExists,
        409 | 412 | 428 => Code::FailedPrecondition,
        429 => Code::ResourceExhausted,
        503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        405 => Code::Unimplemented,
        _ => Code::Internal,
    }
}

/// The status that carries `problem`.
pub fn status(problem: Problem) -> Status {
    let (code, detail) = (code(&problem), problem.detail.clone());
    Status::with_details(code, detail, problem_message(problem).encode_to_vec().into())
}

/// The problem as a message: one outcome of a bulk call.
pub fn problem_message(problem: Problem) -> v1::Problem {
    let errors = problem.errors.into_iter().map(|error| v1::FieldError {
        pointer: error.pointer,
        code: error.code,
        detail: error.detail,
    });
    let extra = problem.extra.into_iter().map(|(name, value)| (name, value.to_string()));
    v1::Problem {
        r#type: problem.slug,
        title: problem.title,
        status: problem.status.into(),
        detail: problem.detail,
        errors: errors.collect(),
        extra: extra.collect(),
    }
}

/// The problem that `status` carries; statuses of the transport itself become one.
pub fn problem(status: &Status) -> Problem {
    match v1::Problem::decode(status.details()) {
        Ok(message) if !message.r#type.is_empty() => from_message(message),
        _ => of_transport(status),
    }
}

fn from_message(message: v1::Problem) -> Problem {
    let errors = message.errors.into_iter();
    let extra = message.extra.into_iter().map(|(name, text)| {
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        (name, value)
    });
    Problem {
        slug: message.r#type,
        title: message.title,
        status: u16::try_from(message.status).unwrap_or(500),
        detail: message.detail,
        errors: errors
            .map(|error| FieldError::new(error.pointer, error.code, error.detail))
            .collect(),
        extra: extra.collect(),
    }
}

fn of_transport(status: &Status) -> Problem {
    let detail = status.message().to_owned();
    match status.code() {
        Code::InvalidArgument | Code::OutOfRange => Problem::malformed(detail),
        Code::NotFound => Problem::not_found(detail),
        Code::DeadlineExceeded | Code::Cancelled => Problem::timeout(detail),
        Code::ResourceExhausted => Problem::overloaded(detail),
        Code::Unavailable => Problem::unavailable("a needed service does not answer"),
        Code::Ok
        | Code::Unknown
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => Problem::internal("a service failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_survives_its_status() {
        let first = Problem::field("/lines/0/sku", "unknown-sku", "there is no product `x`")
            .with("nextActions", vec!["cancel"])
            .with("currentVersion", 7);
        let carried = status(first.clone());
        assert_eq!(carried.code(), Code::InvalidArgument);
        assert_eq!(problem(&carried), first);
    }

    #[test]
    fn every_problem_has_a_code_of_its_kind() {
        for (slug, status, _) in Problem::TABLE {
            let mut problem = Problem::internal("x");
            (problem.slug, problem.status) = ((*slug).to_owned(), *status);
            assert_eq!(code(&problem) == Code::Internal, *status == 500, "{slug}");
        }
    }
}
