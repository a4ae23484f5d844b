//! The same report as a running process answers it: over HTTP of all, over gRPC of what one process has.
//!
//! A check that cannot be made is neither clean nor broken: it is a problem that says why.

use contracts::Problem;
use contracts_grpc::v1::{AuditCheck, RunAuditResponse};
use serde_json::{Value, json};
use store::{Reader, StoreError};

use super::{Finding, Report, check};

/// What comparing services with each other takes.
const COMPARE: &str = "each service has checked its own tables; what they say of each other is compared \
                       by `millrace audit --config FILE`, which reads all of them";

async fn report(reader: &Reader) -> Result<Report, Problem> {
    let names = reader.names();
    let checked: Result<Report, StoreError> =
        reader.read(move |rx| Box::pin(check(rx, names))).await;
    checked.map_err(|error| {
        tracing::error!(%error, "the audit could not be made");
        Problem::unavailable(format!("the audit could not be made: {error}"))
    })
}

/// The report of the store that every service shares.
pub(crate) async fn whole(reader: &Reader) -> Result<Value, Problem> {
    Ok(serde_json::to_value(report(reader).await?).unwrap_or_default())
}

/// The report of one process's own store.
pub(crate) async fn of_one(reader: &Reader) -> Result<RunAuditResponse, Problem> {
    let Report { checks, unsettled, millis, .. } = report(reader).await?;
    let check = |Finding { check, millis }: Finding| AuditCheck {
        id: check.id.to_owned(),
        states: check.states.to_owned(),
        checked: check.checked,
        violations: check.violations,
        violators: check.violators,
        millis,
    };
    Ok(RunAuditResponse { checks: checks.into_iter().map(check).collect(), unsettled, millis })
}

/// The reports of all processes as one: each check with the services whose process made it.
pub(crate) fn of_all(reports: Vec<(String, RunAuditResponse)>) -> Value {
    let (mut checks, mut unsettled, mut millis, mut clean) = (Vec::new(), 0_u64, 0_u64, true);
    for (service, report) in reports {
        unsettled = unsettled.saturating_add(report.unsettled);
        millis = millis.max(report.millis);
        for check in report.checks {
            clean &= check.violations == 0;
            checks.push(json!({
                "service": service,
                "id": check.id,
                "states": check.states,
                "checked": check.checked,
                "violations": check.violations,
                "violators": check.violators,
                "millis": check.millis,
            }));
        }
    }
    json!({
        "clean": clean,
        "partial": true,
        "detail": COMPARE,
        "checks": checks,
        "unsettled": unsettled,
        "millis": millis,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, violations: u64) -> AuditCheck {
        AuditCheck { id: id.to_owned(), violations, ..AuditCheck::default() }
    }

    #[test]
    fn one_broken_check_of_one_service_makes_the_whole_unclean_and_is_named() {
        let order = RunAuditResponse { checks: vec![check("OR-1", 0)], unsettled: 2, millis: 9 };
        let stock = |violations| RunAuditResponse {
            checks: vec![check("ST-1", violations)],
            unsettled: 1,
            millis: 4,
        };
        let both = |violations| {
            of_all(vec![
                ("order".to_owned(), order.clone()),
                ("inventory".to_owned(), stock(violations)),
            ])
        };
        let all = both(0);
        assert_eq!((&all["clean"], &all["partial"]), (&json!(true), &json!(true)));
        assert_eq!((&all["unsettled"], &all["millis"]), (&json!(3), &json!(9)));
        let all = both(1);
        assert_eq!(all["clean"], json!(false));
        assert_eq!(all["checks"][1]["service"], "inventory");
        assert_eq!(all["checks"][1]["violations"], 1);
    }
}
