//! Traces across calls: a call carries the context of its caller, and is a step of the trace.

use std::task::{Context as Ready, Poll};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use telemetry::trace::{self, Span, TRACEPARENT};
use tonic::server::NamedService;
use tower::Service;

use crate::transport::BoxFuture;

const TRACE: HeaderName = HeaderName::from_static(TRACEPARENT);
/// What a call of our own says that belongs to no trace: it begins none either.
const UNTRACED: HeaderValue = HeaderValue::from_static("none");

/// Puts the context of the caller into the headers of a call.
pub(crate) fn carry(headers: &mut HeaderMap) {
    let context = trace::traceparent().map(|text| HeaderValue::try_from(text.as_str()));
    match context {
        Some(Ok(context)) => headers.insert(TRACE, context),
        Some(Err(_)) | None if trace::is_on() => headers.insert(TRACE, UNTRACED),
        Some(Err(_)) | None => None,
    };
}

/// A server whose calls are steps of `service`, in the trace of their caller.
#[derive(Debug, Clone)]
pub struct Traced<S> {
    service: &'static str,
    inner: S,
}

impl<S> Traced<S> {
    /// The calls that `inner` answers are steps of `service`.
    pub const fn new(service: &'static str, inner: S) -> Self {
        Self { service, inner }
    }
}

impl<S: NamedService> NamedService for Traced<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, Sent, Got> Service<Request<Sent>> for Traced<S>
where
    S: Service<
            Request<Sent>,
            Response = Response<Got>,
            Future = BoxFuture<Result<Response<Got>, <S as Service<Request<Sent>>>::Error>>,
        >,
    Got: 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Got>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Response<Got>, S::Error>>;

    fn poll_ready(&mut self, ready: &mut Ready<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(ready)
    }

    fn call(&mut self, request: Request<Sent>) -> Self::Future {
        let given = request.headers().get(TRACE);
        let (context, span) = match given {
            Some(value) if *value == UNTRACED => (None, None),
            None if !trace::is_on() => (None, None),
            given => {
                let given = given.and_then(|value| value.to_str().ok());
                let name = || request.uri().path().trim_start_matches('/').to_owned();
                Span::answering(self.service, given, name)
            }
        };
        // Without a context this is the answer as it is.
        let answer = trace::carried(context, self.inner.call(request));
        let Some(mut span) = span else {
            return answer;
        };
        span.set("rpc.system", "grpc");
        Box::pin(async move {
            let answer = answer.await;
            if let Ok(answer) = &answer {
                note(&mut span, answer.headers());
            }
            answer
        })
    }
}

/// The status of a call that was refused is in its headers; others have it behind their messages.
fn note(span: &mut Span, headers: &HeaderMap) {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(code) = text("grpc-status").filter(|code| *code != "0") else { return };
    span.set("rpc.grpc.status_code", code.parse::<i64>().unwrap_or(2));
    span.fail(text("grpc-message").unwrap_or("refused"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use telemetry::trace::{Context, within};

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

    /// What a server hears of its caller's context.
    async fn heard(context: Option<Context>) -> Option<Context> {
        let server = tower::service_fn(|_: Request<()>| -> BoxFuture<_> {
            Box::pin(async { Ok::<_, std::convert::Infallible>(Response::new(trace::current())) })
        });
        let mut request = Request::new(());
        within(context, async { carry(request.headers_mut()) }).await;
        let Ok(answer) = Traced::new("order", server).call(request).await;
        answer.into_body()
    }

    #[tokio::test]
    async fn a_call_carries_its_callers_context_to_the_server() {
        let context = Context::parse(GIVEN);
        assert!(context.is_some());
        assert_eq!(heard(context).await, context);
        assert_eq!(heard(None).await, None);
    }
}
